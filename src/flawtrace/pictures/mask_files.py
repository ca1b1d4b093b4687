"""Reading masks as people and labelling tools write them."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool

from flawtrace.ground.shapes import Mask
from flawtrace.pictures.decoding import Pixels, decode, decode_layers
from flawtrace.pictures.errors import TwoMeaningsError

FEW = 16
"""Values, besides 0, up to which a mask was drawn or filled; one with more was smoothed or compressed."""
IGNORED = 255
"""What stands for "ignore" beside class numbers."""
CLASSES = 20
"""Numbers up to which values besides 255 are taken as classes."""


def read_mask(path: Path) -> Mask:
    """True where the file in `path` marks a defect.

    In a palette, that is any entry but the first, or but black; with an alpha channel that is not the same
    everywhere, where something shows; in all others where a pixel is not black. In masks of many greys, or of
    several and no black, which were smoothed or compressed, it takes at least half of the largest value that
    the format can hold.

    Raises:
        ImageError: the file cannot be read.
        TwoMeaningsError: its values may be classes and 255 for "ignore", or nothing but greys.
    """
    layers = decode_layers(path)
    if layers.indices is not None:
        return torch.from_numpy(_marked(path, layers.indices))
    if layers.alpha is not None and layers.alpha.min() < layers.alpha.max():
        return torch.from_numpy(layers.alpha >= _largest(layers.alpha) / 2)
    pixels = decode(path)
    return torch.from_numpy(_marked(path, pixels if pixels.ndim == 2 else pixels.max(axis=-1)))


def _marked(path: Path, values: Pixels) -> Bool[np.ndarray, "h w"]:
    if values.dtype.kind == "b":
        return values.copy()  # what comes from a file cannot be written to
    found = np.unique(values)
    some = found[found > 0]
    if (
        values.dtype.kind == "u"
        and IGNORED in some
        and len(some) > 1
        and (some[some != IGNORED] <= CLASSES).all()
    ):
        raise TwoMeaningsError(path, [int(value) for value in some])
    if len(some) <= FEW and (0 in found or len(found) == 1):
        return values > 0
    return values >= _largest(values) / 2


def _largest(values: Pixels) -> float:
    return float(np.iinfo(values.dtype).max) if values.dtype.kind == "u" else 1.0
