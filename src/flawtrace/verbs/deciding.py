"""Deciding anew from which score an image is DEFECT or UNSURE, without training again."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from flawtrace.data import images_in
from flawtrace.detector import (
    FILE_NAME,
    AnyDetector,
    Detector,
    Errors,
    NothingToDecideByError,
    decisive,
    doubtful,
    limited,
    rewrite,
)
from flawtrace.ground.errors import SettingsError
from flawtrace.pictures.images import read_image
from flawtrace.verbs.loading import any_detector

Scores: TypeAlias = Float[np.ndarray, " _"]

STEPS = 9
"""Thresholds in the table, beside the one that is stored."""


@dataclass(frozen=True)
class Choice:
    """One threshold, and what it does to the images by which it is chosen."""

    threshold: float
    unsure_from: float
    false_alarms: Errors
    misses: Errors
    unsure: int
    """Of both kinds of images."""

    def to_json(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold,
            "unsure_from": self.unsure_from,
            "false_alarms": self.false_alarms.to_json(),
            "misses": self.misses.to_json(),
            "unsure": self.unsure,
        }


@dataclass(frozen=True)
class Decision:
    """What `decide` found and stored."""

    choices: tuple[Choice, ...]
    """The trade-off, from few misses to few false alarms."""
    before: Choice
    chosen: Choice | None
    """None where nothing was asked for, and nothing was stored."""
    normal_from: str
    """Where the normal images come from."""


def decide(
    run: Path | str,
    *,
    max_false_alarms: float | None = None,
    max_misses: float | None = None,
    threshold: float | None = None,
    images: Path | str | None = None,
    device: str = "cpu",
) -> Decision:
    """Show what other thresholds would do to held-out images, and store one if it is asked for.

    The images are those that training held out: defect images, and normal ones scored by predictors that had
    not seen them. `images`, normal images of another day (a folder or a file), takes the place of the latter.
    With a limit on false alarms or misses, or a `threshold`, all in [0, 1], the detector's file is rewritten,
    an exported one as well; with `images` alone too, by the fewest errors.

    Raises:
        NothingToDecideByError: the detector keeps no scores of held-out images, or `images` holds none.
        SettingsError: more than one of limits and threshold is given, or a number is not in [0, 1].
    """
    asked = {"max_false_alarms": max_false_alarms, "max_misses": max_misses, "threshold": threshold}
    given = {name: value for name, value in asked.items() if value is not None}
    _refuse(given)
    detector = any_detector(run, device, None)
    known = detector.facts.held_out
    if detector.config.score == "maximum" or not known.get("anomalous"):
        raise NothingToDecideByError(Path(run))
    anomalous = np.array(known["anomalous"])
    normal = np.array(known["normal"]) if images is None else _scores(detector, Path(images))
    before = _choice(detector.thresholds.defect, detector.thresholds.unsure, normal, anomalous)
    chosen = None
    if given or images is not None:
        limits = {name: value for name, value in given.items() if name != "threshold"}
        defect = threshold
        if defect is None:
            defect = limited(decisive(normal, anomalous), normal, anomalous, **limits)
        chosen = _choice(defect, doubtful(normal, defect), normal, anomalous)
        _store(detector, chosen, Path(run))
    steps = np.quantile(np.concatenate([normal, anomalous]), np.linspace(0.05, 0.95, STEPS))
    ladder = sorted({round(float(step), 4) for step in steps})
    choices = (_choice(step, doubtful(normal, step), normal, anomalous) for step in ladder)
    return Decision(tuple(choices), before, chosen, "held out by training" if images is None else str(images))


def _refuse(given: dict[str, float]) -> None:
    flags = [f"--{name.replace('_', '-')}" for name in given]
    if len(flags) > 1:
        raise SettingsError("the command line", " and ".join(flags), "only one of them can decide")
    for flag, value in zip(flags, given.values(), strict=True):
        if not 0 <= value <= 1:
            raise SettingsError("the command line", flag, f"{value:g} is not between 0 and 1")


def _scores(detector: AnyDetector, images: Path) -> Scores:
    """Of images that are all normal."""
    files = images_in(images) if images.is_dir() else [images]
    if not files:
        raise NothingToDecideByError(images)
    return np.array([detector.predict(read_image(file)).score for file in files])


def _choice(defect: float, unsure: float, normal: Scores, anomalous: Scores) -> Choice:
    return Choice(
        defect,
        unsure,
        Errors(int((normal >= defect).sum()), len(normal)),
        Errors(int((anomalous < unsure).sum()), len(anomalous)),
        sum(int(((scores >= unsure) & (scores < defect)).sum()) for scores in (normal, anomalous)),
    )


def _store(detector: AnyDetector, chosen: Choice, run: Path) -> None:
    numbers = replace(detector.thresholds, defect=chosen.threshold, unsure=chosen.unsure_from)
    facts = replace(
        detector.facts,
        decision=numbers.beside_outline,
        false_alarms=chosen.false_alarms.to_json(),
        misses=chosen.misses.to_json(),
    )
    detector.decide_by(facts)
    if isinstance(detector, Detector):
        detector.save(run / FILE_NAME if run.is_dir() else run)
    else:
        rewrite(detector)
