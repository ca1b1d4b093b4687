"""Many labelled images from a few: random copies, and defects pasted onto normal images."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from flawtrace.ground.groups import VariationConfig
from flawtrace.ground.shapes import Image, Images, Mask, Masks
from flawtrace.pictures.disturbance import defocused, lit, moved
from flawtrace.pictures.turns import turned

SQUARE = 4
"""Pixels along the squares by which places for a defect are compared."""
RING = 3
"""Squares around a defect that must look alike where it comes from and where it goes."""
PLACES = 20
"""Best places of an image among which one is drawn."""
PIECES = 3
"""At most so many of a mask's separate pieces are pasted into one image."""


def augment(
    images: Images, masks: Masks, copies: int, variation: VariationConfig, rng: torch.Generator
) -> tuple[Float[Tensor, "copies c h w"], Bool[Tensor, "copies h w"]]:
    """Random copies that vary as normal images do, those of the first image first.

    Image and mask move together. What comes in from outside is black and normal, or the image and its mask
    mirrored at the border. A share `other_days` of the copies is blurred, compressed or noisy as well.
    """
    repeated = images.repeat_interleave(copies, dim=0)
    labels = masks.repeat_interleave(copies, dim=0)
    if not len(repeated):
        return repeated, labels
    both = torch.cat([repeated, labels[:, None].to(repeated)], dim=1)
    ways = variation.ways or (0,)
    both = torch.stack([turned(one, ways[_draw(len(ways), rng)]) for one in both])
    angle, scale, light = (
        (greatest or 0.0) * _either_way(len(both), rng)
        for greatest in (variation.angle, variation.scale, variation.light)
    )
    shift, shear = (
        (greatest or 0.0) * _either_way(2 * len(both), rng).view(-1, 2)
        for greatest in (variation.shift, variation.shear)
    )
    both = moved(both, angle, shift, 1 + scale, shear=shear, border=variation.border)
    copied = lit(both[:, :3].clamp(0, 1), 1 + light)
    spoilt = torch.rand(len(copied), generator=rng) < variation.other_days
    for index in spoilt.nonzero()[:, 0].tolist():
        copied[index] = defocused(copied[index][None], rng)[0]
    return copied, both[:, 3] > 0.5


class Pasted(NamedTuple):
    """Images with defects that were cut out of others."""

    images: Images
    masks: Masks
    onto: Int[Tensor, " b"]
    """Rows of the normal images that they were."""


def paste(
    images: Images, masks: Masks, normal: Float[Tensor, "m c h w"], count: int, rng: torch.Generator
) -> Pasted:
    """Defects cut out of `images` by their masks, on `normal` images where their surroundings fit.

    Each result takes a random image with a defect, in one of its eight orientations, and a random normal one.
    Sides are multiples of `SQUARE`.
    """
    sources = masks.flatten(1).any(dim=1).nonzero()[:, 0]
    assert len(sources), "no mask shows a defect"
    pasted, onto = [], []
    for _ in range(count):
        source = sources[_draw(len(sources), rng)]
        onto.append(_draw(len(normal), rng))
        target, way = normal[onto[-1]].float(), _draw(8, rng)
        pasted.append(_pasted(turned(images[source].float(), way), turned(masks[source], way), target, rng))
    made, where = (torch.stack(parts) for parts in zip(*pasted, strict=True))
    return Pasted(made, where, torch.tensor(onto))


@dataclass(frozen=True)
class _Shift:
    """How far a defect moves, in pixels."""

    down: int
    right: int


def _pasted(source: Image, mask: Mask, target: Image, rng: torch.Generator) -> tuple[Image, Mask]:
    """`target` with some pieces of the defect, and where they are."""
    marked = torch.zeros_like(mask)
    pieces = _pieces(mask)
    for index in torch.randperm(len(pieces), generator=rng)[:PIECES].tolist():
        shift = _fitting(source, pieces[index], target, rng)
        here = _shifted(pieces[index], shift)
        alpha = _feathered(here)
        target = target * (1 - alpha) + _shifted(source, shift) * alpha
        marked = marked | here
    return target, marked


def _pieces(mask: Mask) -> list[Mask]:
    """The mask's parts that lie more than a few pixels from each other."""
    grown = ndimage.binary_dilation(mask.numpy(), iterations=RING)
    labels, count = ndimage.label(grown, structure=np.ones((3, 3)))
    return [torch.from_numpy(labels == label) & mask for label in range(1, count + 1)]


def _fitting(source: Image, piece: Mask, target: Image, rng: torch.Generator) -> _Shift:
    """One of the places in `target` that look most like the surroundings of the piece in `source`.

    Compared are the squares of a ring around the piece, by the sum of squared differences.
    """
    theirs, ours = (F.avg_pool2d(image[None], SQUARE) for image in (source, target))
    defect = F.max_pool2d(piece[None, None].float(), SQUARE)
    grown = F.max_pool2d(defect, 2 * RING + 1, 1, RING)[0, 0]
    rows, columns = grown.nonzero(as_tuple=True)
    top, left = int(rows.min()), int(columns.min())
    box = (slice(top, int(rows.max()) + 1), slice(left, int(columns.max()) + 1))
    ring = (grown - defect[0, 0])[box]
    around = theirs[0][(slice(None), *box)] * ring
    differences = F.conv2d(ours.square().sum(dim=1, keepdim=True), ring[None, None])
    differences = differences - 2 * F.conv2d(ours, around[None])
    best = differences.flatten().topk(min(PLACES, differences.numel()), largest=False).indices
    place, width = int(best[_draw(len(best), rng)]), differences.shape[3]
    return _Shift(SQUARE * (place // width - top), SQUARE * (place % width - left))


def _shifted(maps: Tensor, shift: _Shift) -> Tensor:
    """Moved (..., h, w), with zeros where nothing comes from."""
    height, width = maps.shape[-2:]
    moved = torch.zeros_like(maps)
    rows, columns = _overlap(shift.down, height), _overlap(shift.right, width)
    moved[..., rows[1], columns[1]] = maps[..., rows[0], columns[0]]
    return moved


def _overlap(shift: int, side: int) -> tuple[slice, slice]:
    """Where what stays inside comes from, and where it goes."""
    count = side - abs(shift)
    return slice(max(0, -shift), max(0, -shift) + count), slice(max(0, shift), max(0, shift) + count)


def _feathered(mask: Mask) -> Float[Tensor, "1 h w"]:
    """1 on the mask, falling to 0 within a few pixels around it."""
    grown = F.max_pool2d(mask[None, None].float(), 5, 1, 2)
    return F.avg_pool2d(grown, 5, 1, 2, count_include_pad=False)[0]


def _either_way(count: int, rng: torch.Generator) -> Float[Tensor, " count"]:
    """From -1 to 1."""
    return 2 * torch.rand(count, generator=rng) - 1


def _draw(count: int, rng: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=rng))
