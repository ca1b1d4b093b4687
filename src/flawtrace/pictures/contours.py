"""Contours of masks, through the edges of their pixels."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float
from skimage.measure import find_contours

Ring: TypeAlias = Float[np.ndarray, "_ 2"]
"""Points (row, column) of a closed line, whose last is the first; the first pixel reaches from 0 to 1."""


def contours(mask: Bool[np.ndarray, "h w"]) -> list[Ring]:
    """Around each region of a mask, and around each of its holes.

    >>> contours(np.ones((1, 1), bool))[0].tolist()
    [[1.0, 0.5], [0.5, 0.0], [0.0, 0.5], [0.5, 1.0], [1.0, 0.5]]
    """
    return [ring - 0.5 for ring in find_contours(np.pad(mask, 1).astype(float), 0.5)]


def simplified(ring: Ring, tolerance: float) -> Ring:
    """The ring with as few of its points as keep it within `tolerance` pixels."""
    from skimage.measure import approximate_polygon  # noqa: PLC0415 (it loads scipy.signal, for a second)

    fewer: Ring = approximate_polygon(ring, tolerance)
    return fewer
