"""What can keep a detector from being measured."""

from pathlib import Path

from flawtrace.data import DataError


class NothingToEvaluateError(DataError):
    def __init__(self, root: Path, num_normal: int, num_known: int) -> None:
        super().__init__(
            f"{root} contains no defect image to evaluate on: the detector was trained on {num_known} of its "
            f"images, and {num_normal} others show no defect.\n"
            "Expected defect images that training did not see, with or without masks.\n"
            "Add some, or train with fewer labels (--labels)."
        )
