"""Detectors as the verbs use them: on a device that is there, after a warning where they are doubtful."""

import warnings
from pathlib import Path
from typing import TypeVar

from flawtrace.detector import AnyDetector, Detector, DoubtWarning, load
from flawtrace.detector.doubts import doubts
from flawtrace.ground.devices import ready
from flawtrace.ground.groups import RuntimeName

Loaded = TypeVar("Loaded", bound=AnyDetector)


def trained_detector(run: Path | str, device: str) -> Detector:
    """The detector of a run's folder, or of its own file, to be run by torch."""
    place = ready(device)
    return _warned(Detector.load(run)).to(place)


def any_detector(run: Path | str, device: str, runtime: RuntimeName | None) -> AnyDetector:
    """The same, or an exported one, which its own runtime runs."""
    place = ready(device)
    detector = _warned(load(Path(run), runtime))
    return detector.to(place) if isinstance(detector, Detector) else detector


def _warned(detector: Loaded) -> Loaded:
    """The detector, after warning the caller of a verb of what keeps it from being trusted."""
    for doubt in doubts(detector.facts):
        warnings.warn(doubt, DoubtWarning, stacklevel=4)
    return detector
