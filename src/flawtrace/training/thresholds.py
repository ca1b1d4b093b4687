"""The numbers of a detector's decision, chosen on images that the judging predictors never saw."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from skimage.measure import label

from flawtrace.detector import VERDICTS, Errors, Thresholds, decisive, doubtful, limited, marked
from flawtrace.ground.config import Config
from flawtrace.measures.metrics import DEFECT, OK, Decided, Maps, Masks, summary
from flawtrace.training.judging import HeldOut

VALIDATION = ("pixel_f1_max", "pixel_f1", "pixel_auroc", "pixel_ap", "pixel_aupro", "image_auroc", "image_f1")
"""Scores on held-out images that a detector keeps."""
SPARED = 0.02
"""Share of the best F1 that a lower peak may cost. The detector averages its members, and a mean peaks lower
than the single members by which the peak is chosen; whether an image shows a defect is the score's matter."""
OUTLINES = 24
"""Candidates for the outline's threshold: quantiles of the values of defective pixels."""


def chosen(held_out: HeldOut, config: Config) -> Thresholds:
    """Where an outline begins, which regions count, and from which score an image is UNSURE or DEFECT.

    Normal images of other days have a say in where errors are fewest, and none in the rates.
    """
    anomalous = held_out.anomalous.numpy()
    scores = held_out.scores.double().numpy()
    as_taken = ~anomalous & held_out.as_taken.numpy()
    defect = limited(
        decisive(scores[~anomalous], scores[anomalous]),
        scores[as_taken],
        scores[anomalous],
        config.max_false_alarms,
        config.max_misses,
    )
    unsure = doubtful(scores[as_taken], defect)
    shown = scores >= unsure
    maps, masks = held_out.maps.numpy()[shown], held_out.masks.numpy()[shown]
    outline, peak = outlining(maps, masks, missed=int(held_out.masks.numpy()[~shown].sum()))
    return Thresholds(outline, peak, defect, unsure)


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
    """False alarms among held-out normal images as they were taken, and the rates that this allows."""
    normal = verdicts_of(held_out, thresholds)[(~held_out.anomalous & held_out.as_taken).numpy()]
    return Errors(int((normal == DEFECT).sum()), len(normal)).to_json()


def misses_of(held_out: HeldOut, thresholds: Thresholds) -> dict[str, Any]:
    """Misses among held-out defect images, likewise."""
    anomalous = verdicts_of(held_out, thresholds)[held_out.anomalous.numpy()]
    return Errors(int((anomalous == OK).sum()), len(anomalous)).to_json()


def scores_of(held_out: HeldOut) -> dict[str, list[float]]:
    """Of normal and of defective images, lowest first."""
    scores, anomalous = held_out.scores.double(), held_out.anomalous
    kinds = {"normal": scores[~anomalous & held_out.as_taken], "anomalous": scores[anomalous]}
    return {name: [round(float(score), 6) for score in some.sort().values] for name, some in kinds.items()}


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
        """The best F1, and the least peak that leaves nearly as much of it: between two regions' peaks."""
        if not len(self.peaks):
            return -1.0, 0.5
        f1 = 2 * self.true.cumsum() / (self.areas.cumsum() + num_defective)
        last = int(np.flatnonzero(f1 >= (1 - SPARED) * f1.max())[-1])
        following = self.peaks[last + 1] if last + 1 < len(self.peaks) else self.peaks[last]
        return float(f1.max()), float((self.peaks[last] + following) / 2)


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
