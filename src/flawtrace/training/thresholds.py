"""The numbers of a detector's decision, chosen on images that the judging predictors never saw."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int
from skimage.measure import label

from flawtrace.detector import Errors, Thresholds, quietest
from flawtrace.detector.decision import Verdict, marked
from flawtrace.ground.config import Config
from flawtrace.measures.metrics import DEFECT, OK, Decided, Maps, Masks, Scores, summary
from flawtrace.training.judging import HeldOut

Others: TypeAlias = Float[np.ndarray, " m"]

VALIDATION = ("pixel_f1_max", "pixel_f1", "pixel_auroc", "pixel_ap", "pixel_aupro", "image_auroc", "image_f1")
"""Scores on held-out images that a detector keeps."""
VERDICTS: tuple[Verdict, ...] = ("OK", "UNSURE", "DEFECT")
BAND = 0.03
"""Share of the normal images that are UNSURE at most, beside those that are DEFECT."""
OUTLINES = 24
"""Candidates for the outline's threshold: quantiles of the values of defective pixels."""


def chosen(held_out: HeldOut, config: Config) -> Thresholds:
    """Where an outline begins, which regions count, and from which score an image is UNSURE or DEFECT."""
    anomalous = held_out.anomalous.numpy()
    scores = held_out.scores.double().numpy()
    defect = decisive(scores[~anomalous], scores[anomalous], config.max_false_alarms, config.max_misses)
    unsure = doubtful(scores[~anomalous], defect)
    shown = scores >= unsure
    maps, masks = held_out.maps.numpy()[shown], held_out.masks.numpy()[shown]
    outline, peak = outlining(maps, masks, missed=int(held_out.masks.numpy()[~shown].sum()))
    return Thresholds(outline, peak, defect, unsure)


def decisive(
    normal: Scores, anomalous: Others, max_false_alarms: float | None = None, max_misses: float | None = None
) -> float:
    """The score from which an image is DEFECT.

    By itself the one with the smallest sum of both rates of error, false alarms and misses: a missed defect
    among defects weighs as much as a false alarm among good parts. Of several it is the middle of the widest
    gap. A limit on either rate moves it as far as the limit asks; both limits together favour `max_misses`.

    >>> decisive(np.array([0.1, 0.2]), np.array([0.6, 0.9]))
    0.4
    """
    threshold = _least_errors(normal, anomalous) if len(normal) else float(anomalous.min())
    if max_false_alarms is not None and len(normal):
        threshold = max(threshold, quietest(normal, max_false_alarms))
    if max_misses is not None:
        threshold = min(threshold, float(np.sort(anomalous)[int(max_misses * len(anomalous))]))
    return threshold


def doubtful(normal: Scores, defect: float) -> float:
    """The score from which an image is UNSURE: at most a share `BAND` of normal images lie between.

    >>> doubtful(np.array([0.1, 0.2, 0.3]), defect=0.4) > 0.3
    True
    """
    if not len(normal):
        return defect
    alarms = float((normal >= defect).mean())
    return min(defect, quietest(normal, min(1.0, alarms + BAND)))


def outlining(maps: Maps, masks: Masks, missed: int) -> tuple[float, float]:
    """Outline and peak with the best F1 of pixels, regions that do not reach the peak left out.

    `missed` are defective pixels of images on which nothing is shown.
    """
    values = maps[masks]
    candidates = np.unique(np.quantile(values, np.linspace(0.02, 0.9, OUTLINES))) if len(values) else [0.5]
    best = (-1.0, 0.5, 0.5)
    for outline in candidates:
        found = _Regions.of(maps, masks, float(outline))
        best = max(best, (*found.best(int(masks.sum()) + missed), float(outline))[:3], key=lambda b: b[0])
    return best[2], best[1]


def validation(held_out: HeldOut, thresholds: Thresholds) -> dict[str, float]:
    """Scores of the held-out images, and with `found` the share of the defective ones that are DEFECT."""
    maps, masks = held_out.maps.numpy(), held_out.masks.numpy()
    verdicts = verdicts_of(held_out, thresholds)
    pairs = zip(held_out.maps, verdicts, strict=True)
    predicted = np.stack([marked(found, thresholds, VERDICTS[verdict]).numpy() for found, verdict in pairs])
    scores = summary(maps, masks, held_out.scores.numpy(), Decided(predicted, verdicts))
    found = float((verdicts[held_out.anomalous.numpy()] == DEFECT).mean())
    return {name: score for name in VALIDATION if (score := scores[name]) is not None} | {"found": found}


def alarms_of(held_out: HeldOut, thresholds: Thresholds) -> dict[str, Any]:
    """False alarms among held-out normal images, and the rates that this allows."""
    normal = verdicts_of(held_out, thresholds)[~held_out.anomalous.numpy()]
    return Errors(int((normal == DEFECT).sum()), len(normal)).to_json()


def misses_of(held_out: HeldOut, thresholds: Thresholds) -> dict[str, Any]:
    """Misses among held-out defect images, likewise."""
    anomalous = verdicts_of(held_out, thresholds)[held_out.anomalous.numpy()]
    return Errors(int((anomalous == OK).sum()), len(anomalous)).to_json()


def verdicts_of(held_out: HeldOut, thresholds: Thresholds) -> Int[np.ndarray, " n"]:
    """OK, UNSURE or DEFECT, as numbers."""
    scores = held_out.scores.double().numpy()
    verdicts: Int[np.ndarray, " n"] = np.digitize(scores, [thresholds.unsure, thresholds.defect])
    return verdicts


@dataclass(frozen=True)
class _Regions:
    """Regions of all images at one outline, highest peak first."""

    peaks: Float[np.ndarray, " r"]
    areas: Float[np.ndarray, " r"]
    true: Float[np.ndarray, " r"]
    """Defective pixels."""

    @classmethod
    def of(cls, maps: Maps, masks: Masks, outline: float) -> "_Regions":
        rows = np.concatenate([np.zeros((0, 3)), *_rows(maps, masks, outline)])
        rows = rows[np.argsort(-rows[:, 0], kind="stable")]
        return cls(rows[:, 0], rows[:, 1], rows[:, 2])

    def best(self, num_defective: int) -> tuple[float, float]:
        """The best F1, and a peak between the last region that counts and the first that does not."""
        if not len(self.peaks):
            return -1.0, 0.5
        f1 = 2 * self.true.cumsum() / (self.areas.cumsum() + num_defective)
        last = int(f1.argmax())
        following = self.peaks[last + 1] if last + 1 < len(self.peaks) else self.peaks[last]
        return float(f1[last]), float((self.peaks[last] + following) / 2)


def _rows(maps: Maps, masks: Masks, outline: float) -> Iterator[Float[np.ndarray, "r 3"]]:
    """Peak, area and defective pixels of each region of each image."""
    for anomaly_map, mask in zip(maps, masks, strict=True):
        labels = label(anomaly_map >= outline, connectivity=2)
        count = int(labels.max())
        if not count:
            continue
        peaks = np.zeros(count + 1)
        np.maximum.at(peaks, labels.ravel(), anomaly_map.ravel())
        areas, true = (np.bincount(part, minlength=count + 1) for part in (labels.ravel(), labels[mask]))
        yield np.stack([peaks, areas, true], axis=1)[1:]


def _least_errors(normal: Scores, anomalous: Others) -> float:
    """The middle of the widest gap between scores at which both rates of error together are least."""
    values = np.unique(np.concatenate([normal, anomalous]))
    edges = np.concatenate([values[:1], (values[1:] + values[:-1]) / 2, np.nextafter(values[-1:], np.inf)])
    errors = [(normal >= edge).mean() + (anomalous < edge).mean() for edge in edges]
    least = np.flatnonzero(np.isclose(errors, min(errors)))
    widths = np.diff(np.concatenate([values[:1], values, values[-1:]]))[least]
    return float(edges[least[int(widths.argmax())]])
