"""Defects that nobody photographed, on images of good parts, with their masks.

They teach what "does not belong here" looks like before there is a label: a shape of any size (a line, a
blob, a cloud) whose inside shows something else, as in DRAEM (Zavrtanik et al. 2021, arXiv 2108.07610),
CutPaste (Li et al. 2021, arXiv 2104.04015) and NSA (Schlüter et al. 2022, arXiv 2109.15222).
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import binary_closing, gaussian_filter
from torch import Tensor

from flawtrace.pictures.augmentation import Pasted
from flawtrace.pictures.outlines import Plane, bent_line, blob, clouds, smoothstep, stroke

Colours: TypeAlias = Float[np.ndarray, "3 _ _"]
Mask: TypeAlias = Bool[np.ndarray, "_ _"]
Pictures: TypeAlias = Float[np.ndarray, "n 3 h w"]

SIZES = 0.06, 0.7
"""Shares of the image's side that the square around a defect has: many are small, few large."""
MOST = 3
"""Defects in one image, at most."""
OPACITY = 0.35
"""Least share of a defect that covers what was there."""
VISIBLE = 0.04
"""Change of a colour, in [0, 1], from which a pixel belongs to the mask; the mean is half as much again."""
FEWEST = 12
"""Pixels that a defect has at least."""
PIECES = 0.5
"""Share of the defects that are a piece from elsewhere: of another image, or of the same one."""
ATTEMPTS = 10
"""Drawn again so often, if what came out cannot be seen."""


def make_up(images: Float[Tensor, "n 3 side side"], count: int, rng: torch.Generator) -> Pasted:
    """`count` of these images of good parts, in [0, 1], each with up to `MOST` made-up defects."""
    chosen = torch.randint(len(images), (count,), generator=rng)
    draws = np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
    normal = images.float().numpy()
    made, masks = np.empty((count, *normal.shape[1:]), np.float32), np.empty((count, *normal.shape[2:]), bool)
    for index, row in enumerate(chosen.tolist()):
        made[index], masks[index] = _spoilt(normal[row], normal, draws)
    return Pasted(torch.from_numpy(made), torch.from_numpy(masks), chosen)


def _spoilt(image: Colours, normal: Pictures, rng: np.random.Generator) -> tuple[Colours, Mask]:
    """The image with one defect at least, and where they show."""
    spoilt, mask = image.copy(), np.zeros(image.shape[1:], dtype=bool)
    likely = _likely(image)
    wanted = int(rng.integers(1, MOST + 1))
    for _ in range(ATTEMPTS * MOST):
        box = _box(likely, rng)
        part, shown = _with_defect(spoilt, box, normal, rng)
        if not shown.any():
            continue
        spoilt[:, *box], mask[box] = part, mask[box] | shown
        wanted -= 1
        if not wanted:
            break
    return spoilt, mask


def _likely(image: Colours) -> Float[np.ndarray, " pixels"]:
    """How likely each pixel is to be the middle of a defect: more where there is something to see."""
    edges = gaussian_filter(np.hypot(*np.gradient(image.mean(axis=0))), image.shape[1] / 85)
    likely = edges.ravel() / max(float(edges.sum()), 1e-9) + 0.3 / edges.size
    found: np.ndarray = likely / likely.sum()
    return found


def _box(likely: Float[np.ndarray, " pixels"], rng: np.random.Generator) -> tuple[slice, slice]:
    """A square around a drawn pixel, as far as it lies in the image."""
    height = width = round(len(likely) ** 0.5)
    side = round(width * float(np.exp(rng.uniform(*np.log(SIZES)))))
    row, column = divmod(int(rng.choice(len(likely), p=likely)), width)
    top, left = (min(max(middle - side // 2, 0), height - side) for middle in (row, column))
    return slice(top, top + side), slice(left, left + side)


def _with_defect(
    image: Colours, box: tuple[slice, slice], normal: Pictures, rng: np.random.Generator
) -> tuple[Colours, Mask]:
    """What the box shows with a defect in it, and where it can be seen; nowhere, if it came out too faint."""
    before = image[:, *box]
    alpha = _alpha(before.shape[1], rng) * rng.uniform(OPACITY, 1)
    after = (before + alpha * (_filling(image, box, normal, rng) - before)).clip(0, 1)
    change = gaussian_filter(np.abs(after - before).max(axis=0), 0.7)
    shown = binary_closing(np.pad(change > VISIBLE, 4), iterations=2)[4:-4, 4:-4] & (alpha > alpha.max() / 2)
    if shown.sum() < FEWEST or change[shown].mean() < 1.5 * VISIBLE:
        shown = np.zeros_like(shown)
    return after.astype(np.float32), shown


def _alpha(side: int, rng: np.random.Generator) -> Plane:
    """How much of a defect covers each pixel of a square."""
    kind = rng.integers(3)
    if kind == 0:
        middle = np.array([side, side]) / 2
        return stroke(side, side, bent_line(side, rng) + middle, rng, radii=(0.01, 0.05))
    radius = rng.uniform(0.08, 0.2) * side
    inside = blob(side, side, radius, 0.3, rng)
    if kind == 1:
        return smoothstep(0.5 + inside / 2)
    return smoothstep(0.5 + (inside + 0.6 * radius * clouds(side, side, max(1.0, radius / 5), rng)) / 2)


def _filling(image: Colours, box: tuple[slice, slice], normal: Pictures, rng: np.random.Generator) -> Colours:
    """What shows inside a defect: a piece from elsewhere, or what was there, changed."""
    draw = rng.random()
    if draw < PIECES:
        other = normal[rng.integers(len(normal))] if draw < PIECES / 2 else image
        return _piece(other, box[0].stop - box[0].start, rng)
    change = CHANGES[rng.integers(len(CHANGES))]
    return change(image[:, *box], rng)


def _piece(image: Colours, side: int, rng: np.random.Generator) -> Colours:
    """A square from anywhere, turned and lit by chance."""
    top, left = rng.integers(image.shape[1] - side + 1), rng.integers(image.shape[2] - side + 1)
    piece: Colours = np.rot90(image[:, top : top + side, left : left + side], int(rng.integers(4)), (1, 2))
    lit: Colours = piece * rng.uniform(0.7, 1.3) if rng.random() < 0.5 else piece
    return lit


def _colour(part: Colours, rng: np.random.Generator) -> Colours:
    colour = rng.uniform(0, 1, 3 if rng.random() < 0.5 else 1)
    even = np.broadcast_to(colour[:, None, None], part.shape)
    found: Colours = even + 0.05 * clouds(part.shape[1], part.shape[2], 2.0, rng)
    return found


def _shade(part: Colours, rng: np.random.Generator) -> Colours:
    return part * (rng.uniform(0.3, 0.8) if rng.random() < 0.5 else rng.uniform(1.25, 2.0))


def _smear(part: Colours, rng: np.random.Generator) -> Colours:
    deviation = rng.uniform(1.5, 5)
    smeared: Colours = gaussian_filter(part, (0, deviation, deviation))
    return smeared


def _grain(part: Colours, rng: np.random.Generator) -> Colours:
    scale = float(np.exp(rng.uniform(-0.5, 1.5)))
    grainy: Colours = part + rng.uniform(0.1, 0.4) * clouds(part.shape[1], part.shape[2], scale, rng)
    return grainy


CHANGES: tuple[Callable[[Colours, np.random.Generator], Colours], ...] = (_colour, _shade, _smear, _grain)
"""What may have become of what was there."""
