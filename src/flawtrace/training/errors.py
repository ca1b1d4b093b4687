"""What can stop a training, or keep it from going on."""

from pathlib import Path

from flawtrace.data import DataError
from flawtrace.ground.errors import FlawtraceError


class TooFewNormalError(DataError):
    def __init__(self, rate: float) -> None:
        super().__init__(
            f"There are too few normal images to hold some back, so a false-alarm rate of {rate:g} cannot be "
            "measured.\n"
            "Expected at least 4, tiles of two images at least: a quarter is kept from the predictors.\n"
            "Add normal images, or leave --max-false-alarms out."
        )


class RunExistsError(FlawtraceError):
    def __init__(self, run: Path, what: str) -> None:
        super().__init__(
            f"{run} {what}.\n"
            "Expected an empty or new folder, or --resume with the settings that the run began with.\n"
            "Add --resume to go on, name another folder with -o, or delete this one."
        )


class DataChangedError(FlawtraceError):
    def __init__(self, run: Path) -> None:
        super().__init__(
            f"The images are not those with which the run in {run} began.\n"
            "Expected the same training images, masks and labels, byte for byte.\n"
            "Restore them, or train from the start in another folder."
        )


class CheckpointError(FlawtraceError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The checkpoint {path} is damaged or was not written by flawtrace.\n"
            "Expected a file that `flawtrace train` wrote.\n"
            "Delete it and train again, or restore it from a copy."
        )


class DivergedError(FlawtraceError):
    def __init__(self, what: str, update: int, value: float) -> None:
        super().__init__(
            f"Training failed: {what} became {value} at update {update}.\n"
            "Expected a finite number. No detector was written.\n"
            "Lower the learning rate (--autoencoder.lr, --predictor.lr), or look for broken images with "
            "`flawtrace inspect`."
        )
