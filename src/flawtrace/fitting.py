"""The last fit: predictors on the detector's own snapshots, each judged on labels it never saw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import AdamW

from flawtrace import predictor
from flawtrace.config import Config
from flawtrace.learner import Learner, derive, generator, seeded
from flawtrace.material import Material
from flawtrace.patches import clamp, crop, random_centers
from flawtrace.profile import BATCH
from flawtrace.shapes import Coverage, Images, LossProfiles, Points


@dataclass(frozen=True)
class Examples:
    """Profiles, canvases (half precision) and coverage of the same images."""

    profiles: LossProfiles
    canvases: Images
    coverage: Coverage

    def __len__(self) -> int:
        return len(self.profiles)

    def __getitem__(self, chosen: torch.Tensor) -> "Examples":
        return Examples(self.profiles[chosen], self.canvases[chosen], self.coverage[chosen])

    def under(self, centers: Points, side: int) -> "Examples":
        """The square of `side` cells around a centre of each image."""
        rows = torch.arange(len(self), device=self.coverage.device)
        coverage = crop(self.coverage[:, None], rows, centers, side)[:, 0]
        profiles, canvases = (crop(part, rows, centers, side) for part in (self.profiles, self.canvases))
        return Examples(profiles, canvases, coverage)


class Fit:
    """One predictor's last fit, step by step, so that it can stop anywhere and go on."""

    def __init__(self, member: int, config: Config, material: Material) -> None:
        settings = config.predictor
        self.member = member
        self.step = 0
        self.steps = settings.steps
        self._config = settings
        self._side = settings.crop_side // config.cell
        self._normal_weight = predictor.normal_weight(settings, config.cycles * config.updates)
        seed = derive(config.seed, 3, member)
        self._rng = generator(seed)
        with seeded(seed):
            maps = config.profile.length * len(material.scales)
            network = predictor.build(settings, maps, material.canvases.shape[1])
        self.learner: Learner[predictor.Published | predictor.Compact] = Learner(
            network.to(material.canvases.device),
            make_optimizer=lambda weights: AdamW(weights, lr=settings.lr, weight_decay=settings.weight_decay),
        )

    @property
    def over(self) -> bool:
        return self.step == self.steps

    def advance(self, examples: Examples) -> float:
        """One step on a random batch; returns the loss."""
        settings, network = self._config, self.learner.network.train()
        chosen = torch.randint(len(examples), (settings.batch,), generator=self._rng)
        batch = examples[chosen]
        if self._side < batch.coverage.shape[1]:
            batch = batch.under(squares(batch.coverage, self._side, self._rng), self._side)
        if settings.turns:
            batch = turned(batch, int(torch.randint(8, (), generator=self._rng)))
        if settings.one_cycle:
            self.learner.set_lr(one_cycle(settings.lr, self.step / self.steps))
        logits = network(batch.profiles, batch.canvases.float())
        loss = predictor.prediction_loss(logits, batch.coverage, self._normal_weight, settings.dice_weight)
        self.step += 1
        return self.learner.step(loss)

    def state(self) -> dict[str, Any]:
        return {"step": self.step, "rng": self._rng.get_state(), "learner": self.learner.state()}

    def load(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self._rng.set_state(state["rng"])
        self.learner.load(state["learner"])


def folds(types: Sequence[str], count: int) -> list[int]:
    """The fold of each labelled image, given its defect type: every type is spread over all folds.

    >>> folds(["bent", "bent", "bent", "bent", "glue", "glue"], 3)
    [0, 1, 2, 0, 1, 2]
    """
    by_type = sorted(range(len(types)), key=lambda index: types[index])
    turn = {index: position % count for position, index in enumerate(by_type)}
    return [turn[index] for index in range(len(types))]


def squares(coverage: Coverage, side: int, rng: torch.Generator) -> Points:
    """The centre of a square of `side` cells in each image: over a defect in one half of the draws.

    Where it lies over a defect, a cell of the defect is anywhere in the square; else it is anywhere.
    """
    count, height, width = coverage.shape
    weights = (coverage.cpu() > 0).flatten(1).float() + 1e-6
    cells = torch.multinomial(weights, 1, generator=rng)[:, 0]
    aside = side // 2 - torch.randint(side, (count, 2), generator=rng)
    over = clamp(torch.stack([cells // width, cells % width], dim=1) + aside, height, width, side)
    anywhere = random_centers(count, height, width, side, rng)
    wanted = torch.rand(count, 1, generator=rng) < 0.5
    return torch.where(wanted, over, anywhere).to(coverage.device)


def turned(batch: Examples, way: int) -> Examples:
    """The batch in one of the eight orientations of a square: `way` // 4 mirrors, `way` % 4 turns."""

    def turn(maps: torch.Tensor) -> torch.Tensor:
        mirrored = maps.flip(-1) if way >= 4 else maps
        return torch.rot90(mirrored, way % 4, (-2, -1))

    return Examples(turn(batch.profiles), turn(batch.canvases), turn(batch.coverage))


@torch.no_grad()
def predict(network: predictor.Published | predictor.Compact, examples: Examples) -> Coverage:
    """Probability of a defect per cell."""
    network.eval()
    pairs = zip(torch.split(examples.profiles, BATCH), torch.split(examples.canvases, BATCH), strict=True)
    maps = [network(profiles, canvases.float()).sigmoid() for profiles, canvases in pairs]
    return torch.cat(maps)


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
