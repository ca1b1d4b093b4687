"""Keeping a detector up to date: what was labelled or taken since it was trained."""

from collections.abc import Callable
from pathlib import Path

from flawtrace.data import Category, Named, draw_keeping, refuse_foreign
from flawtrace.detector import Detector
from flawtrace.ground.run_files import SETTINGS_NAME
from flawtrace.pictures.images import read_image
from flawtrace.report import write_report
from flawtrace.training import Event, Trained
from flawtrace.training import refit as refitting
from flawtrace.verbs.folders import hinting, read
from flawtrace.verbs.loading import trained_detector


def refit(
    run: Path | str,
    folder: Path | str,
    out: Path | str,
    *,
    labels: int | None = None,
    device: str = "cpu",
    named: Named = Named(),  # noqa: B008 (it is frozen)
    skip_bad: bool = False,
    progress: Callable[[Event], None] | None = None,
) -> Trained:
    """Fit the detector of `run` again to the labels and normal images in `folder`; the new one goes to `out`.

    Features, autoencoder and policy stay; whatever learns from labels, or from how normal images vary, is
    made anew. `run` is a run's folder or a detector's own file. All images with masks are labels, or with
    `labels` at most so many of each defect type: those that the detector was trained on, then others by draw.
    """
    if not (Path(out) / SETTINGS_NAME).exists():
        refuse_foreign(Path(out))
    detector, category = trained_detector(run, device), read(folder, named, skip_bad).category
    with hinting(skip_bad):
        return _refitted(category, detector, Path(out), labels, progress)


def _refitted(
    category: Category,
    detector: Detector,
    out: Path,
    labels: int | None,
    progress: Callable[[Event], None] | None,
) -> Trained:
    known = {sample for sample in category.anomalous if detector.knows(read_image(sample.image))}
    split = draw_keeping(category, known, labels, detector.config.seed)
    for event in refitting(split, detector, out, device=detector.device):
        if isinstance(event, Trained):
            write_report(out)
            return event
        if progress:
            progress(event)
    raise AssertionError("a refit ends with a detector")
