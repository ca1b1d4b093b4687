"""What normal images vary in: the ways round in which a part is seen, its angle, place, size and light.

Measured on the images themselves, without a label and without a network. An image becomes a *thumbnail*:
16 x 16 means of colour and of differences between neighbouring pixels. How unlike the others an image is, is
the distance of its thumbnail from theirs, in deviations at each place. A change is one that normal images
show by themselves if most images, so changed, are no more unlike the others than one in ten is as it is.

Means and deviations know one mode: of a part that is seen in quarter turns and never mirrored they do not
tell that it is never mirrored. Then more is allowed than is seen, never less.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from flawtrace.ground.groups import VariationConfig
from flawtrace.ground.learner import generator
from flawtrace.ground.shapes import Images
from flawtrace.pictures.disturbance import lit, moved
from flawtrace.pictures.turns import turned

FEWEST = 6
"""Normal images from which anything can be measured."""
MEASURED = 100
"""Normal images that are looked at, at most."""
SIDE = 128
"""Pixels along the images of which thumbnails after small changes are made."""
USUAL = 0.9
"""Quantile of how unlike the others images are: what is beyond is unusual."""

ANGLES, SHIFTS = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0), (0.01, 0.02, 0.03, 0.05, 0.1)
SCALES, LIGHTS = (0.01, 0.02, 0.03, 0.05, 0.1), (0.02, 0.05, 0.1, 0.15)
"""In degrees, and in shares of the side, of the size and of the brightness; each is tried both ways."""

GROUPS: tuple[tuple[int, ...], ...] = (
    (0, 1, 2, 3, 4, 5, 6, 7),
    (0, 2, 4, 6),
    (0, 1, 2, 3),
    (0, 2, 5, 7),
    (0, 2),
    (0, 4),
    (0, 6),
    (0, 5),
    (0, 7),
    (0,),
)
"""Ways of `turned` that can go together: what two of them make of an image is one of them again."""

Thumbnails: TypeAlias = Float[Tensor, "n 5 16 16"]


@dataclass(frozen=True)
class Measured:
    """How unlike the others normal images become, in units of what is usual; up to 1 is like normal."""

    ways: tuple[float, ...]
    """In each of the eight ways."""
    images: int

    @property
    def seen(self) -> tuple[int, ...]:
        """The largest group of ways of which normal images show each."""
        return next(group for group in GROUPS if all(self.ways[way] <= 1 for way in group[1:]))


def settled(config: VariationConfig, images: Images) -> VariationConfig:
    """The settings with a number for each that was to be measured, on square normal images.

    Of fewer than `FEWEST` images nothing can be told: then a part may be turned in every way, and small
    changes are those of the paper.
    """
    if len(images) < FEWEST:
        unknown = VariationConfig(ways=GROUPS[0], angle=30.0, shift=0.1, scale=0.0, shear=20.0, light=0.0)
        return _filled(config, unknown)
    images = images[:: -(-len(images) // MEASURED)]
    angle, shift, scale, light = _small_changes(images)
    found = VariationConfig(
        ways=measure(images).seen,
        angle=angle,
        shift=shift,
        scale=scale,
        shear=min(20.0, 2 / 3 * angle),
        light=light,
    )
    return _filled(config, found)


def measure(images: Images) -> Measured:
    """How unlike normal the images become in each of the eight ways."""
    changed = [thumbnails(turned(images, way)) for way in range(8)]
    return Measured(tuple(unlikeness(changed[0], changed)), len(images))


def thumbnails(images: Images) -> Thumbnails:
    """Means over 16 x 16 squares of colour, and of the differences between neighbours down and across."""
    grey = images.mean(dim=1, keepdim=True)
    down = F.pad((grey[..., 1:, :] - grey[..., :-1, :]).abs(), (0, 0, 0, 1))
    across = F.pad((grey[..., 1:] - grey[..., :-1]).abs(), (0, 1))
    return F.adaptive_avg_pool2d(torch.cat([images, 2 * across, 2 * down], dim=1), 16)


def unlikeness(normal: Thumbnails, changed: Sequence[Thumbnails]) -> list[float]:
    """Median distance of changed images from the others, by the `USUAL` quantile of unchanged ones.

    Each image, changed or not, is compared with the images of other folds, unchanged.
    """
    count = len(normal)
    num_folds = 5 if count < 15 else 3
    order = torch.randperm(count, generator=generator(0))
    distances = torch.zeros(len(changed), count)
    usual = torch.zeros(count)
    for fold in range(num_folds):
        held_out = order[fold::num_folds]
        others = normal[torch.isin(torch.arange(count), held_out, invert=True)]
        mean, spread = others.mean(dim=0), others.std(dim=0) + 0.01 * others.std() + 1e-6

        def distance(thumbs: Thumbnails) -> Float[Tensor, " n"]:
            return ((thumbs - mean) / spread).square().flatten(1).mean(dim=1).sqrt()  # noqa: B023

        usual[held_out] = distance(normal[held_out])
        for row, thumbs in zip(distances, changed, strict=True):
            row[held_out] = distance(thumbs[held_out])
    limit = torch.quantile(usual, USUAL).clamp_min(1e-6)
    return (distances.median(dim=1).values / limit).tolist()


def in_words(ways: Sequence[int]) -> str:
    """What the ways say of a part.

    >>> in_words((0,)), in_words((0, 4))
    ('always lies the same way', 'always lies the same way, or mirrored')
    """
    known = {
        GROUPS[0]: "lies in every way",
        (0, 2, 4, 6): "always lies the same way, or upside down, or mirrored",
        (0, 1, 2, 3): "is turned by quarter turns, never mirrored",
        (0, 2): "always lies the same way, or upside down",
        (0, 4): "always lies the same way, or mirrored",
        (0, 6): "always lies the same way, or mirrored",
        (0,): "always lies the same way",
    }
    return known.get(tuple(ways), "always lies the same way, or mirrored along a diagonal")


def _small_changes(images: Images) -> tuple[float, float, float, float]:
    """The greatest angle, shift, scale and light by which normal images vary."""
    small = F.interpolate(images, size=(SIDE, SIDE), mode="area")
    count = len(small)
    sign = torch.tensor([1.0, -1.0]).repeat(count // 2 + 1)[:count]
    aside = torch.stack([sign, torch.tensor([1.0, 1.0, -1.0, -1.0]).repeat(count // 4 + 1)[:count]], dim=1)
    zero, one = torch.zeros(count), torch.ones(count)
    still = torch.zeros(count, 2)
    ladders: list[tuple[tuple[float, ...], Callable[[float], Images]]] = [
        (ANGLES, lambda step: moved(small, step * sign, still, one)),
        (SHIFTS, lambda step: moved(small, zero, step * aside, one)),
        (SCALES, lambda step: moved(small, zero, still, 1 + step * sign)),
        (LIGHTS, lambda step: lit(small, 1 + step * sign)),
    ]
    steps = [(number, step) for number, (ladder, _) in enumerate(ladders) for step in ladder]
    changed = [thumbnails(ladders[number][1](step)) for number, step in steps]
    found = unlikeness(thumbnails(small), changed)
    greatest = [0.0] * len(ladders)
    for (number, step), value in zip(steps, found, strict=True):
        ladder = ladders[number][0]
        below = ladder[ladder.index(step) - 1] if ladder.index(step) else 0.0
        if value <= 1 and greatest[number] == below:
            greatest[number] = step
    return greatest[0], greatest[1], greatest[2], greatest[3]


def _filled(config: VariationConfig, found: VariationConfig) -> VariationConfig:
    """What the settings leave open, as it was found."""
    open_ = {name for name, value in config if value is None}
    return config.model_copy(update={name: value for name, value in found if name in open_})
