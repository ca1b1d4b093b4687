"""How far a training run is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from flawtrace.data import Split
from flawtrace.ground.config import Config
from flawtrace.method import Feedback
from flawtrace.training.fitting import Fit
from flawtrace.training.roster import Changes
from flawtrace.training.study import Study


@dataclass(frozen=True)
class Event:
    """How far training is, in units that take about a second each on two cores, and what just came out."""

    phase: str
    done: float
    total: float
    values: dict[str, float] = field(default_factory=dict)
    visits: Callable[[], Tensor] | None = field(default=None, compare=False)
    """During a cycle: gives how often patches were taken from each cell (rows, columns) in it so far."""


@dataclass(frozen=True)
class Unused(Event):
    """Comes first, where a folder holds files that are no images, or not where images are expected."""

    folder: Path = field(kw_only=True)
    kinds: Mapping[str, int] = field(kw_only=True)
    """How many of which kind, in words."""


@dataclass(frozen=True)
class Drawn(Event):
    """Comes before any image is decoded: what a run learns from."""

    split: Split = field(kw_only=True)
    changes: Changes = field(kw_only=True)
    """Of the images since the run was started, if it goes on."""


@dataclass(frozen=True)
class Plan:
    """Work units, roughly seconds on two cores, so that a progress bar can tell the time left."""

    loading: float
    cycles: float
    fits: float
    config: Config
    earlier: float = 0.0
    """Done before the run was stopped."""

    @classmethod
    def of(cls, config: Config, split: Split, saved: Mapping[str, Any] | None = None) -> "Plan":
        """For a run that begins, or goes on from the state that was `saved`."""
        num_images = len(split.normal) + len(split.labelled) * (1 + config.copies)
        updates = config.cycles * config.updates + config.last_updates
        steps = config.predictor.members * config.predictor.steps
        cycles, fits = 0.04 * updates, 0.05 * steps
        earlier = 0.0
        if saved:
            earlier += cycles * saved["study"]["index"] * config.updates / updates
            earlier += fits * len(saved["study"]["members"]) / config.predictor.members
        return cls(0.06 * num_images, cycles, fits, config, earlier)

    @classmethod
    def of_fits(cls, config: Config, split: Split) -> "Plan":
        """Where nothing else is to be done."""
        whole = cls.of(config, split)
        return cls(whole.loading, 0.0, whole.fits, config)

    @property
    def total(self) -> float:
        return self.loading + self.cycles + self.fits

    def loading_event(self, done: int, total: int) -> Event:
        return Event("reading images", self.earlier + self.loading * done / total, self.total)

    def cycle_event(self, study: Study, feedback: Feedback) -> Event:
        before, config = study.index * self.config.updates, self.config
        share = (before + feedback.update) / (config.cycles * config.updates + config.last_updates)
        losses = {"reconstruction": feedback.reconstruction_loss, "reward": feedback.reward}
        if feedback.prediction_loss is not None:
            losses["prediction"] = feedback.prediction_loss
        phase = f"cycle {study.index + 1}/{self.config.cycles + 1}"
        done = self.loading + self.cycles * share
        return Event(phase, done, self.total, losses, study.cycle.walkers.visited)

    def round_event(self, study: Study, over: int, count: int) -> Event:
        """`over` of `count` cycles side by side are over."""
        before, config = (study.index + over) * self.config.updates, self.config
        share = before / (config.cycles * config.updates + config.last_updates)
        phase = f"cycles {study.index + 1} to {study.index + count} of {config.cycles + 1}"
        return Event(phase, self.loading + self.cycles * share, self.total)

    def fits_event(self, fits: Sequence[Fit], again: int) -> Event:
        """Of members that are fitted side by side, `again` without images that look defective."""
        share = sum(fit.step for fit in fits) / sum(fit.steps for fit in fits)
        return self._fitting("fitting", share, again, {})

    def fit_event(self, fit: Fit, again: int) -> Event:
        """Of members that are fitted one after the other, `again` without images that look defective."""
        share = (fit.member + fit.step / fit.steps) / self.config.predictor.members
        phase = f"last fit {fit.member + 1}/{self.config.predictor.members}"
        return self._fitting(phase, share, again, {"prediction": fit.loss})

    def _fitting(self, phase: str, share: float, again: int, values: dict[str, float]) -> Event:
        before, more = again * self.fits, ", without hidden defects" if again else ""
        done = self.loading + self.cycles + before + self.fits * share
        return Event(f"{phase}{more}", done, self.total + before, values)
