"""The eight orientations of a square, and maps that are averaged over some of them."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from flawtrace.shapes import Images

WAYS: dict[int, tuple[int, ...]] = {1: (0,), 2: (0, 4), 4: (0, 2, 4, 6), 8: tuple(range(8))}
"""By number: as it is; mirrored; mirrored both ways; and with quarter turns."""

Look: TypeAlias = Callable[[Images], Float[Tensor, "b maps side side"]]


def turned(maps: Tensor, way: int) -> Tensor:
    """Maps (..., s, s) in one of a square's eight orientations: `way` // 4 mirrors, `way` % 4 turns."""
    return torch.rot90(maps.flip(-1) if way >= 4 else maps, way % 4, (-2, -1))


def turned_back(maps: Tensor, way: int) -> Tensor:
    """What `turned` made of maps, as it was."""
    back = torch.rot90(maps, -(way % 4), (-2, -1))
    return back.flip(-1) if way >= 4 else back


def averaged(images: Images, orientations: int, look: Look) -> Float[Tensor, "b maps side side"]:
    """What `look` makes of the images in so many orientations, turned back, on average.

    >>> left_half = lambda images: images * torch.tensor([1.0, 1.0, 0.0, 0.0])
    >>> averaged(torch.ones(1, 1, 4, 4), 2, left_half)[0, 0, 0].tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    if orientations == 1:
        return look(images)
    maps = [turned_back(look(turned(images, way)), way) for way in WAYS[orientations]]
    return torch.stack(maps).mean(dim=0)
