"""What can stop a training, or keep it from going on."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

from flawtrace.data import DataError
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.wording import counted, listed

NAMED = 5
"""Differing settings that are named; the others are counted."""
LONGEST = 40
"""Letters of a setting's value in a message."""


class FinishedRunWarning(UserWarning):
    """A run was finished before, and its folder of images has changed since."""

    def __init__(self, run: Path, folder: Path, changes: object) -> None:
        super().__init__(
            f"The run in {run} is finished and was not trained again. Since then, {folder} has {changes}. "
            f"Fit the detector again (`flawtrace refit {run} {folder} -o NEW`), or train into a new folder."
        )


class ResumedRunWarning(UserWarning):
    """A run goes on with the images that it was started with, and there are others by now."""

    def __init__(self, run: Path, folder: Path, changes: object) -> None:
        super().__init__(
            f"The run in {run} goes on with the images that it was started with. Since then, {folder} has "
            f"{changes}, which it does not use. When it is finished, fit its detector again "
            f"(`flawtrace refit {run} {folder} -o NEW`), or train into a new folder."
        )


class TooFewNormalError(DataError):
    def __init__(self, rate: float) -> None:
        super().__init__(
            f"Too few normal images to hold some out, so a false-alarm rate of {rate:g} cannot be measured.\n"
            "Expected at least 4 images: each is judged by predictors that have not seen it.\n"
            "Add normal images, or leave out --max-false-alarms."
        )


class NothingToLearnFromError(DataError):
    def __init__(self, normal: int, labels: int, made_up: int) -> None:
        super().__init__(
            f"{counted(normal, 'normal image')}, {counted(labels, 'label')} and "
            f"{counted(made_up, 'made-up defect')} are too few: no predictor may learn from its judges.\n"
            "Expected two labels, or two normal images to make up defects on (predictor.made_up).\n"
            "Add normal images, or labels."
        )


class RunExistsError(FlawtraceError):
    def __init__(self, run: Path, resumable: bool = False) -> None:
        settled = ", or --resume with the settings that the run was started with" if resumable else ""
        way_out = "Add --resume to continue, choose" if resumable else "Choose"
        super().__init__(
            f"{run} already contains a run.\n"
            f"Expected an empty or new folder{settled}.\n"
            f"{way_out} another folder with -o, or delete this one."
        )


class OtherSettingsError(RunExistsError):
    """A run goes on only as it began."""

    def __init__(self, run: Path, settings: Mapping[str, tuple[Any, Any]]) -> None:
        differing = (
            f"{name} ({_in_short(before)}, now {_in_short(now)})" for name, (before, now) in settings.items()
        )
        FlawtraceError.__init__(
            self,
            f"{run} contains a run with other settings: {listed(differing, limit=NAMED)}.\n"
            "Expected the settings that it was started with, or an empty or new folder.\n"
            "Repeat those settings, choose another folder with -o, or delete this one.",
        )


def _in_short(value: Any) -> str:
    """A setting's value, which may be a list of polygons."""
    return shorten(str(value), LONGEST, placeholder=" ...")


class DataChangedError(FlawtraceError):
    def __init__(self, run: Path, what: str = "") -> None:
        super().__init__(
            f"The images are not those that the run in {run} was started with{what and f': {what}'}.\n"
            "Expected the same training images, masks and labels, byte for byte.\n"
            "Restore them, or train from scratch in another folder."
        )


class CheckpointError(FlawtraceError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The checkpoint {path} is damaged or was not written by flawtrace.\n"
            "Expected the file as `flawtrace train` wrote it.\n"
            "Delete it and train again, or restore it from a copy."
        )


class OneAutoencoderError(FlawtraceError):
    def __init__(self) -> None:
        super().__init__(
            "With --autoencoder.diversity bottleneck_dropout, one autoencoder lives through all cycles, so "
            "they cannot run side by side.\n"
            "Expected --autoencoder.diversity reset, with which each cycle has its own.\n"
            "Set that, or train without --ray."
        )


class DivergedError(FlawtraceError):
    def __init__(self, what: str, update: int, value: float) -> None:
        super().__init__(
            f"Training failed: {what} became {value} at update {update}.\n"
            "Expected a finite number. No detector was written.\n"
            "Lower the learning rate (--autoencoder.lr, --predictor.lr), or look for broken images with "
            "`flawtrace inspect`."
        )
