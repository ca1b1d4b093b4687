"""What can keep a detector from being measured."""

from pathlib import Path

from flawtrace.data import DataError
from flawtrace.ground.wording import counted


class NothingToEvaluateError(DataError):
    def __init__(self, root: Path, num_normal: int, num_known: int, who: str = "the detector") -> None:
        super().__init__(
            f"{root} contains no defect image to evaluate on: {who} was trained on {num_known} of its "
            f"images, and {counted(num_normal, 'other shows', 'others show')} no defect.\n"
            "Expected defect images that training did not see, with or without masks.\n"
            "Add some, or train with fewer labels (--labels)."
        )
