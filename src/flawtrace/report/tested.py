"""What the report says about test images: verdicts, numbers, curves, and the cases to look at."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from flawtrace.detector import STEPS, Choice, Errors, announced_text
from flawtrace.measures import Case, Evaluation
from flawtrace.pictures.images import fit, read_image
from flawtrace.report import pictures, plots
from flawtrace.report.pictures import SMALL_SIDE, outlined, picture, row_of_pictures
from flawtrace.report.plots import OperatingPoint
from flawtrace.report.style import DEFECTIVE, PREDICTED

SHOWN_WRONG = 24
"""Images at most of each kind of wrong or doubtful verdict with all their pictures."""
SHOWN_SMALL = 400
"""Further ones at most as one small picture each."""
SHOWN_NORMAL = 3
FEW, MANY = 0.05, 0.15
"""Rates of errors up to which a detector does well, and beyond which it should not be used as it is.

A type of which more than FEW are missed is marked as weak.
"""


@dataclass(frozen=True)
class Fate:
    """What became of the test images of one kind: a line of the confusion table."""

    name: str
    kind: Literal["normal", "type", "all"]
    verdicts: Mapping[str, int]
    wrong: Errors
    """Good parts that were rejected, or defects that escaped."""
    labels: int | None = None
    """Labelled training images of the type, where that is known."""
    weak: bool = False


@dataclass(frozen=True)
class Standing:
    """In a word, whether the detector can be used as it is, and what to do next."""

    colour: Literal["good", "fair", "poor"]
    word: str
    meaning: str
    advice: str


def tested_part(evaluation: Evaluation, labels: Mapping[str, int], decidable: bool) -> dict[str, Any]:
    """Everything the page says about test images; `labels` are the labelled images of each type, if known."""
    anomalous = [case for case in evaluation.cases if case.sample.anomalous]
    normal = [case for case in evaluation.cases if not case.sample.anomalous]
    thresholds, point = evaluation.thresholds, operating_point(evaluation)
    recall, roc = evaluation.precision_recall, evaluation.roc
    counts = Counter(str(case.sample.defect_type) for case in anomalous)
    scores = tuple(np.array([case.score for case in cases]) for cases in (normal, anomalous))
    return {
        "evaluation": evaluation,
        "found": _verdicts(anomalous)["DEFECT"],
        "false_alarms": evaluation.false_alarms,
        "announced": announced_text(evaluation.announced, evaluation.false_alarms),
        "standing": standing(evaluation, decidable),
        "fates": fates(evaluation, labels),
        "types": [(name, counts[name], row) for name, row in evaluation.per_type.items()],
        "groups": _groups(evaluation.cases),
        "heat_scale": pictures.heat_scale(),
        "precision_recall": None if recall is None else plots.precision_recall(recall, point),
        "roc": None if roc is None else plots.roc(roc, point),
        "reliability": plots.reliability(evaluation.reliability, thresholds.outline),
        "histogram": plots.score_histogram(scores[0].tolist(), scores[1].tolist(), thresholds),
        "trade_off": plots.trade_off(scores[0], scores[1], thresholds.defect, thresholds.unsure),
        "choices": [Choice.at(step, min(step, thresholds.unsure), scores[0], scores[1]) for step in STEPS],
    }


def fates(evaluation: Evaluation, labels: Mapping[str, int]) -> list[Fate]:
    """Of good parts, of each defect type, and of all defects where there are several types."""
    anomalous = [case for case in evaluation.cases if case.sample.anomalous]
    normal = [case for case in evaluation.cases if not case.sample.anomalous]
    by_type: dict[str, list[Case]] = {}
    for case in anomalous:
        by_type.setdefault(str(case.sample.defect_type), []).append(case)
    lines = [Fate("good parts", "normal", _verdicts(normal), evaluation.false_alarms)] if normal else []
    for name, cases in sorted(by_type.items()):
        missed = Errors(_verdicts(cases)["OK"], len(cases))
        known = labels.get(name, 0) if labels else None
        lines.append(Fate(name, "type", _verdicts(cases), missed, known, _rate(missed) > FEW))
    if len(by_type) > 1:
        lines.append(Fate("all defects", "all", _verdicts(anomalous), evaluation.misses))
    return lines


def standing(evaluation: Evaluation, decidable: bool = True) -> Standing:
    """By the rates of errors, and of images that a person has to look at, on these test images.

    `decidable` says whether `flawtrace decide` can choose another threshold for this detector.
    """
    alarms, misses, unsure = evaluation.false_alarms, evaluation.misses, _unsure(evaluation)
    meaning = " ".join(
        f"Of 100 {what}, about {100 * _rate(errors):.0f} would {fate} ({_interval(errors)})."
        for what, errors, fate in (
            ("good parts like these", alarms, "be rejected"),
            ("defective ones", misses, "pass unnoticed"),
            ("parts", unsure, "be UNSURE, for a person to look at"),
        )
        if errors.images
    )
    other = "Choose another threshold: flawtrace decide RUN " if decidable else "Train with "
    if _rate(alarms) > FEW and _rate(alarms) >= _rate(misses):
        advice = f"{other}--max-false-alarms 0.01. Look below at what was rejected."
        if decidable:
            advice += (
                " If these parts were photographed on another day than those of training, use good parts of "
                "that day instead: flawtrace decide RUN --images FOLDER."
            )
    elif _rate(misses) > FEW:
        advice = (
            "Label more images of the types that are marked below: flawtrace refit RUN PARTS -o NEW. "
            f"{other}--max-misses 0.02, if more parts may be looked at by a person."
        )
    elif _rate(unsure) > MANY:
        advice = (
            "Look below at why images are UNSURE. If they were photographed otherwise than those of "
            "training, train on images taken as these were."
        )
    elif not alarms.images:
        advice = "Add normal test images, to learn how many good parts it rejects."
    else:
        advice = "Use it: flawtrace predict RUN IMAGES. Look at images that are UNSURE yourself."
    worst = max(_rate(alarms), _rate(misses))
    if worst > MANY:
        return Standing("poor", "Not to be used as it is.", meaning, advice)
    if worst > FEW or _rate(unsure) > MANY or not alarms.images:
        return Standing("fair", "To be used with care.", meaning, advice)
    return Standing("good", "Ready to be used.", meaning, advice)


def _unsure(evaluation: Evaluation) -> Errors:
    return Errors(_verdicts(evaluation.cases)["UNSURE"], len(evaluation.cases))


def _verdicts(cases: Sequence[Case]) -> Counter[str]:
    return Counter(case.prediction.verdict for case in cases)


def _rate(errors: Errors) -> float:
    return errors.alarms / errors.images if errors.images else 0.0


def _interval(errors: Errors) -> str:
    """In percent.

    >>> _interval(Errors(0, 25))
    '0 to 14 %'
    """
    low, high = errors.interval
    return f"{100 * low:.0f} to {100 * high:.0f} %"


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


def _groups(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """The cases to look at, each once: wrong and unsure verdicts, then the extremes of each type."""
    left = sorted(cases, key=lambda case: case.score, reverse=True)
    missed = [case for case in left if case.sample.anomalous and _says(case, "OK")]
    groups: dict[str, list[Case]] = {
        "Missed defects": missed[::-1],
        "Good parts rejected": [c for c in left if not c.sample.anomalous and _says(c, "DEFECT")],
        "UNSURE": [case for case in left if _says(case, "UNSURE")],
    }
    seen = {id(case) for group in groups.values() for case in group}
    found = sorted((c for c in cases if c.f1 is not None and id(c) not in seen), key=lambda c: c.f1 or 0.0)
    for kind in sorted({str(case.sample.defect_type) for case in found}):
        of_type = [case for case in found if str(case.sample.defect_type) == kind]
        shown = [of_type[-1], of_type[0]] if len(of_type) > 1 else of_type
        groups[f"{kind}: best and worst outline"] = shown
    quiet = [case for case in left if not case.sample.anomalous and id(case) not in seen]
    groups["Good parts with the highest scores"] = quiet[:SHOWN_NORMAL]
    return [
        {
            "name": name,
            "cases": [_shown(case) for case in group[:SHOWN_WRONG]],
            "defects": any(case.sample.anomalous for case in group[:SHOWN_WRONG]),
            "small": [_small(case) for case in group[SHOWN_WRONG:][:SHOWN_SMALL]],
            "more": max(0, len(group) - SHOWN_WRONG - SHOWN_SMALL),
        }
        for name, group in groups.items()
        if group
    ]


def _says(case: Case, verdict: str) -> bool:
    return case.prediction.verdict == verdict


def _shown(case: Case) -> dict[str, Any]:
    """One row of pictures: image, truth, anomaly map, prediction."""
    whole = read_image(case.sample.image)
    image = fit(whole, *case.mask.shape)
    return {
        "name": case.sample.image.name,
        "type": case.sample.defect_type,
        "score": case.score,
        "f1": case.f1,
        "verdict": case.prediction.verdict,
        "doubt": case.prediction.doubt,
        "aspect": round(whole.shape[2] / whole.shape[1], 4),
        **row_of_pictures(image, case.mask, case.anomaly_map, case.prediction.mask),
    }


def _small(case: Case) -> dict[str, Any]:
    """One picture with both outlines."""
    whole = read_image(case.sample.image)
    image = outlined(fit(whole, *case.mask.shape), case.mask, DEFECTIVE)
    return {
        "name": case.sample.image.name,
        "type": case.sample.defect_type,
        "score": case.score,
        "aspect": round(whole.shape[2] / whole.shape[1], 4),
        "picture": picture(outlined(image, case.prediction.mask, PREDICTED), SMALL_SIDE),
    }
