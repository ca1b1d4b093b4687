"""Deciding anew from which score an image is DEFECT or UNSURE, without training again."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from flawtrace.data import refuse_folder
from flawtrace.detector import (
    FALSE_ALARMS,
    AnyDetector,
    Choice,
    Detector,
    KeptExportWarning,
    NothingToDecideByError,
    by_judge,
    decisive,
    detector_file,
    doubtful,
    exported_name,
    fastest,
    limited,
    quietest,
    rewrite,
    trade_off,
)
from flawtrace.ground.errors import ArgumentError
from flawtrace.ground.files import write_bytes
from flawtrace.ground.groups import ENOUGH
from flawtrace.pictures.images import read_image
from flawtrace.report import plots
from flawtrace.verbs.gathering import gathered
from flawtrace.verbs.loading import any_detector

Scores: TypeAlias = Float[np.ndarray, " _"]


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
    plot: Path | str | None = None,
    device: str = "cpu",
) -> Decision:
    """Show what other thresholds would do to held-out images, and store one if it is asked for.

    The images are those that training held out: defect images, and normal ones scored by predictors that had
    not seen them. `images`, normal images of another day (a folder or a file), takes the place of the latter.
    With a limit on false alarms or misses, or a `threshold`, all in [0, 1], the detector's file is rewritten,
    and so is what was exported of it and lies beside it; with `images` alone too, by the fewest errors. A
    limit moves the threshold from even odds, as in training; with `images` from the fewest errors. A detector
    that was trained without labels knows no defect image: fewest errors are then as few false alarms as its
    training allowed. `plot` is an SVG file to be written: both rates over all thresholds, with their
    intervals.

    Warns:
        KeptExportWarning: a file that lies beside the detector could not be rewritten.

    Raises:
        NothingToDecideByError: the detector keeps no scores of held-out images.
        NoImagesError: `images` holds none.
        ArgumentError: more than one of limits and threshold is given, a number is not in [0, 1], or misses
            are to be limited and no defect image was held out.
    """
    asked = {"max_false_alarms": max_false_alarms, "max_misses": max_misses, "threshold": threshold}
    given = {name: value for name, value in asked.items() if value is not None}
    _refuse(given)
    if plot is not None:
        refuse_folder(Path(plot))
    detector = any_detector(run, device, "auto" if Path(run).suffix == ".onnx" else "torch")
    known = detector.facts.held_out
    if detector.config.score == "maximum" or (images is None and not any(known.values())):
        raise NothingToDecideByError(Path(run))
    anomalous = np.array(known.get("anomalous", []))
    if max_misses is not None and not len(anomalous):
        raise ArgumentError("--max-misses", "training held out no defect image to count misses by")
    normal = np.array(known.get("normal", [])) if images is None else _scores(detector, Path(images))
    before = Choice.at(detector.thresholds.defect, detector.thresholds.unsure, normal, anomalous)
    chosen = None
    if given or images is not None:
        limits = {name: value for name, value in given.items() if name != "threshold"}
        defect = threshold
        if defect is None and images is None:
            labelled = detector.facts.num_labelled
            known_defects = len(anomalous) if labelled is None else labelled
            defect = by_judge(normal, anomalous, **limits, few=known_defects < ENOUGH)
        elif defect is None:
            start = _fitting(normal, anomalous, detector.config.max_false_alarms)
            defect = limited(start, normal, anomalous, **limits)
        chosen = Choice.at(defect, doubtful(normal, defect), normal, anomalous)
        _store(detector, chosen, Path(run))
    if plot is not None:
        now = chosen or before
        write_bytes(Path(plot), plots.drawn_trade_off(normal, anomalous, now.threshold, now.unsure_from))
    choices = trade_off(normal, anomalous)
    return Decision(choices, before, chosen, "held out by training" if images is None else str(images))


def _refuse(given: dict[str, float]) -> None:
    flags = [f"--{name.replace('_', '-')}" for name in given]
    if len(flags) > 1:
        raise ArgumentError(" and ".join(flags), "only one of them can decide")
    for flag, value in zip(flags, given.values(), strict=True):
        if not 0 <= value <= 1:
            raise ArgumentError(flag, f"{value:g} is not between 0 and 1")


def _scores(detector: AnyDetector, images: Path) -> Scores:
    """Of images that are all normal."""
    return np.array([detector.predict(read_image(file)).score for file in gathered(images).files])


def _fitting(normal: Scores, anomalous: Scores, rate: float | None) -> float:
    """From which score images are DEFECT: where errors are fewest; without any defect, where no more normal
    images than a share `rate` reach it, or as many as in training.
    """
    if len(anomalous):
        return decisive(normal, anomalous)
    return quietest(normal, FALSE_ALARMS if rate is None else rate)


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
        detector.save(detector_file(run))
        detector = fastest(run)  # what was exported of it, if that lies beside it
    if not isinstance(detector, Detector):
        rewrite(detector)
    elif (beside := exported_name(run)).is_file():
        warnings.warn(KeptExportWarning(beside), stacklevel=3)
