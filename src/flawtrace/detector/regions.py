"""The regions of a mask: where each is, how large, and how sure the map is of it."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from skimage.measure import label, regionprops
from torch import Tensor

from flawtrace.ground.shapes import Mask
from flawtrace.pictures.contours import contours, simplified

Contour: TypeAlias = tuple[tuple[float, float], ...]
"""Points (x, y) in pixels, from the image's upper left corner; the last is the first again."""
TOLERANCE = 0.25
"""Pixels by which a contour may leave the region's outline."""


@dataclass(frozen=True)
class Region:
    """8-connected pixels of a mask."""

    left: int
    top: int
    width: int
    height: int
    """Of its box, in pixels."""
    area: int
    """In pixels."""
    peak: float
    """Highest probability in it."""
    mean: float
    """Mean probability."""
    contour: Contour
    """Its outer outline."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "box": [self.left, self.top, self.width, self.height],
            "area": self.area,
            "peak": round(self.peak, 6),
            "mean": round(self.mean, 6),
            "contour": [list(point) for point in self.contour],
        }


def regions_of(mask: Mask, anomaly_map: Float[Tensor, "h w"]) -> tuple[Region, ...]:
    """The regions of a mask, largest first, with what the map says there."""
    values = anomaly_map.numpy()
    found = regionprops(label(mask.numpy(), connectivity=2))
    return tuple(sorted((_region(one, values) for one in found), key=lambda region: -region.area))


def without_small(mask: Mask, min_area: int) -> Mask:
    """The mask without regions of fewer than `min_area` pixels.

    >>> without_small(torch.tensor([[True, False, True, True]]), 2).tolist()
    [[False, False, True, True]]
    """
    labels = label(mask.numpy(), connectivity=2)
    large = np.bincount(labels.ravel()) >= min_area
    large[0] = False
    return torch.from_numpy(large[labels])


def _region(found: Any, values: Float[np.ndarray, "h w"]) -> Region:
    top, left, bottom, right = found.bbox
    inside = values[top:bottom, left:right][found.image]
    contour = _contour(found.image, top, left)
    peak, mean = float(inside.max()), float(inside.mean())
    return Region(left, top, right - left, bottom - top, int(found.area), peak, mean, contour)


def _contour(inside: np.ndarray, top: int, left: int) -> Contour:
    """The longest contour around a region, through the edges of its pixels."""
    ring = simplified(max(contours(inside), key=len), TOLERANCE)
    return tuple((round(float(x) + left, 1), round(float(y) + top, 1)) for y, x in ring)
