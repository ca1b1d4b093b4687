"""Detectors as the verbs use them: on a device that is there, after a warning where they are doubtful."""

import warnings
from pathlib import Path
from typing import TypeVar

from flawtrace.detector import AnyDetector, Detector, DoubtWarning, fastest
from flawtrace.detector.doubts import doubts
from flawtrace.ground.devices import ready
from flawtrace.ground.errors import ArgumentError
from flawtrace.ground.groups import RuntimeChoice

Loaded = TypeVar("Loaded", bound=AnyDetector)


def trained_detector(run: Path | str, device: str) -> Detector:
    """The detector of a run's folder, or of its own file, to be run by torch."""
    place = ready(device)
    return _warned(Detector.load(run)).to(place)


def load(
    run: Path | str,
    *,
    runtime: RuntimeChoice = "auto",
    device: str = "cpu",
    threshold: float | None = None,
) -> AnyDetector:
    """The detector of a run's folder or of a file, to look at many pictures: `load(run).predict(image)`.

    By itself the fastest runtime that is installed runs it: ONNX Runtime or OpenVINO if `run` is an exported
    file, or a run in which its own exported file lies (`flawtrace export RUN`), else torch. On another
    `device` than the processor only torch runs.

    `threshold`, in [0, 1], takes the place of the stored score from which an image is DEFECT; `decide` stores
    another.

    Warns:
        DoubtWarning: on labels that it had not seen, the detector was not good enough to be trusted.

    Raises:
        WrongRuntimeError: what is there cannot be run by this runtime.
        ArgumentError: the threshold is not in [0, 1].
    """
    return any_detector(run, device, runtime, threshold)


def any_detector(
    run: Path | str, device: str, runtime: RuntimeChoice, threshold: float | None = None
) -> AnyDetector:
    """The same, for other verbs, of which one that rewrites a run's own file asks for `torch`."""
    place = ready(device)
    if place.type != "cpu":
        if Path(run).suffix == ".onnx" or runtime not in ("auto", "torch"):
            raise ArgumentError("--device", "exported files run on the processor; give the run")
        runtime = "torch"
    detector = _warned(fastest(Path(run), runtime))
    if threshold is not None:
        detector.decide_by(detector.facts.with_threshold(threshold))
    return detector.to(place) if isinstance(detector, Detector) else detector


def _warned(detector: Loaded) -> Loaded:
    """The detector, after warning the caller of a verb of what keeps it from being trusted."""
    if found := "; ".join(doubt.finding for doubt in doubts(detector.facts, detector.config.seen_as)):
        text = f"Do not rely on this detector: {found}. The report of its training says what helps."
        warnings.warn(text, DoubtWarning, stacklevel=4)
    return detector
