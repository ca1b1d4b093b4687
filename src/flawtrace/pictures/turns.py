"""The eight orientations of a square, and maps that are averaged over some of them."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from flawtrace.ground.shapes import Images

EVERY = tuple(range(8))
PREFERRED = (0, 2, 4, 6, 1, 3, 5, 7)
"""As it is; upside down, by half a turn; both mirrored; and all that by quarter turns."""

Maps: TypeAlias = Float[Tensor, "_b _maps _side _side"]
Look: TypeAlias = Callable[[Images], list[Maps]]


def turned(maps: Tensor, way: int) -> Tensor:
    """Maps (..., s, s) in one of a square's eight orientations: `way` // 4 mirrors, `way` % 4 turns."""
    return torch.rot90(maps.flip(-1) if way >= 4 else maps, way % 4, (-2, -1))


def turned_back(maps: Tensor, way: int) -> Tensor:
    """What `turned` made of maps, as it was."""
    back = torch.rot90(maps, -(way % 4), (-2, -1))
    return back.flip(-1) if way >= 4 else back


def some(ways: Sequence[int], count: int) -> tuple[int, ...]:
    """At most `count` of the ways, the preferred ones.

    >>> some(EVERY, 2), some((0, 4), 8)
    ((0, 2), (0, 4))
    """
    return tuple(sorted([way for way in PREFERRED if way in ways][:count]))


def averaged(images: Images, ways: Sequence[int], look: Look) -> list[Maps]:
    """Each of the maps that `look` makes of the images, on average over these ways round, turned back.

    >>> left_half = lambda images: [images * torch.tensor([1.0, 1.0, 0.0, 0.0])]
    >>> averaged(torch.ones(1, 1, 4, 4), (0, 2), left_half)[0][0, 0, 0].tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    if tuple(ways) == (0,):
        return look(images)
    looks = [look(turned(images, way)) for way in ways]
    return [
        torch.stack([turned_back(*pair) for pair in zip(several, ways, strict=True)]).mean(dim=0)
        for several in zip(*looks, strict=True)
    ]
