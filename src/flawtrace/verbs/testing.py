"""Measuring a detector on images that it was not trained on."""

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from flawtrace.data import Named
from flawtrace.ground.files import read_json, write_json, write_text
from flawtrace.measures import Case, Evaluation
from flawtrace.measures import evaluate as evaluate_detector
from flawtrace.report import REPORT_NAME, can_report, write_report
from flawtrace.verbs.folders import hinting, read
from flawtrace.verbs.loading import trained_detector

METRICS_NAME = "metrics.json"
TABLE_NAME = "evaluation.csv"
FIELDS = (
    "image",
    "defect_type",
    "verdict",
    "score",
    "doubt",
    "mask",
    "marked_share",
    "defective_share",
    "precision",
    "recall",
    "f1",
)

Counting = Callable[[int, int], None]


def evaluate(
    run: Path | str,
    folder: Path | str,
    *,
    device: str = "cpu",
    named: Named = Named(),  # noqa: B008 (it is frozen)
    skip_bad: bool = False,
    keeping: Callable[[Path], None] | None = None,
    progress: Counting | None = None,
) -> Evaluation:
    """Score the run's detector on the images in `folder` that it was not trained on.

    Normal images for training need not be there; where they are, as in a folder the detector has never seen,
    at most `normal_limit` of them are looked at. Defect images without a mask count in everything that is
    about images.

    Leaves `metrics.json`, `evaluation.csv` (a row for each image) and the full report in the folder `run`. An
    earlier evaluation with other results is kept under names with a number, and `keeping` is told each. A
    detector without its run has no report, one that is named by its file leaves nothing.

    Warns:
        LeftOutWarning: with `skip_bad`, files cannot be read or used and were left out.

    Raises:
        NothingToEvaluateError: no image, or no defect image, is left.
    """
    detector, category = (
        trained_detector(run, device),
        read(folder, named, skip_bad, for_testing=True).category,
    )
    samples = category.for_testing(detector.config.normal_limit)
    with hinting(skip_bad):
        evaluation = evaluate_detector(detector, samples, progress, folder=category.root)
    if Path(run).is_dir():
        _write(Path(run), Path(folder), evaluation, keeping)
    return evaluation


def _write(run: Path, folder: Path, evaluation: Evaluation, keeping: Callable[[Path], None] | None) -> None:
    """All files about an evaluation; of an earlier one that is another, those are kept."""
    document = {"folder": str(folder.resolve()), **evaluation.to_json()}
    earlier = run / METRICS_NAME
    if earlier.exists() and read_json(earlier) != document:
        for kept in _set_aside(run):
            if keeping:
                keeping(kept)
    write_json(earlier, document)
    _write_table(run / TABLE_NAME, evaluation.cases)
    if can_report(run):
        write_report(run, evaluation)


def _set_aside(run: Path) -> list[Path]:
    """What the earlier evaluation left, under names with the first number that is free."""
    number = 1
    while _numbered(run / METRICS_NAME, number).exists():
        number += 1
    files = [run / name for name in (METRICS_NAME, TABLE_NAME, REPORT_NAME) if (run / name).exists()]
    return [file.rename(_numbered(file, number)) for file in files]


def _numbered(file: Path, number: int) -> Path:
    return file.with_stem(f"{file.stem}-{number}")


def _write_table(path: Path, cases: Iterable[Case]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_row, cases))
    write_text(path, text.getvalue().encode("utf-8", "backslashreplace").decode())


def _row(case: Case) -> dict[str, Any]:
    """What is said of one image; numbers about pixels that need a mask only where there is one."""
    row = {
        "image": str(case.sample.image),
        "defect_type": case.sample.defect_type or "normal",
        "verdict": case.prediction.verdict,
        "score": round(case.score, 6),
        "doubt": case.prediction.doubt,
        "mask": "yes" if case.sample.mask else "no",
        "marked_share": round(float(case.prediction.mask.float().mean()), 6),
    }
    if case.f1 is None:
        return row
    marked, mask = case.marked, case.mask
    right = float((marked & mask).sum())
    return row | {
        "defective_share": round(float(mask.float().mean()), 6),
        "precision": round(right / float(marked.sum()), 4) if marked.any() else None,
        "recall": round(right / float(mask.sum()), 4),
        "f1": round(case.f1, 4),
    }
