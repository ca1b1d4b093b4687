"""What may vary is measured: parts that lie one way are told from parts that lie in all ways."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flawtrace.ground.groups import VariationConfig
from flawtrace.pictures.disturbance import moved
from flawtrace.pictures.turns import turned
from flawtrace.pictures.variation import FEWEST, GROUPS, in_words, measure, settled


def parts(count: int, seed: int = 0) -> torch.Tensor:
    """A part with no symmetry, the same way round each time, with a little noise and another place."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.full((count, 3, 64, 64), 0.2)
    images[:, :, 8:56, 12:24] = 0.8
    images[:, 0, 8:20, 12:50] = 0.9
    shift = 0.01 * torch.randn(count, 2, generator=rng)
    zero = torch.zeros(count)
    placed = moved(images, zero, shift, 1 + zero)
    return (placed + 0.02 * torch.randn(images.shape, generator=rng)).clamp(0, 1)


def lying(group: tuple[int, ...], count: int = 48) -> torch.Tensor:
    """The part, each time in another way of the group."""
    return torch.stack([turned(part, group[i % len(group)]) for i, part in enumerate(parts(count))])


@pytest.mark.parametrize("group", GROUPS)
def test_no_way_in_which_a_part_is_seen_is_missed(group: tuple[int, ...]) -> None:
    assert set(group) <= set(measure(lying(group)).seen)


@pytest.mark.parametrize("group", [(0,), (0, 4), (0, 6), (0, 2, 4, 6), GROUPS[0]])
def test_the_ways_in_which_a_part_is_seen_are_found(group: tuple[int, ...]) -> None:
    assert measure(lying(group)).seen == group


@pytest.mark.parametrize("count", [12, 24])
def test_small_sets_are_enough_for_a_part_that_always_lies_the_same_way(count: int) -> None:
    assert measure(parts(count)).seen == (0,)


@given(st.integers(0, 7), st.integers(0, 7))
def test_groups_are_closed(first: int, second: int) -> None:
    """What two of its ways make of an image is one of its ways."""
    image = torch.arange(9.0).view(1, 3, 3)
    both = turned(turned(image, first), second)
    (way,) = [way for way in range(8) if turned(image, way).equal(both)]
    for group in GROUPS:
        assert way in group or not {first, second} <= set(group)


def test_small_changes_that_parts_do_not_show_are_not_made() -> None:
    found = settled(VariationConfig(), parts(40))
    assert found.ways == (0,)
    assert found.angle is not None and found.angle <= 3
    assert found.shift is not None and found.shift <= 0.03


def test_small_changes_that_parts_show_are_made() -> None:
    rng = torch.Generator().manual_seed(1)
    still, count = parts(60), 60
    angle = 60 * torch.rand(count, generator=rng) - 30
    images = moved(still, angle, torch.zeros(count, 2), torch.ones(count))
    found = settled(VariationConfig(), images)
    assert found.angle is not None and found.angle >= 10


def test_a_setting_overrules_the_measurement() -> None:
    found = settled(VariationConfig(ways=(0, 4), angle=7.0), parts(20))
    assert (found.ways, found.angle) == ((0, 4), 7.0)


def test_of_too_few_images_nothing_is_told_and_everything_allowed() -> None:
    found = settled(VariationConfig(), parts(FEWEST - 1))
    assert found.ways == GROUPS[0]
    assert None not in dict(found).values()


def test_blank_images_have_no_way_round() -> None:
    assert measure(torch.full((10, 3, 64, 64), 0.5)).seen == GROUPS[0]


def test_what_was_found_is_said_in_words() -> None:
    assert len({in_words(group) for group in GROUPS}) >= 7
    assert in_words((0,)) == "always lies the same way"
