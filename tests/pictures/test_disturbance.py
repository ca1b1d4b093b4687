"""What another day's camera does: images stay images, and nothing is done where nothing is asked."""

from collections.abc import Callable

import pytest
import torch

from flawtrace.ground.shapes import Images
from flawtrace.pictures.disturbance import (
    another_day,
    blurred,
    compressed,
    defocused,
    lit,
    moved,
    noisy,
    sharpened,
    tinted,
)

Change = Callable[[Images, torch.Generator], Images]
CHANGES: dict[str, Change] = {
    "lit": lambda images, _: lit(images, torch.full((len(images),), 1.5)),
    "blurred": lambda images, _: blurred(images, 1.0),
    "sharpened": lambda images, _: sharpened(images, 1.0),
    "compressed": lambda images, _: compressed(images, 50),
    "noisy": lambda images, rng: noisy(images, 0.1, rng),
    "tinted": lambda images, _: tinted(images, 0.1),
    "defocused": defocused,
    "another day": lambda images, rng: torch.stack([another_day(image, rng) for image in images]),
}


def still(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.zeros(count), torch.zeros(count, 2), torch.ones(count)


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_image_is_an_image_and_another(name: str, rng: torch.Generator) -> None:
    images = torch.rand(2, 3, 40, 48, generator=rng)
    changed = CHANGES[name](images, rng)
    assert changed.shape == images.shape
    assert changed.min() >= 0 and changed.max() <= 1
    assert not changed.equal(images)


def test_not_moved_is_as_it_was(rng: torch.Generator) -> None:
    images = torch.rand(2, 3, 40, 48, generator=rng)
    assert moved(images, *still(2)).allclose(images, atol=1e-5)


def test_a_shift_is_in_shares_of_the_side() -> None:
    images = torch.zeros(1, 1, 20, 20)
    images[..., 10, 10] = 1
    zero, _, one = still(1)
    there = moved(images, zero, torch.tensor([[0.1, 0.25]]), one)
    assert there[0, 0, 15, 12] == pytest.approx(1, abs=1e-4)


def test_at_the_border_the_image_goes_on_or_is_black() -> None:
    white = torch.ones(1, 3, 32, 32)
    turn, still_there, one = torch.tensor([30.0]), torch.zeros(1, 2), torch.ones(1)
    assert moved(white, turn, still_there, one).allclose(white, atol=1e-4)
    assert moved(white, turn, still_there, one, border="black").min() == 0
