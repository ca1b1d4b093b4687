"""The numbers of a detector's decision, chosen on images that the judging predictors never saw."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from flawtrace.detector import (
    FALSE_ALARMS,
    VERDICTS,
    Errors,
    Thresholds,
    by_judge,
    decisive,
    doubtful,
    limited,
    marked,
)
from flawtrace.ground.config import Config
from flawtrace.measures.metrics import DEFECT, OK, Decided, Maps, Masks, balanced_f_max, image_auroc, summary
from flawtrace.training.judging import HeldOut, Kind

VALIDATION = ("pixel_f1_max", "pixel_f1", "pixel_auroc", "pixel_ap", "pixel_aupro", "image_auroc", "image_f1")
"""Scores on held-out images that a detector keeps."""
PEAK = 0.5
"""Calibrated probability that a region has to reach somewhere, to count."""
RECALL = 3.0
"""How much more than precision recall counts where no mask of a real defect is known. Predictors give real
defects lower values than the made-up ones from which they learnt, and normal pixels hardly higher ones."""


def chosen(held_out: HeldOut, config: Config) -> Thresholds:
    """Where an outline begins, which regions count, and from which score an image is UNSURE or DEFECT.

    A judge's score is a probability, so that DEFECT begins at even odds; a threshold that was fitted to the
    few scores of held-out defects would make more errors on others. Where the maximum of the map is the
    score, DEFECT begins where errors are fewest. Normal images of other days have no say in the rates.
    """
    scores = held_out.scores.double().numpy()
    normal, anomalous = (scores[which.numpy()] for which in (held_out.normal, held_out.anomalous))
    as_taken = scores[held_out.as_taken.numpy()]
    limits = config.max_false_alarms, config.max_misses
    if held_out.judged:
        defect = by_judge(as_taken, anomalous, *limits, few=held_out.few)
    else:
        rate, misses = limits
        if rate is None and held_out.few:
            rate = FALSE_ALARMS
        defect = limited(decisive(normal, anomalous), as_taken, anomalous, rate, misses)
    unsure = doubtful(as_taken, defect)
    outlined = (~held_out.of(Kind.UNMASKED, Kind.SET_ASIDE)).numpy()
    maps, masks = held_out.maps.numpy()[outlined], held_out.masks.numpy()[outlined]
    recall = 1.0 if held_out.of(Kind.LABELLED).any() else RECALL
    outline = best_outline(maps, masks, scores[outlined] >= unsure, recall)
    return Thresholds(outline, PEAK, defect, unsure)


def best_outline(maps: Maps, masks: Masks, shown: Bool[np.ndarray, " n"], recall: float = 1.0) -> float:
    """The best F of pixels, `recall` weighed so many times, over 1 + recall^2: of F1 that is half. Pixels of
    images that are not `shown` are missed.

    There F is best on average if the map is calibrated (Lipton et al. 2014, arXiv 1402.1892; any F: Koyejo et
    al. 2014), which it is for normal and defective images in equal number: so F is that of as many of either.
    Counted as they are, a few labels among hundreds of normal images have a low F1 whatever the map is. The
    threshold at which a few labels reach their best F1 is worse on others: where their curve is flat, chance
    chooses it.
    """
    seen = np.where(shown[:, None, None], maps, np.float32(0))
    best = balanced_f_max(seen, masks, recall) if len(maps) else None
    return best / (1 + recall**2) if best is not None and masks[shown].any() else PEAK


def validation(held_out: HeldOut, thresholds: Thresholds) -> dict[str, float]:
    """Scores of the held-out images, and with `found` the share of the defective ones that are DEFECT.

    Scores of pixels are those of images whose mask is known. Without an image of a defect there are none.
    """
    anomalous = held_out.anomalous.numpy()
    if not anomalous.any():
        return {}
    verdicts, scores = verdicts_of(held_out, thresholds), held_out.scores.numpy()
    rows = held_out.of(Kind.NORMAL, Kind.OTHER_DAY, Kind.LABELLED).numpy()
    pairs = zip(held_out.maps[rows], verdicts[rows], strict=True)
    predicted = np.stack([marked(found, thresholds, VERDICTS[verdict]).numpy() for found, verdict in pairs])
    decided = Decided(predicted, verdicts[rows])
    found = summary(held_out.maps[rows].numpy(), held_out.masks[rows].numpy(), scores[rows], decided)
    real = held_out.of(Kind.NORMAL, Kind.OTHER_DAY, Kind.LABELLED, Kind.UNMASKED).numpy()
    found["image_auroc"] = image_auroc(scores[real], anomalous[real])
    share = float((verdicts[anomalous] == DEFECT).mean())
    return {name: score for name in VALIDATION if (score := found[name]) is not None} | {"found": share}


def alarms_of(held_out: HeldOut, thresholds: Thresholds) -> dict[str, Any]:
    """False alarms among held-out normal images as they were taken, and the rates that this allows. Images
    that are set aside count: only who looks at them knows that they are none.
    """
    normal = verdicts_of(held_out, thresholds)[held_out.given_as_normal.numpy()]
    return Errors(int((normal == DEFECT).sum()), len(normal)).to_json()


def misses_of(held_out: HeldOut, thresholds: Thresholds) -> dict[str, Any]:
    """Misses among held-out defect images, likewise."""
    anomalous = verdicts_of(held_out, thresholds)[held_out.anomalous.numpy()]
    return Errors(int((anomalous == OK).sum()), len(anomalous)).to_json()


def scores_of(held_out: HeldOut) -> dict[str, list[float]]:
    """Of normal and of defective images, lowest first."""
    scores = held_out.scores.double()
    kinds = {"normal": scores[held_out.given_as_normal], "anomalous": scores[held_out.anomalous]}
    return {name: [round(float(score), 6) for score in some.sort().values] for name, some in kinds.items()}


def verdicts_of(held_out: HeldOut, thresholds: Thresholds) -> Int[np.ndarray, " n"]:
    """OK, UNSURE or DEFECT, as numbers."""
    scores = held_out.scores.double().numpy()
    verdicts: Int[np.ndarray, " n"] = np.digitize(scores, [thresholds.unsure, thresholds.defect])
    return verdicts
