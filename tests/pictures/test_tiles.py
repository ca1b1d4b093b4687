from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from flawtrace.ground.config import Config
from flawtrace.pictures.tiles import OVERLAP, boxes, joined_map, working_size

SIDE = 32
sizes = st.tuples(st.integers(SIDE, 300), st.integers(SIDE, 300))


@given(sizes)
def test_tiles_cover_every_pixel_and_leave_the_image_nowhere(size: tuple[int, int]) -> None:
    seen = torch.zeros(size)
    for box in boxes(size, SIDE):
        assert box.of(seen).shape == (SIDE, SIDE)
        box.of(seen).add_(1)
    assert seen.min() >= 1


@given(sizes)
def test_neighbours_share_at_least_a_quarter(size: tuple[int, int]) -> None:
    lefts = sorted({box.left for box in boxes(size, SIDE)})
    steps = [after - before for before, after in pairwise(lefts)]
    assert all(0 < step <= SIDE - SIDE // OVERLAP for step in steps)


@given(sizes)
def test_tiles_that_agree_make_the_map_they_agree_on(size: tuple[int, int]) -> None:
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(joined_map(image, SIDE, lambda tiles: tiles[:, 0]), image[0], atol=1e-6)


@pytest.mark.parametrize("size", [(SIDE, 300), (100, 75), (33, 33), (57, 56)])
def test_tiles_that_disagree_leave_no_seam(size: tuple[int, int]) -> None:
    level = iter(torch.rand(1000, generator=torch.Generator().manual_seed(2)))

    def each_its_own_level(tiles: Tensor) -> Tensor:
        return torch.stack([torch.full((SIDE, SIDE), float(next(level))) for _ in tiles])

    found = joined_map(torch.zeros(3, *size), SIDE, each_its_own_level)
    steps = torch.cat([found.diff(dim=axis).abs().flatten() for axis in (0, 1)])
    assert 0 <= found.min() <= found.max() <= 1
    assert steps.max() <= 2 / (SIDE // OVERLAP)


def test_one_tile_is_the_image_itself_bit_by_bit() -> None:
    image = torch.rand(3, SIDE, SIDE)
    assert joined_map(image, SIDE, lambda tiles: tiles[:, 1]).equal(image[1])


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(128, 4000))
def test_a_working_size_holds_at_least_one_tile(height: int, width: int, tile_side: int) -> None:
    found = working_size((height, width), Config(tile_side=tile_side))
    assert min(found) >= Config().image_side
    scale = Config().image_side / tile_side
    assert found[1] == max(Config().image_side, round(width * scale))


def test_without_tiles_every_image_is_one_square() -> None:
    assert working_size((4096, 17), Config()) == (256, 256)
