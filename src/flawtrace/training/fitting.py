"""The last fit: predictors on the detector's own snapshots, each judged on labels it never saw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.optim import AdamW

from flawtrace.ground.config import Config
from flawtrace.ground.devices import learning, rows_together
from flawtrace.ground.learner import Learner, derive, generator, seeded
from flawtrace.ground.shapes import Coverage, ErrorMaps, Masks, Points, Scalar
from flawtrace.method import Blended, Compact, Material, Predictor, Views, clamp, covered, crop, predictor
from flawtrace.pictures.turns import EVERY, turned

CLEAR = 0.3
"""Share of a square that is defective, from which on it says what defects look like."""
NORMAL_SQUARES = 0.1
"""Share of the normal squares from which the discriminant is made."""


@dataclass(frozen=True)
class Examples:
    """Views of some images, and where their defects are."""

    views: Views
    """Canvases and pictures in half precision."""
    masks: Masks
    coverage: Float[Tensor, "b grid grid"]
    """Share of each cell that is defective."""
    ignored: Masks | None = None
    """Pixels that are neither learnt from nor judged by; None if there are none."""

    @cached_property
    def with_defects(self) -> Int[Tensor, " n"]:
        """Those that show a defect: a copy can have lost its own over the edge."""
        return self.defective.flatten(1).any(dim=1).nonzero()[:, 0]

    @cached_property
    def defective(self) -> Bool[Tensor, "b grid grid"]:
        """Which cells are defective at all, on the processor."""
        return (self.coverage > 0).cpu()

    @property
    def batches(self) -> tuple[Tensor, ...]:
        """Rows, as many at once as the device wants."""
        return rows_together(len(self), self.coverage.device)

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, chosen: Tensor | slice) -> "Examples":
        """Some of them; of a slice nothing is copied."""
        views = Views(*(part[chosen] for part in self.views.parts))
        ignored = None if self.ignored is None else self.ignored[chosen]
        return Examples(views, self.masks[chosen], self.coverage[chosen], ignored)


@dataclass(frozen=True)
class Lesson:
    """What one predictor learns from."""

    labelled: Examples
    """Labelled images and their copies."""
    normal: Examples
    pasted: Examples
    """Normal images with defects pasted onto them."""
    made_up: Examples
    """Normal images with made-up defects."""

    @property
    def of_labels(self) -> "Lesson":
        """Without what is made up, if there is a label."""
        return replace(self, made_up=self.made_up[:0]) if len(self.labelled) else self

    @property
    def of_none(self) -> "Lesson":
        """Without labels, and what is made of them."""
        return replace(self, labelled=self.labelled[:0], pasted=self.pasted[:0])


@dataclass(frozen=True)
class Batch:
    """Squares of examples."""

    views: Views
    masks: Coverage
    """1 where a pixel is defective, else 0."""
    ignored: Masks | None = None
    """Pixels that do not count; None if all do."""


class Fit:
    """One predictor's last fit, step by step, so that it can stop anywhere and go on."""

    def __init__(self, member: int, config: Config, material: Material, kept: Compact | None = None) -> None:
        """`kept` is a self-supervised predictor that has learnt already what it can."""
        settings = config.predictor
        self.member = member
        self.step = 0
        self.steps = settings.steps
        self.loss = math.nan
        """Of the last step."""
        self._config = settings
        self._cell = config.cell
        self._ways = config.variation.ways or EVERY
        self._side = min(settings.crop_side, config.image_side) // config.cell
        normal_weight = predictor.normal_weight(settings, config.cycles * config.updates)
        self._weights = predictor.Weights(normal_weight, settings.dice_weight)
        seed = derive(config.seed, 3, member)
        self._rng = generator(seed)
        with seeded(seed):
            maps = config.profile.length * len(material.scales)
            network = predictor.build(settings, maps, material.canvases.shape[1], config.cell)
        self._keeps = kept is not None
        if kept is not None and isinstance(network, Blended):
            network.self_supervised.load_state_dict(kept.state_dict())
        self.learner: Learner[Predictor] = Learner(
            network.to(material.canvases.device),
            make_optimizer=lambda weights: AdamW(weights, lr=settings.lr, weight_decay=settings.weight_decay),
        )

    @property
    def over(self) -> bool:
        return self.step == self.steps

    def advance(self, lesson: Lesson) -> None:
        """One step on a random batch."""
        if self._config.one_cycle:
            self.learner.set_lr(one_cycle(self._config.lr, self.step / self.steps))
        self.step += 1
        with learning(lesson.normal.masks.device):
            losses = [self._loss(pupil.train(), part) for pupil, part in self._pupils(lesson)]
            self.loss = self.learner.step(torch.stack(losses).sum())

    def finish(self, lesson: Lesson) -> Predictor:
        """The predictor, complete; call it after the last step."""
        for pupil, part in self._pupils(lesson):
            if isinstance(pupil, Compact):
                pupil.discriminate(*squares_of(pupil, part, self._rng))
        return self.learner.network

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "loss": self.loss,
            "rng": self._rng.get_state(),
            "learner": self.learner.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        self.step, self.loss = state["step"], state["loss"]
        self._rng.set_state(state["rng"])
        self.learner.load(state["learner"])

    def _pupils(self, lesson: Lesson) -> list[tuple[predictor.Pupil, Lesson]]:
        """Who learns from which part of a lesson."""
        network = self.learner.network
        if not isinstance(network, Blended):
            return [(network, lesson)]
        others = [] if self._keeps else [(network.self_supervised, lesson.of_none)]
        return [(network.supervised, lesson.of_labels), *others]

    def _loss(self, pupil: predictor.Pupil, lesson: Lesson) -> Scalar:
        """On a random batch."""
        batch = self._batch(lesson)
        if self._config.turns:
            way = self._ways[int(torch.randint(len(self._ways), (), generator=self._rng))]
            batch = turned_batch(batch, way)
        return pupil.loss(batch.views, batch.masks, self._weights, batch.ignored)

    def _batch(self, lesson: Lesson) -> Batch:
        """Squares over labelled defects, anywhere on labelled images, on normal ones, over pasted defects.

        Each kind has a quarter; where there are no such images, the labelled ones have their share, and where
        there are none of these, images of made-up defects.
        """
        quarter, rest = divmod(self._config.batch, 4)
        labelled = lesson.labelled or lesson.made_up
        shares = [
            (labelled, quarter + (rest > 0), True),
            (labelled, quarter + (rest > 1), False),
            (lesson.normal or labelled, quarter + (rest > 2), False),
            (lesson.pasted or labelled, quarter, True),
        ]
        return joined([self._squares(examples, count, over) for examples, count, over in shares if count])

    def _squares(self, examples: Examples, count: int, over: bool) -> Batch:
        """Squares of random examples; those `over` a defect, of examples that have one."""
        rows = examples.with_defects if over else torch.arange(len(examples))
        chosen = rows[torch.randint(len(rows), (count,), generator=self._rng)]
        place = over_a_defect if over else anywhere
        centers = place(examples.defective[chosen], self._side, self._rng)
        return under(examples, chosen, centers, self._side, self._cell)


def folds(types: Sequence[str], count: int) -> list[int]:
    """The fold of each labelled image, given its defect type: every type is spread over all folds.

    >>> folds(["bent", "bent", "bent", "bent", "glue", "glue"], 3)
    [0, 1, 2, 0, 1, 2]
    """
    by_type = sorted(range(len(types)), key=lambda index: types[index])
    turn = {index: position % count for position, index in enumerate(by_type)}
    return [turn[index] for index in range(len(types))]


def anywhere(defective: Masks, side: int, rng: torch.Generator) -> Points:
    """The centre of a square of `side` cells in each image: around any cell, then moved until it fits.

    Spread evenly over the places where a square fits, squares would hardly ever show the image's border, and
    predictors would see defects there: a cell looks different where the image ends.
    """
    count, height, width = defective.shape
    cells = [torch.randint(length, (count,), generator=rng) for length in (height, width)]
    return clamp(torch.stack(cells, dim=1), height, width, side)


def over_a_defect(defective: Masks, side: int, rng: torch.Generator) -> Points:
    """The same, with a random one of the image's defective cells anywhere in the square."""
    count, height, width = defective.shape
    cells = torch.multinomial(defective.flatten(1).float(), 1, generator=rng)[:, 0]
    aside = side // 2 - torch.randint(side, (count, 2), generator=rng)
    centers = torch.stack([cells // width, cells % width], dim=1) + aside
    return clamp(centers, height, width, side)


def under(examples: Examples, chosen: Tensor, centers: Points, side: int, cell: int) -> Batch:
    """The square of `side` cells of `cell` pixels around a centre, of each chosen example."""
    views, masks = examples.views, examples.masks[:, None]
    coarse = (views.profiles, views.novelties[:, None], views.distances[:, None], views.canvases)
    profiles, novelties, distances, canvases = (crop(part, chosen, centers, side) for part in coarse)
    middles = (centers - side // 2) * cell + side * cell // 2
    pictures, cut = (crop(part, chosen, middles, side * cell) for part in (views.pictures, masks))
    seen = Views(profiles, novelties[:, 0], distances[:, 0], canvases, pictures)
    if examples.ignored is None:
        return Batch(seen, cut[:, 0])
    ignored = crop(examples.ignored[:, None], chosen, middles, side * cell) > 0
    return Batch(seen, cut[:, 0], ignored[:, 0])


def joined(batches: Sequence[Batch]) -> Batch:
    views = (torch.cat(parts) for parts in zip(*(batch.views.parts for batch in batches), strict=True))
    masks = torch.cat([batch.masks for batch in batches])
    if all(batch.ignored is None for batch in batches):
        return Batch(Views(*views), masks)
    ignored = [
        torch.zeros_like(batch.masks).bool() if batch.ignored is None else batch.ignored for batch in batches
    ]
    return Batch(Views(*views), masks, torch.cat(ignored))


def turned_batch(batch: Batch, way: int) -> Batch:
    """The batch in one of the eight orientations of a square."""
    views = Views(*(turned(part, way) for part in batch.views.parts))
    ignored = None if batch.ignored is None else turned(batch.ignored, way)
    return Batch(views, turned(batch.masks, way), ignored)


@torch.no_grad()
def squares_of(
    network: Compact, lesson: Lesson, rng: torch.Generator
) -> tuple[Float[Tensor, "n seen"], Float[Tensor, "m seen"]]:
    """What the discriminant sees of the lesson's clearly defective squares, and of some wholly normal ones.

    Where no square is clearly defective, all that have a defective pixel are taken.
    """
    network.eval()
    defective, shares, normal = [], [], []
    for examples in (lesson.labelled, lesson.pasted, lesson.made_up, lesson.normal):
        for rows in examples.batches:
            batch = examples[rows]
            seen = network.discriminated_by(batch.views).movedim(1, -1)
            share = covered(batch.masks, seen.shape[1])
            defective.append(seen[share > 0])
            shares.append(share[share > 0])
            drawn = torch.rand(share.shape, generator=rng).to(share.device) < NORMAL_SQUARES
            if batch.ignored is not None:
                drawn &= covered(batch.ignored, seen.shape[1]) == 0
            normal.append(seen[(share == 0) & drawn])
    clear = torch.cat(shares) > CLEAR
    return torch.cat(defective)[clear if clear.any() else ~clear], torch.cat(normal)


@torch.no_grad()
def predict(network: Predictor, examples: Examples) -> ErrorMaps:
    """Probability of a defect per pixel."""
    network.eval()
    parts = [network.probabilities(examples[rows].views) for rows in examples.batches]
    return torch.cat(parts) if parts else torch.zeros_like(examples.masks, dtype=torch.float)


def one_cycle(peak: float, progress: float) -> float:
    """Learning rate at `progress` in [0, 1] of a fit: up to `peak` at 0.3, then down to nearly 0, as cosines.

    The shape of torch's OneCycleLR (Smith 2018, arXiv 1803.09820), as a function of progress alone, so that
    a fit which goes on after a stop needs no scheduler state.

    >>> one_cycle(1.0, 0.3)
    1.0
    """
    rising = progress < 0.3
    low, share = (peak / 25, progress / 0.3) if rising else (peak / 1e5, (1 - progress) / 0.7)
    return low + (peak - low) * (1 - math.cos(math.pi * share)) / 2
