"""What to label next."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawtrace.data import refuse_folder
from flawtrace.detector import Detector, Looked, looked, suggested
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.files import read_json, write_text
from flawtrace.ground.run_files import summary_file
from flawtrace.pictures.errors import ImageError
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


Failing = Callable[[Path, FlawtraceError], None]


def _warn(_: Path, error: FlawtraceError) -> None:
    warnings.warn(str(error), stacklevel=3)


def suggest(
    run: Path | str,
    images: Iterable[Path | str] | Path | str,
    count: int = 10,
    *,
    out: Path | str | None = None,
    recursive: bool = False,
    device: str = "cpu",
    failing: Failing = _warn,
    progress: Callable[[int, int], None] | None = None,
) -> list[Proposal]:
    """The images whose labels would teach the detector of `run` most, the best first, at most `count`.

    Those come first that the detector doubts, and that look unlike what it was trained on and each other.
    Images that it was trained on are left out, and those that cannot be read, each of which `failing` is told
    with the error; by itself it warns. `out` is a page to write, with a picture of each.
    """
    if out:
        refuse_folder(Path(out))
    detector = trained_detector(run, device)
    files = gathered(images, recursive).files
    seen: list[tuple[Path, Looked]] = []
    for done, file in enumerate(files, start=1):
        try:
            image = read_image(file)
            if not detector.knows(image):
                seen.append((file, looked(detector, image)))
        except FlawtraceError as error:
            failing(file, error)
        if progress:
            progress(done, len(files))
    labelled = list(_labelled(detector, Path(run)))
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


def _labelled(detector: Detector, run: Path) -> Iterator[Looked]:
    """Labelled images of the run, as far as they are still where they were."""
    summary = summary_file(run)
    files = read_json(summary).get("labelled_files", []) if summary.is_file() else []
    for name in files:
        with suppress(ImageError):
            yield looked(detector, read_image(Path(name)))
