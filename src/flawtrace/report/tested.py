"""What the report says about test images: verdicts, numbers, curves, and the cases to look at."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from flawtrace.detector import STEPS, Choice, announced_text
from flawtrace.measures import Evaluation
from flawtrace.report import pictures, plots
from flawtrace.report.album import Album
from flawtrace.report.cases import groups_shown
from flawtrace.report.plots import OperatingPoint
from flawtrace.report.standing import fates, standing


def tested_part(
    evaluation: Evaluation, labels: Mapping[str, int], decidable: bool, run: str, album: Album
) -> dict[str, Any]:
    """Everything the page of `run` says about test images.

    `labels` are the labelled images of each type, if known; pictures in full size go to the album.
    """
    anomalous = [case for case in evaluation.cases if case.sample.anomalous]
    normal = [case for case in evaluation.cases if not case.sample.anomalous]
    thresholds, point = evaluation.thresholds, operating_point(evaluation)
    recall, roc = evaluation.precision_recall, evaluation.roc
    counts = Counter(str(case.sample.defect_type) for case in anomalous)
    scores = tuple(np.array([case.score for case in cases]) for cases in (normal, anomalous))
    return {
        "evaluation": evaluation,
        "announced": announced_text(evaluation.announced, evaluation.false_alarms),
        "standing": standing(evaluation, decidable, run),
        "fates": fates(evaluation, labels),
        "types": [(name, counts[name], row) for name, row in evaluation.per_type.items()],
        "groups": groups_shown(evaluation.cases, album),
        "heat_scale": pictures.heat_scale(),
        "precision_recall": None if recall is None else plots.precision_recall(recall, point),
        "roc": None if roc is None else plots.roc(roc, point),
        "reliability": plots.reliability(evaluation.reliability, thresholds.outline),
        "histogram": plots.score_histogram(scores[0].tolist(), scores[1].tolist(), thresholds),
        "trade_off": plots.trade_off(scores[0], scores[1], thresholds.defect, thresholds.unsure),
        "stored": Choice.at(thresholds.defect, thresholds.unsure, scores[0], scores[1]),
        "choices": [Choice.at(step, min(step, thresholds.unsure), scores[0], scores[1]) for step in STEPS],
    }


def operating_point(evaluation: Evaluation) -> OperatingPoint:
    """What the stored thresholds do to the test pixels; precision is 1 where nothing is marked."""
    true = predicted = defective = total = 0
    for case in evaluation.cases:
        if not case.outlined:
            continue
        marked = case.marked
        true += int((marked & case.mask).sum())
        predicted += int(marked.sum())
        defective += int(case.mask.sum())
        total += case.mask.numel()
    return OperatingPoint(
        recall=true / max(defective, 1),
        precision=true / predicted if predicted else 1.0,
        false_positive_rate=(predicted - true) / max(total - defective, 1),
    )
