"""Reading masks as people and labelling tools write them."""

from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Int

from flawtrace.ground.shapes import Mask
from flawtrace.pictures.decoding import Pixels, decode, decode_layers
from flawtrace.pictures.errors import TwoMeaningsError

Kind: TypeAlias = Literal["numbers", "colours"]
Values: TypeAlias = Int[np.ndarray, "h w"]

BACKGROUND = 0
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


def values_in(path: Path, as_colours: bool = False) -> tuple[Kind, Values]:
    """The value of each pixel: an entry of a palette (or its colour), a grey, or a colour as 0xRRGGBB.

    Raises:
        ImageError: the file cannot be read.
    """
    layers = decode_layers(path)
    if layers.indices is not None and not as_colours:
        return "numbers", layers.indices.astype(np.int64)
    if layers.alpha is not None and layers.alpha.min() < layers.alpha.max():
        return "numbers", layers.alpha.astype(np.int64)
    pixels = _whole_numbers(decode(path))
    if pixels.ndim == 2:
        return "numbers", pixels
    if not as_colours and (pixels == pixels[..., :1]).all():
        return "numbers", np.ascontiguousarray(pixels[..., 0])
    return "colours", pixels @ np.array([1 << 16, 1 << 8, 1])


def looks_drawn(path: Path) -> bool:
    """Whether a picture has so few values that it is a mask rather than a photograph."""
    return len(marked_values(values_in(path)[1])) <= FEW


def marked_values(values: Values) -> set[int]:
    """All values but the background's."""
    return {int(value) for value in np.unique(values)} - {BACKGROUND}


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


def _whole_numbers(pixels: Pixels) -> Pixels:
    """Numbers as they are; shares and colours in 256 steps."""
    if pixels.dtype.kind == "b":
        return pixels.astype(np.int64) * 255
    if pixels.dtype.kind == "f":
        return np.round(pixels * 255).astype(np.int64)
    return (pixels >> 8 if pixels.ndim == 3 and pixels.dtype == np.uint16 else pixels).astype(np.int64)
