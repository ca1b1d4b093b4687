"""From which score an image is DEFECT or UNSURE: chosen by the scores of held-out images of both kinds."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from flawtrace.detector.alarms import Errors, Scores, above, quietest

Others: TypeAlias = Float[np.ndarray, " m"]

BAND = 0.03
"""Share of the normal images that are UNSURE at most, beside those that are DEFECT."""
FALSE_ALARMS = 0.05
"""Share of normal images that may be called DEFECT where no defect has been seen, unless set."""

EVEN_ODDS = 0.5
"""The score of a judge from which an image is more likely defective than not."""
STEPS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
"""Thresholds of a trade-off: scores are probabilities."""


@dataclass(frozen=True)
class Choice:
    """Two thresholds of the score, and what they do to some images of both kinds."""

    threshold: float
    """From which an image is DEFECT."""
    unsure_from: float
    false_alarms: Errors
    misses: Errors
    unsure: int
    """Of both kinds of images."""

    @classmethod
    def at(cls, defect: float, unsure: float, normal: Scores, anomalous: Others) -> "Choice":
        """Of images with these scores."""
        return cls(
            defect,
            unsure,
            Errors(int((normal >= defect).sum()), len(normal)),
            Errors(int((anomalous < unsure).sum()), len(anomalous)),
            sum(int(((scores >= unsure) & (scores < defect)).sum()) for scores in (normal, anomalous)),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold,
            "unsure_from": self.unsure_from,
            "false_alarms": self.false_alarms.to_json(),
            "misses": self.misses.to_json(),
            "unsure": self.unsure,
        }


def trade_off(normal: Scores, anomalous: Others) -> tuple[Choice, ...]:
    """What could be chosen, from few misses to few false alarms."""
    return tuple(Choice.at(step, doubtful(normal, step), normal, anomalous) for step in STEPS)


def decisive(normal: Scores, anomalous: Others) -> float:
    """The score from which an image is DEFECT: where the rates of both errors together are least.

    A missed defect among defects weighs as much as a false alarm among good parts, however many there are of
    either. Of several such scores it is the middle of the widest gap; without a defect, just above all.

    >>> decisive(np.array([0.1, 0.2]), np.array([0.6, 0.9]))
    0.4
    """
    if not len(anomalous):
        return above(float(normal.max()))
    return _least_errors(normal, anomalous) if len(normal) else float(anomalous.min())


def limited(
    threshold: float,
    normal: Scores,
    anomalous: Others,
    max_false_alarms: float | None = None,
    max_misses: float | None = None,
) -> float:
    """The threshold, moved as far as limits on the rates of errors ask; of both, `max_misses` has its way.

    >>> limited(0.5, np.array([0.1]), np.array([0.2, 0.9]), max_misses=0.0)
    0.2
    >>> limited(0.5, np.array([0.1]), np.array([0.2, 0.9]), max_misses=1.0)
    0.5
    """
    if max_false_alarms is not None and len(normal):
        threshold = max(threshold, quietest(normal, max_false_alarms))
    if max_misses is not None and (allowed := int(max_misses * len(anomalous))) < len(anomalous):
        threshold = min(threshold, float(np.sort(anomalous)[allowed]))
    return threshold


def by_judge(
    normal: Scores,
    anomalous: Others,
    max_false_alarms: float | None = None,
    max_misses: float | None = None,
    *,
    few: bool,
) -> float:
    """From which score of a judge an image is DEFECT: even odds, moved as far as limits ask.

    With `few` labels, or none, a judge takes the defects that it saw for all, and odds are no odds: unless a
    limit is set, no more normal images are DEFECT than where no defect is known.

    >>> by_judge(np.array([0.1, 0.6, 0.2]), np.array([0.7]), few=True) > 0.6
    True
    """
    rate = FALSE_ALARMS if few and max_false_alarms is None else max_false_alarms
    return limited(EVEN_ODDS, normal, anomalous, rate, max_misses)


def doubtful(normal: Scores, defect: float) -> float:
    """The score from which an image is UNSURE: at most a share `BAND` of normal images lie between.

    >>> doubtful(np.array([0.1, 0.2, 0.3]), defect=0.4) > 0.3
    True
    """
    if not len(normal):
        return defect
    alarms = float((normal >= defect).mean())
    return min(defect, quietest(normal, min(1.0, alarms + BAND)))


def _least_errors(normal: Scores, anomalous: Others) -> float:
    """The middle of the widest gap between scores at which both rates of error together are least."""
    values = np.unique(np.concatenate([normal, anomalous]))
    edges = np.concatenate([values[:1], (values[1:] + values[:-1]) / 2, [above(float(values[-1]))]])
    errors = [(normal >= edge).mean() + (anomalous < edge).mean() for edge in edges]
    least = np.flatnonzero(np.isclose(errors, min(errors)))
    widths = np.diff(np.concatenate([values[:1], values, values[-1:]]))[least]
    return float(edges[least[int(widths.argmax())]])
