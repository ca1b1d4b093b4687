"""Whether a detector can be used as it is, what to do next, and what became of each kind of test image."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from flawtrace.detector import Errors
from flawtrace.measures import Case, Evaluation

FEW, MANY = 0.05, 0.15
"""Rates of errors up to which a detector does well, and beyond which it should not be used as it is.

A type of which more than FEW are missed is marked as weak.
"""

Colour: TypeAlias = Literal["good", "fair", "poor"]


@dataclass(frozen=True)
class Fate:
    """What became of the test images of one kind: a line of the table per type."""

    name: str
    kind: Literal["normal", "type", "all"]
    verdicts: Mapping[str, int]
    wrong: Errors
    """Good parts that were rejected, or defects that escaped."""
    labels: int | None = None
    """Labelled training images of the type, where that is known."""
    weak: bool = False


@dataclass(frozen=True)
class Count:
    """So many of so many, and what they are."""

    number: int
    of: int
    what: str
    wrong: bool = False
    """Whether there are more of them than a good detector has."""


@dataclass(frozen=True)
class Step:
    """One thing to do next: why, and the command that does it."""

    why: str
    command: str


@dataclass(frozen=True)
class Standing:
    """In a word, whether the detector can be used as it is, and what to do next."""

    colour: Colour
    word: str
    counts: tuple[Count, ...]
    meaning: str
    steps: tuple[Step, ...]


def fates(evaluation: Evaluation, labels: Mapping[str, int]) -> list[Fate]:
    """Of good parts, of each defect type, and of all defects where there are several types."""
    anomalous = [case for case in evaluation.cases if case.sample.anomalous]
    normal = [case for case in evaluation.cases if not case.sample.anomalous]
    by_type: dict[str, list[Case]] = {}
    for case in anomalous:
        by_type.setdefault(str(case.sample.defect_type), []).append(case)
    lines = [Fate("good parts", "normal", verdicts(normal), evaluation.false_alarms)] if normal else []
    for name, cases in sorted(by_type.items()):
        missed = Errors(verdicts(cases)["OK"], len(cases))
        known = labels.get(name, 0) if labels else None
        lines.append(Fate(name, "type", verdicts(cases), missed, known, _rate(missed) > FEW))
    if len(by_type) > 1:
        lines.append(Fate("all defects", "all", verdicts(anomalous), evaluation.misses))
    return lines


def standing(evaluation: Evaluation, decidable: bool = True, run: str = "RUN") -> Standing:
    """By the rates of errors, and of images that a person has to look at, on these test images.

    `decidable` says whether `flawtrace decide` can choose another threshold for this detector; commands are
    about the folder `run`.
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
    colour, word = _colour(alarms, misses, unsure)
    steps = tuple(_steps(alarms, misses, unsure, decidable, shlex.quote(run)))
    return Standing(colour, word, _counts(evaluation, unsure), meaning, steps)


def untested(summary: Mapping[str, Any], run: str = "RUN") -> Standing:
    """Of a detector that only its own training has judged, on images that it held back."""
    misses, alarms = (_held_out(summary, name) for name in ("misses", "false_alarms"))
    found = round(summary.get("validation", {}).get("found", 0.0) * misses.images)
    tiled = summary.get("seen_as") == "tile"
    defects, good = ("tiles with defects", "normal tiles") if tiled else ("defects", "good parts")
    counts = [
        Count(found, misses.images, f"labelled {defects} found", _rate(misses) > FEW),
        Count(alarms.alarms, alarms.images, f"{good} rejected", _rate(alarms) > FEW),
    ]
    test = Step(
        "Test it on images that it was not trained on, some with defects and some without.",
        f"flawtrace evaluate {shlex.quote(run)} PARTS",
    )
    poor = max(_rate(misses), _rate(alarms)) > MANY
    return Standing(
        "poor" if poor else "fair",
        "Not tested yet, and doubtful." if poor else "Not tested yet.",
        tuple(count for count in counts if count.of),
        "Counted on training images, each judged by a predictor that had not seen it. This is no test."
        + ("" if misses.images else " How many defects it finds is not known: there was no label."),
        (test,),
    )


def verdicts(cases: Sequence[Case]) -> Counter[str]:
    """How often each was given."""
    return Counter(case.prediction.verdict for case in cases)


def _counts(evaluation: Evaluation, unsure: Errors) -> tuple[Count, ...]:
    anomalous = [case for case in evaluation.cases if case.sample.anomalous]
    alarms, misses = evaluation.false_alarms, evaluation.misses
    found = verdicts(anomalous)["DEFECT"]
    counts = (
        Count(found, len(anomalous), "defects found", _rate(misses) > FEW),
        Count(alarms.alarms, alarms.images, "good parts rejected", _rate(alarms) > FEW),
        Count(unsure.alarms, unsure.images, "left UNSURE", _rate(unsure) > MANY),
    )
    return tuple(count for count in counts if count.of)


def _colour(alarms: Errors, misses: Errors, unsure: Errors) -> tuple[Colour, str]:
    worst = max(_rate(alarms), _rate(misses))
    if worst > MANY:
        return "poor", "Not to be used as it is."
    if worst > FEW or _rate(unsure) > MANY or not alarms.images:
        return "fair", "To be used with care."
    return "good", "Ready to be used."


def _steps(alarms: Errors, misses: Errors, unsure: Errors, decidable: bool, run: str) -> list[Step]:
    if _rate(alarms) > FEW and _rate(alarms) >= _rate(misses):
        return _against_alarms(decidable, run)
    if _rate(misses) > FEW:
        return _against_misses(decidable, run)
    if _rate(unsure) > MANY:
        why = (
            "Look below at why images are UNSURE. If they were photographed otherwise than those of "
            "training, train on images taken as these were."
        )
        return [Step(why, "flawtrace train PARTS -o NEW")]
    if not alarms.images:
        why = "Add normal test images, to learn how many good parts it rejects, and test again."
        return [Step(why, f"flawtrace evaluate {run} PARTS")]
    return [Step("Use it, and look at images that are UNSURE yourself.", f"flawtrace predict {run} IMAGES")]


def _against_alarms(decidable: bool, run: str) -> list[Step]:
    why = "Look below at what was rejected. If these parts are good, allow fewer false alarms"
    if not decidable:
        return [Step(f"{why} and train again.", "flawtrace train PARTS -o NEW --max-false-alarms 0.01")]
    other_day = (
        "If they were photographed on another day than those of training, choose the threshold by good parts "
        "of that day instead."
    )
    return [
        Step(f"{why}; more defects may be missed.", f"flawtrace decide {run} --max-false-alarms 0.01"),
        Step(other_day, f"flawtrace decide {run} --images FOLDER"),
    ]


def _against_misses(decidable: bool, run: str) -> list[Step]:
    why = "Or allow fewer misses; more good parts may be rejected, or be UNSURE"
    command = f"flawtrace decide {run}" if decidable else "flawtrace train PARTS -o NEW"
    return [
        Step(
            "Label more images of the types that are marked as weak below, and fit the detector again.",
            f"flawtrace refit {run} PARTS -o NEW",
        ),
        Step(f"{why}." if decidable else f"{why}: train again.", f"{command} --max-misses 0.02"),
    ]


def _held_out(summary: Mapping[str, Any], name: str) -> Errors:
    counted = summary.get(name, {})
    return Errors(counted.get("alarms", 0), counted.get("images", 0))


def _unsure(evaluation: Evaluation) -> Errors:
    return Errors(verdicts(evaluation.cases)["UNSURE"], len(evaluation.cases))


def _rate(errors: Errors) -> float:
    return errors.alarms / errors.images if errors.images else 0.0


def _interval(errors: Errors) -> str:
    """In percent.

    >>> _interval(Errors(0, 25))
    '0 to 14 %'
    """
    low, high = errors.interval
    return f"{100 * low:.0f} to {100 * high:.0f} %"
