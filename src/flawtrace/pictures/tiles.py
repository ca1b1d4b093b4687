"""Large images in overlapping tiles: their working size, where tiles lie, and one map from those of all."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from flawtrace.ground.config import Config
from flawtrace.ground.devices import ON_PROCESSOR
from flawtrace.ground.shapes import AnomalyMap, ErrorMaps, Image, Images
from flawtrace.pictures.decoding import MAX_PIXELS
from flawtrace.pictures.errors import TilesTooSmallError

OVERLAP = 4
"""Neighbouring tiles share at least one in so many of their rows or columns."""

Size: TypeAlias = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True)
class Box:
    """A square part of an image, in pixels."""

    top: int
    left: int
    side: int

    def of(self, planes: Tensor) -> Tensor:
        """This part of planes (..., h, w), as a view."""
        return planes[..., self.top : self.top + self.side, self.left : self.left + self.side]


def working_size(size: Size, config: Config) -> Size:
    """The size at which an image of `size` is worked on: one tile, or as many as `tile_side` makes of it.

    >>> working_size((512, 20_000), Config(tile_side=512)), working_size((512, 20_000), Config())
    ((256, 10000), (256, 256))

    Raises:
        TilesTooSmallError: enlarged so far, the image is too large to work on.
    """
    side = config.image_side
    if config.tile_side is None:
        return side, side
    height, width = (max(side, round(length * side / config.tile_side)) for length in size)
    if height * width > MAX_PIXELS:
        raise TilesTooSmallError(config.tile_side, size, (height, width), MAX_PIXELS)
    return height, width


def boxes(size: Size, side: int) -> list[Box]:
    """Tiles that cover an image of `size`, at least `side` both ways, evenly spread, row by row.

    >>> [box.left for box in boxes((256, 600), 256)]
    [0, 172, 344]
    """
    return [Box(top, left, side) for top, left in product(*(_starts(length, side) for length in size))]


def joined_map(
    image: Image, side: int, look: Callable[[Images], ErrorMaps], together: int = ON_PROCESSOR
) -> AnomalyMap:
    """The map of an image at its working size, from what `look` makes of its tiles (b, 3, side, side).

    Where tiles overlap, one fades into the other, so that no seam shows; `together` tiles are in memory.
    """
    size = image.shape[1], image.shape[2]
    places = boxes(size, side)
    fades_down, fades_across = (_fades(length, side) for length in size)
    total = image.new_zeros(size)
    for first in range(0, len(places), together):
        some = places[first : first + together]
        maps = look(torch.stack([box.of(image) for box in some]))
        for box, found in zip(some, maps, strict=True):
            box.of(total).add_(found * torch.outer(fades_down[box.top], fades_across[box.left]).to(found))
    return total


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin along a line: evenly spread, steps differ by a pixel at most."""
    count = 1 + -(-(length - side) // (side - side // OVERLAP))
    return [round(index * (length - side) / max(1, count - 1)) for index in range(count)]


def _fades(length: int, side: int) -> dict[int, Float[Tensor, " side"]]:
    """The weight of each pixel along a tile, by where the tile begins; at every pixel they add up to 1.

    It falls linearly towards an edge where another tile goes on, and not where the image ends.
    """
    starts = _starts(length, side)
    rise = (torch.arange(1.0, side + 1) / (side // OVERLAP)).clamp(max=1)
    weights = {}
    for start in starts:
        weights[start] = torch.ones(side)
        if start > 0:
            weights[start] *= rise
        if start + side < length:
            weights[start] *= rise.flip(0)
    total = torch.zeros(length)
    for start in starts:
        total[start : start + side] += weights[start]
    return {start: weight / total[start : start + side] for start, weight in weights.items()}
