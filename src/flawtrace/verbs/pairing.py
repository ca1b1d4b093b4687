"""Comparing two detectors of one product."""

from collections.abc import Callable
from pathlib import Path

from flawtrace.data import Named, read_category
from flawtrace.measures import Comparison, compared
from flawtrace.measures import evaluate as evaluate_detector
from flawtrace.pictures.images import read_image
from flawtrace.report import COMPARISON_NAME, write_comparison
from flawtrace.verbs.loading import trained_detector


def compare(
    before: Path | str,
    after: Path | str,
    folder: Path | str,
    out: Path | str | None = None,
    *,
    device: str = "cpu",
    named: Named = Named(),  # noqa: B008 (it is frozen)
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare two detectors, `before` and `after`, on those images in `folder` that neither was trained on.

    Each is a run's folder or a detector's own file. Leaves a page with every changed verdict: `out`, or
    `comparison.html` in the folder `after`.

    Raises:
        NothingToEvaluateError: no image, or no defect image, is left.
    """
    detectors = trained_detector(before, device), trained_detector(after, device)
    samples = read_category(Path(folder), named).for_testing(detectors[1].config.normal_limit)
    known = [any(detector.knows(read_image(s.image)) for detector in detectors) for s in samples]
    new = [sample for sample, seen in zip(samples, known, strict=True) if not seen]

    def of_both(done: int, total: int, already: int) -> None:
        if progress:
            progress(already * total + done, 2 * total)

    evaluations = [
        evaluate_detector(detector, new, lambda done, total, already=index: of_both(done, total, already))
        for index, detector in enumerate(detectors)
    ]
    comparison = compared(evaluations[0], evaluations[1], sum(known))
    page = Path(out) if out else _beside(Path(after))
    write_comparison(comparison, (Path(before).name, Path(after).name), page)
    return comparison


def _beside(run: Path) -> Path:
    return (run if run.is_dir() else run.parent) / COMPARISON_NAME
