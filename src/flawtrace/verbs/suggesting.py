"""What to label next."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawtrace.data import refuse_folder
from flawtrace.detector import Looked, looked, suggested
from flawtrace.ground.files import read_json, write_text
from flawtrace.ground.run_files import SUMMARY_NAME
from flawtrace.pictures.images import read_image
from flawtrace.report import contact_sheet
from flawtrace.verbs.gathering import gathered
from flawtrace.verbs.loading import trained_detector


@dataclass(frozen=True)
class Proposal:
    """One image that is worth a label, and why."""

    image: str
    verdict: str
    score: float
    worth: float
    """How much the detector doubts it, from 0 to 1.5."""
    distance: float | None
    """From what is labelled or proposed before it; 1 is the mean distance of the images from each other."""

    @property
    def reason(self) -> str:
        """In words."""
        why = {"UNSURE": "the detector is unsure", "DEFECT": "looks defective", "OK": "taken for normal"}
        unlike = (
            "" if self.distance is None else f"; {self.distance:.1f} times the usual distance from the others"
        )
        return f"{why[self.verdict]} (score {self.score:.2f}){unlike}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "reason": self.reason}


def suggest(
    run: Path | str,
    images: Iterable[Path | str] | Path | str,
    count: int = 10,
    *,
    out: Path | str | None = None,
    recursive: bool = False,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[Proposal]:
    """The images whose labels would teach the detector of `run` most, the best first, at most `count`.

    Those come first that the detector doubts, and that look unlike what it was trained on and each other.
    Images that it was trained on are left out. `out` is a page to write, with a picture of each.
    """
    if out:
        refuse_folder(Path(out))
    detector = trained_detector(run, device)
    files = gathered(images, recursive).files
    seen: list[tuple[Path, Looked]] = []
    for done, file in enumerate(files, start=1):
        image = read_image(file)
        if not detector.knows(image):
            seen.append((file, looked(detector, image)))
        if progress:
            progress(done, len(files))
    labelled = [looked(detector, read_image(file)) for file in _labelled(Path(run))]
    proposals = []
    for found in suggested([one for _, one in seen], labelled, count):
        file, one = seen[found.index]
        score = round(one.prediction.score, 4)
        proposals.append(
            Proposal(str(file), one.prediction.verdict, score, round(found.worth, 4), found.distance)
        )
    if out:
        write_text(
            Path(out), contact_sheet([(Path(one.image), one.verdict, one.reason) for one in proposals])
        )
    return proposals


def _labelled(run: Path) -> list[Path]:
    """Labelled images of the run that are still where they were."""
    summary = (run if run.is_dir() else run.parent) / SUMMARY_NAME
    files = read_json(summary).get("labelled_files", []) if summary.is_file() else []
    return [Path(name) for name in files if Path(name).is_file()]
