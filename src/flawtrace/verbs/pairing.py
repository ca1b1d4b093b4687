"""Comparing two detectors of one product."""

from functools import partial
from pathlib import Path

from flawtrace.data import Named, refuse_folder
from flawtrace.data.pieces import common_size
from flawtrace.measures import Comparison, NothingToEvaluateError, compared
from flawtrace.measures import evaluate as evaluate_detector
from flawtrace.pictures.images import read_image
from flawtrace.report import COMPARISON_NAME, write_comparison
from flawtrace.verbs.folders import hinting, read
from flawtrace.verbs.loading import trained_detector
from flawtrace.verbs.testing import Counting


def compare(
    before: Path | str,
    after: Path | str,
    folder: Path | str,
    out: Path | str | None = None,
    *,
    device: str = "cpu",
    named: Named = Named(),  # noqa: B008 (it is frozen)
    skip_bad: bool = False,
    progress: Counting | None = None,
) -> Comparison:
    """Compare two detectors, `before` and `after`, on those images in `folder` that neither was trained on.

    Each is a run's folder or a detector's own file. Maps of both are compared with masks at one size, the
    larger of their working sizes, and where both look: in the regions of interest of both. Leaves a page with
    every changed verdict: `out`, or `comparison.html` in the folder `after`.

    Raises:
        NothingToEvaluateError: no image, or no defect image, is left.
    """
    page = Path(out) if out else _beside(Path(after))
    refuse_folder(page)
    detectors = trained_detector(before, device), trained_detector(after, device)
    category = read(folder, named, skip_bad, for_testing=True).category
    samples = category.for_testing(detectors[1].config.normal_limit)
    with hinting(skip_bad):
        known = [any(detector.knows(read_image(s.image)) for detector in detectors) for s in samples]
    new = [sample for sample, seen in zip(samples, known, strict=True) if not seen]
    if not any(sample.anomalous for sample in new):
        raise NothingToEvaluateError(category.root, len(new), sum(known), "at least one of the detectors")

    size = common_size(new, *(detector.config for detector in detectors))
    regions = [detector.config.region for detector in detectors if detector.config.region]
    first, second = (
        evaluate_detector(
            detector,
            new,
            partial(_of_both, progress, half),
            folder=category.root,
            size=size,
            regions=regions,
        )
        for half, detector in enumerate(detectors)
    )
    comparison = compared(first, second, sum(known))
    write_comparison(comparison, (Path(before).name, Path(after).name), page)
    return comparison


def _of_both(progress: Counting | None, half: int, done: int, total: int) -> None:
    """Report how far the first or the second half is."""
    if progress:
        progress(half * total + done, 2 * total)


def _beside(run: Path) -> Path:
    return (run if run.is_dir() else run.parent) / COMPARISON_NAME
