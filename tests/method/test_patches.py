import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from flawtrace.method.patches import (
    MOVES,
    add_boxes,
    clamp,
    crop,
    edges,
    mean_under,
    put_boxes,
    random_centers,
    shift,
    standardized,
    static_maps,
)

HEIGHT, WIDTH = 20, 28
sides = st.integers(1, 20)
anywhere = st.lists(st.tuples(st.integers(-50, 80), st.integers(-50, 80)), min_size=1, max_size=5).map(
    torch.tensor
)
seeds = st.integers(0, 1000)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def planes(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=generator(1))


def lies_in_the_grid(centers: torch.Tensor, side: int) -> bool:
    first = centers - side // 2
    return bool((first >= 0).all() and (first + side <= torch.tensor([HEIGHT, WIDTH])).all())


@given(anywhere, sides)
def test_a_clamped_patch_lies_in_the_grid(centers: torch.Tensor, side: int) -> None:
    assert lies_in_the_grid(clamp(centers, HEIGHT, WIDTH, side), side)


@given(anywhere, sides)
def test_clamping_twice_is_clamping_once(centers: torch.Tensor, side: int) -> None:
    once = clamp(centers, HEIGHT, WIDTH, side)
    assert clamp(once, HEIGHT, WIDTH, side).equal(once)


@given(seeds, sides)
def test_a_random_patch_lies_in_the_grid_and_stays_where_it_is(seed: int, side: int) -> None:
    centers = random_centers(50, HEIGHT, WIDTH, side, generator(seed))
    assert lies_in_the_grid(centers, side)
    assert clamp(centers, HEIGHT, WIDTH, side).equal(centers)


def test_random_patches_reach_every_corner() -> None:
    centers = random_centers(2000, 10, 10, 4, generator(0))
    assert centers.amin(dim=0).tolist() == [2, 2]
    assert centers.amax(dim=0).tolist() == [8, 8]


@given(anywhere, sides, st.integers(1, 8))
def test_a_shifted_patch_lies_in_the_grid(centers: torch.Tensor, side: int, action: int) -> None:
    moved = shift(centers, torch.full((len(centers),), action), 5, HEIGHT, WIDTH, side=side)
    assert lies_in_the_grid(moved, side)


def test_the_eight_shifts_go_to_the_eight_neighbours() -> None:
    middle = torch.tensor([[10, 14]]).expand(9, 2)
    moved = shift(middle, torch.arange(9), 3, HEIGHT, WIDTH, side=4)
    assert sorted(((moved - middle) // 3).tolist()) == [[y, x] for y in (-1, 0, 1) for x in (-1, 0, 1)]
    assert MOVES[0].tolist() == [0, 0]


@given(seeds, sides)
def test_a_crop_inside_the_grid_is_a_slice(seed: int, side: int) -> None:
    images = planes(3, 2, HEIGHT, WIDTH)
    centers = random_centers(3, HEIGHT, WIDTH, side, generator(seed))
    boxes = crop(images, torch.tensor([2, 0, 2]), centers, side)
    for box, index, (row, column) in zip(boxes, (2, 0, 2), (centers - side // 2).tolist(), strict=True):
        assert box.equal(images[index, :, row : row + side, column : column + side])


@given(anywhere, sides)
def test_a_crop_outside_the_grid_repeats_the_edge(centers: torch.Tensor, side: int) -> None:
    image = planes(1, 2, HEIGHT, WIDTH)
    padded = F.pad(image, (100, 100, 100, 100), mode="replicate")
    first = torch.zeros(len(centers), dtype=torch.long)
    assert crop(image, first, centers, side).equal(crop(padded, first, centers + 100, side))


def test_a_crop_of_half_precision_is_float32() -> None:
    box = crop(planes(1, 1, 8, 8).half(), torch.tensor([0]), torch.tensor([[4, 4]]), 4)
    assert box.dtype == torch.float32


@given(seeds, st.integers(1, 12), sides)
def test_visits_add_up_to_the_area_of_the_patches(seed: int, count: int, side: int) -> None:
    visits = torch.zeros(3, HEIGHT, WIDTH)
    centers = random_centers(count, HEIGHT, WIDTH, side, generator(seed))
    add_boxes(visits, torch.randint(3, (count,), generator=generator(seed)), centers, side)
    assert visits.sum() == count * side**2


def test_two_patches_on_the_same_place_are_two_visits() -> None:
    visits = torch.zeros(1, 8, 8)
    add_boxes(visits, torch.tensor([0, 0]), torch.tensor([[4, 4], [4, 4]]), 2)
    assert visits[0, 3:5, 3:5].tolist() == [[2, 2], [2, 2]]


def test_of_two_overlapping_boxes_the_last_one_counts() -> None:
    maps = torch.zeros(2, 8, 8)
    values = torch.stack([torch.full((4, 4), 1.0), torch.full((4, 4), 2.0)])
    put_boxes(maps, torch.tensor([1, 1]), torch.tensor([[3, 3], [4, 4]]), values)
    expected = torch.zeros(2, 8, 8)
    expected[1, 1:5, 1:5] = 1
    expected[1, 2:6, 2:6] = 2
    assert maps.equal(expected)


@given(seeds, sides)
def test_what_is_put_in_a_box_is_found_by_a_crop(seed: int, side: int) -> None:
    maps, values = torch.zeros(2, HEIGHT, WIDTH), planes(1, side, side)
    center, index = random_centers(1, HEIGHT, WIDTH, side, generator(seed)), torch.tensor([1])
    put_boxes(maps, index, center, values)
    assert crop(maps[:, None], index, center, side)[:, 0].equal(values)


def test_the_mean_under_a_box_is_the_mean_of_its_slice() -> None:
    maps = planes(2, HEIGHT, WIDTH)
    mean = mean_under(maps, torch.tensor([1]), torch.tensor([[6, 9]]), 4)
    assert mean.item() == pytest.approx(maps[1, 4:8, 7:11].mean().item())


def test_a_plain_image_has_no_edges() -> None:
    assert edges(torch.full((1, 3, 16, 16), 0.5)).max() < 0.0011  # what kornia adds to keep its root smooth


def test_edges_are_strongest_where_the_image_changes() -> None:
    image = torch.zeros(1, 3, 16, 16)
    image[..., 8:] = 1
    assert edges(image)[0].mean(dim=0).argmax() in (7, 8)


@given(seeds, st.sampled_from([0.0, 1e-6, 1.0]))
def test_static_maps_lie_in_zero_to_one(seed: int, contrast: float) -> None:
    images = 0.5 + contrast * (torch.rand(2, 3, 12, 12, generator=generator(seed)) - 0.5)
    maps = static_maps(images, contrast * torch.rand(2, 12, 12, generator=generator(seed + 1)))
    assert maps.min() >= 0
    assert maps.max() <= 1


def test_a_static_map_depends_on_its_image_alone() -> None:
    images, errors = planes(3, 3, 12, 12), planes(3, 12, 12)
    together = static_maps(images, errors)
    alone = torch.cat([static_maps(images[[i]], errors[[i]]) for i in range(3)])
    assert together.allclose(alone, atol=1e-6)


def test_a_static_map_is_high_where_the_error_is() -> None:
    errors = torch.zeros(1, 12, 12)
    errors[0, 3, 5] = 1
    assert static_maps(planes(1, 3, 12, 12), errors).argmax() == 3 * 12 + 5


@given(seeds, st.integers(1, 8))
def test_standardized_texture_has_mean_0_and_deviation_1_under_patches(seed: int, side: int) -> None:
    texture = standardized(torch.rand(2, 12, 12, generator=generator(seed)), side)
    under = F.avg_pool2d(texture[:, None], side, stride=1)
    assert under.mean().item() == pytest.approx(0, abs=1e-4)
    assert under.std().item() == pytest.approx(1, abs=1e-3)
