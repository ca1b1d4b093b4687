"""What the report says about test images: numbers, curves, and the cases to look at."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from flawtrace.detector import announced_text
from flawtrace.measures import Case, Evaluation
from flawtrace.pictures.images import fit, read_image
from flawtrace.report import pictures, plots
from flawtrace.report.pictures import row_of_pictures
from flawtrace.report.plots import OperatingPoint

SHOWN_EACH_WAY = 4
"""Best and worst defect images among the cases."""
SHOWN_NORMAL = 3


def tested_part(evaluation: Evaluation) -> dict[str, Any]:
    """Everything the page says about test images."""
    anomalous = [case for case in evaluation.cases if case.sample.anomalous]
    normal = [case for case in evaluation.cases if not case.sample.anomalous]
    thresholds, point = evaluation.thresholds, operating_point(evaluation)
    recall, roc = evaluation.precision_recall, evaluation.roc
    counts = Counter(str(case.sample.defect_type) for case in anomalous)
    return {
        "evaluation": evaluation,
        "found": sum(case.prediction.verdict == "DEFECT" for case in anomalous),
        "false_alarms": evaluation.false_alarms,
        "announced": announced_text(evaluation.announced, evaluation.false_alarms),
        "types": [(name, counts[name], row) for name, row in evaluation.per_type.items()],
        "groups": _groups(anomalous, normal, thresholds.outline),
        "heat_scale": pictures.heat_scale(),
        "precision_recall": None if recall is None else plots.precision_recall(recall, point),
        "roc": None if roc is None else plots.roc(roc, point),
        "histogram": plots.score_histogram(
            [case.score for case in normal], [case.score for case in anomalous], thresholds
        ),
    }


def operating_point(evaluation: Evaluation) -> OperatingPoint:
    """What the stored thresholds do to the test pixels; precision is 1 where nothing is marked."""
    true = predicted = defective = total = 0
    for case in evaluation.cases:
        marked = case.prediction.mask
        true += int((marked & case.mask).sum())
        predicted += int(marked.sum())
        defective += int(case.mask.sum())
        total += case.mask.numel()
    return OperatingPoint(
        recall=true / max(defective, 1),
        precision=true / predicted if predicted else 1.0,
        false_positive_rate=(predicted - true) / max(total - defective, 1),
    )


def _groups(
    anomalous: Sequence[Case], normal: Sequence[Case], threshold: float
) -> list[tuple[str, list[dict[str, Any]]]]:
    """The cases to look at: best and worst outlined defects, likeliest false alarms."""
    ranked = sorted((case for case in anomalous if case.f1 is not None), key=lambda case: case.f1 or 0.0)
    num_worst = min(SHOWN_EACH_WAY, len(ranked) // 2)
    worst, rest = ranked[:num_worst], ranked[num_worst:]
    alarms = sorted(normal, key=lambda case: case.score, reverse=True)[:SHOWN_NORMAL]
    groups = {
        "Best outlined defects": rest[::-1][:SHOWN_EACH_WAY],
        "Worst outlined defects": worst,
        "Normal images with the highest scores": alarms,
    }
    return [(name, [_shown(case, threshold) for case in cases]) for name, cases in groups.items() if cases]


def _shown(case: Case, threshold: float) -> dict[str, Any]:
    """One row of pictures: image, truth, anomaly map, prediction."""
    image = fit(read_image(case.sample.image), *case.mask.shape)
    return {
        "name": case.sample.image.name,
        "type": case.sample.defect_type,
        "score": case.score,
        "f1": case.f1,
        "verdict": case.prediction.verdict,
        **row_of_pictures(image, case.mask, case.anomaly_map, threshold, case.prediction.mask),
    }
