"""Two detectors on the same images: paired differences with intervals, and every verdict that changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flawtrace.detector import VERDICTS
from flawtrace.measures.evaluation import Case, Evaluation, anomalous, decided, stacked
from flawtrace.measures.replicates import Images, replicated

COMPARED = {
    "pixel_f1": True,
    "pixel_f1_max": True,
    "pixel_auroc": True,
    "pixel_aupro": True,
    "image_auroc": True,
    "false_alarm_rate": False,
    "miss_rate": False,
    "unsure_rate": False,
}
"""The metrics that are compared, and whether more is better."""
DRAWS = 1000
PERCENTILES = 2.5, 97.5


@dataclass(frozen=True)
class Change:
    """One metric of two detectors on the same images."""

    name: str
    before: float
    after: float
    low: float
    """Of the 95 % interval of `difference`, over the choice of images."""
    high: float

    @property
    def difference(self) -> float:
        return self.after - self.before

    @property
    def better(self) -> bool:
        """With an interval that excludes no change."""
        return self.low > 0 if COMPARED[self.name] else self.high < 0

    @property
    def worse(self) -> bool:
        """Likewise."""
        return self.high < 0 if COMPARED[self.name] else self.low > 0


@dataclass(frozen=True)
class Pair:
    """One image, as two detectors see it."""

    before: Case
    after: Case

    @property
    def changed(self) -> bool:
        return self.before.prediction.verdict != self.after.prediction.verdict

    @property
    def harm(self) -> int:
        """How far the verdict moved in the wrong direction, in steps between OK, UNSURE and DEFECT."""
        was, now = (VERDICTS.index(case.prediction.verdict) for case in (self.before, self.after))
        return was - now if self.after.sample.anomalous else now - was


@dataclass(frozen=True)
class Comparison:
    """What `compared` found."""

    before: Evaluation
    after: Evaluation
    changes: tuple[Change, ...]
    num_left_out: int
    """Images that were not compared because one of the detectors was trained on them."""

    @property
    def pairs(self) -> Iterator[Pair]:
        return (Pair(*cases) for cases in zip(self.before.cases, self.after.cases, strict=True))

    @property
    def changed(self) -> list[Pair]:
        """Images whose verdict changed, those that changed for the worse first."""
        return sorted((pair for pair in self.pairs if pair.changed), key=lambda pair: -pair.harm)

    @property
    def worse(self) -> tuple[Change, ...]:
        """What became worse by more than the choice of images explains."""
        return tuple(change for change in self.changes if change.worse)

    @property
    def better(self) -> tuple[Change, ...]:
        """What became better, likewise."""
        return tuple(change for change in self.changes if change.better)

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures."""
        return {
            "num_normal": self.after.num_normal,
            "num_anomalous": self.after.num_anomalous,
            "num_left_out": self.num_left_out,
            "changes": {
                change.name: {
                    "before": change.before,
                    "after": change.after,
                    "difference": change.difference,
                    "low": change.low,
                    "high": change.high,
                }
                for change in self.changes
            },
            "worse": [change.name for change in self.worse],
            "changed": [
                {
                    "image": str(pair.after.sample.image),
                    "defect_type": pair.after.sample.defect_type,
                    "before": pair.before.prediction.verdict,
                    "after": pair.after.prediction.verdict,
                    "harm": pair.harm,
                }
                for pair in self.changed
            ],
        }


def compared(before: Evaluation, after: Evaluation, num_left_out: int) -> Comparison:
    """Two evaluations of the same images, in the same order."""
    columns = [_replicated(evaluation.cases) for evaluation in (before, after)]
    changes = []
    for name in COMPARED:
        was, now = before.metrics.get(name), after.metrics.get(name)
        if was is None or now is None:
            continue
        drawn = np.array(columns[1][name]) - np.array(columns[0][name])
        around = drawn - drawn.mean() + (now - was)  # a resample flatters whatever takes a maximum
        low, high = (float(bound) for bound in np.percentile(around, PERCENTILES))
        changes.append(Change(name, was, now, low, high))
    return Comparison(before, after, tuple(changes), num_left_out)


def _replicated(cases: Sequence[Case]) -> dict[str, list[float]]:
    """The metrics on resamples of the images, which are the same ones for the same images."""
    maps, masks, ignored = stacked(cases)
    images = Images("compare", [str(case.sample.image) for case in cases], anomalous(cases))
    scores = np.array([case.score for case in cases])
    verdicts = decided([case.prediction for case in cases])
    return replicated(maps, masks, scores, verdicts, images, count=DRAWS, ignored=ignored)
