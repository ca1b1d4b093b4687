import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flawtrace.ground.groups import VariationConfig
from flawtrace.pictures.augmentation import augment, paste

PAPER = VariationConfig(
    ways=(0, 2, 4, 6), angle=30.0, shift=0.1, scale=0.0, shear=20.0, light=0.0, border="black", other_days=0.0
)


def copied(
    images: torch.Tensor, masks: torch.Tensor, copies: int, seed: int, variation: VariationConfig = PAPER
) -> tuple[torch.Tensor, torch.Tensor]:
    return augment(images, masks, copies, variation, torch.Generator().manual_seed(seed))


def square() -> tuple[torch.Tensor, torch.Tensor]:
    """An image whose bright square is its mask."""
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[:, 16:40, 24:52] = True
    return mask[:, None].float().expand(-1, 3, -1, -1), mask


def test_a_copys_mask_moves_with_its_image() -> None:
    images, masks = copied(*square(), copies=10, seed=3)
    bright = images.mean(dim=1) > 0.5
    overlap = (bright & masks).sum(dim=(1, 2)) / (bright | masks).sum(dim=(1, 2))
    assert overlap.min() > 0.9


def test_copies_differ_from_each_other_and_from_their_image() -> None:
    images, masks = square()
    _, copies = copied(images, masks, copies=5, seed=3)
    assert len({tuple(copy.flatten().tolist()) for copy in [*copies, *masks]}) == 6


def test_copies_of_the_first_image_come_first() -> None:
    levels = torch.tensor([0.2, 0.8])[:, None, None, None].expand(-1, 3, 32, 32)
    images, _ = copied(levels, torch.zeros(2, 32, 32, dtype=torch.bool), copies=3, seed=0)
    assert images[:, 0, 16, 16].tolist() == pytest.approx([0.2] * 3 + [0.8] * 3, abs=1e-4)


def test_what_comes_in_from_outside_is_black_and_normal() -> None:
    white, everywhere = torch.ones(1, 3, 32, 32), torch.ones(1, 32, 32, dtype=torch.bool)
    images, masks = copied(white, everywhere, copies=5, seed=0)
    assert not images[~masks[:, None].expand(-1, 3, -1, -1)].gt(0.5).any()
    assert not masks.all()


def test_what_comes_in_from_outside_can_be_the_image_going_on() -> None:
    white, everywhere = torch.ones(1, 3, 32, 32), torch.ones(1, 32, 32, dtype=torch.bool)
    going_on = PAPER.model_copy(update={"border": "continued"})
    images, masks = copied(white, everywhere, copies=5, seed=0, variation=going_on)
    assert masks.all()
    assert images.min() > 0.99


def test_copies_of_a_part_that_never_moves_are_as_it_is() -> None:
    still = VariationConfig(ways=(0,), angle=0.0, shift=0.0, scale=0.0, shear=0.0, light=0.0, other_days=0.0)
    images, masks = square()
    same, same_masks = copied(images, masks, copies=3, seed=0, variation=still)
    assert same.allclose(images.expand(3, -1, -1, -1), atol=1e-4)
    assert same_masks.equal(masks.expand(3, -1, -1))


def test_the_same_seed_gives_the_same_copies() -> None:
    one, other = (copied(*square(), copies=3, seed=5) for _ in range(2))
    assert all(part.equal(again) for part, again in zip(one, other, strict=True))


def test_another_seed_gives_other_copies() -> None:
    assert not copied(*square(), copies=3, seed=5)[0].equal(copied(*square(), copies=3, seed=6)[0])


def test_no_copies_are_none() -> None:
    images, masks = copied(*square(), copies=0, seed=5)
    assert (len(images), len(masks)) == (0, 0)


def test_augmenting_leaves_the_global_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    copied(*square(), copies=2, seed=5)
    assert torch.get_rng_state().equal(before)


def spotted(row: int, column: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A grey image whose left half is darker, with a white spot of 8 x 8 pixels that is its mask."""
    image = torch.full((1, 3, 64, 64), 0.6)
    image[..., :32] = 0.2
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[:, row : row + 8, column : column + 8] = True
    image[:, :, mask[0]] = 1.0
    return image, mask


def plain() -> torch.Tensor:
    image = torch.full((1, 3, 64, 64), 0.6)
    image[..., :32] = 0.2
    return image


@given(st.integers(0, 56), st.integers(0, 56), st.integers(0, 99))
def test_a_pasted_defect_is_where_its_mask_says_and_whole(row: int, column: int, seed: int) -> None:
    images, masks, _ = paste(*spotted(row, column), plain(), 3, torch.Generator().manual_seed(seed))
    assert masks.sum(dim=(1, 2)).tolist() == [64] * 3
    assert all(image[:, mask].allclose(torch.tensor(1.0)) for image, mask in zip(images, masks, strict=True))


def test_far_from_a_pasted_defect_the_normal_image_is_as_it_was(rng: torch.Generator) -> None:
    """And it is known which one it was."""
    normal = torch.cat([plain(), plain().flip(-1), plain() / 2])
    images, masks, onto = paste(*spotted(20, 40), normal, 24, rng)
    near = torch.nn.functional.max_pool2d(masks[:, None].float(), 13, 1, 6) > 0
    changed = (images - normal[onto]).abs() > 1e-6
    assert not (changed & ~near).any()
    assert set(onto.tolist()) == {0, 1, 2}


def test_a_defect_goes_to_where_its_surroundings_fit(rng: torch.Generator) -> None:
    """The spot lies on the light half; turned or not, it is pasted onto what is as light."""
    _, masks, _ = paste(*spotted(24, 46), plain(), 12, rng)
    assert not masks[..., :32].any()


def test_pasted_defects_come_to_many_places(rng: torch.Generator) -> None:
    _, masks, _ = paste(*spotted(24, 46), plain(), 12, rng)
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) > 6


def test_a_mask_without_a_defect_is_no_source(rng: torch.Generator) -> None:
    image, mask = spotted(20, 40)
    images, masks = torch.cat([image, image]), torch.cat([torch.zeros_like(mask), mask])
    _, pasted, _ = paste(images, masks, plain(), 6, rng)
    assert pasted.flatten(1).any(dim=1).all()


def test_a_defect_that_fills_its_image_fills_the_other(rng: torch.Generator) -> None:
    full = torch.ones(1, 64, 64, dtype=torch.bool)
    images, masks, _ = paste(torch.ones(1, 3, 64, 64), full, plain(), 1, rng)
    assert masks.all()
    assert images.allclose(torch.ones(1))


def test_pasting_with_the_same_seed_gives_the_same_images() -> None:
    one, other = (paste(*spotted(9, 40), plain(), 3, torch.Generator().manual_seed(4)) for _ in range(2))
    assert all(part.equal(again) for part, again in zip(one, other, strict=True))
