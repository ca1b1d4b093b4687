"""Looking for defects in images."""

import errno
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from flawtrace.data import refuse_foreign
from flawtrace.detector import AnyDetector, regions_of
from flawtrace.ground.devices import ready
from flawtrace.ground.errors import FlawtraceError, OutputError
from flawtrace.ground.files import locked
from flawtrace.ground.groups import RuntimeChoice
from flawtrace.pictures.images import read_image
from flawtrace.verbs.gathering import Gathered, gathered
from flawtrace.verbs.loading import any_detector
from flawtrace.verbs.results import MANIFEST_NAME, PLACES, Results, Row, predictions_identity


def predict(
    run: Path | str,
    images: Iterable[Path | str] | Path | str,
    out: Path | str | None = None,
    *,
    recursive: bool = False,
    min_area: int = 0,
    device: str = "cpu",
    runtime: RuntimeChoice = "auto",
    threshold: float | None = None,
    gathering: Callable[[Gathered], None] | None = None,
    progress: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Look for defects in image files and in folders of them; returns a row for each image, in their order.

    With `out`, every image leaves a float map (TIFF), a mask and an overlay (PNG) there, and all rows
    together `predictions.csv`; no other process may write into `out` meanwhile. Called again with the same
    `out`, it looks only at images that are new or have changed; rows of others stay
    below those of this call. An image that cannot be read, or whose
    results cannot be written for its name's sake, gives a row that says why; the others go on.

    Folders are looked into one level deep, or with `recursive` all the way down. Regions of fewer than
    `min_area` pixels are left out of masks; an image in which nothing else was found is UNSURE. `run` is a
    run's folder, a detector's file, or an exported one; `runtime` says what runs it, by itself the fastest
    that can (`load`). `threshold` takes the place, in this call alone, of the stored score from which an
    image is DEFECT. `gathering` is told which files there are before the first is looked at, `progress` each
    row as it comes.

    Warns:
        DoubtWarning: on labels that it had not seen, the detector was not good enough to be trusted.

    Raises:
        NoImagesError: a folder has no image.
        ForeignFolderError, OtherPredictionsError: `out` holds what this call must not touch.
    """
    ready(device)  # before anything is read
    if out and not (Path(out) / MANIFEST_NAME).exists():
        refuse_foreign(Path(out))
    found = gathered(images, recursive, [Path(out) / place for place in PLACES] if out else [])
    if gathering:
        gathering(found)
    detector = any_detector(run, device, runtime, threshold)
    rows: list[Row] = []
    with locked(Path(out), *PLACES) if out else nullcontext():
        results = Results(Path(out), predictions_identity(detector, min_area)) if out else None
        try:
            for file, name in zip(found.files, found.names, strict=True):
                row = results.done(file) if results else None
                if row is None:
                    free = results.free(file, name) if results else name
                    row = _look(detector, file, free, results, min_area)
                    if results:
                        results.add(file, row)
                rows.append(row)
                if progress:
                    progress(row)
        finally:
            if results and rows:
                results.write_table(rows)
    return rows


def look(detector: AnyDetector, file: Path, min_area: int = 0) -> Row:
    """Look for defects in one image file; one that cannot be read gives a row that says why."""
    return _look(detector, file, "", None, min_area)


def _look(detector: AnyDetector, file: Path, name: str, results: Results | None, min_area: int) -> Row:
    try:
        image = read_image(file)
        found = detector.predict(image)
    except FlawtraceError as error:
        return Row(str(file), None, "ERROR", None, error=str(error))
    if min_area:
        found = found.without_small(min_area)
    share, score = round(float(found.mask.float().mean()), 6), round(found.score, 6)
    regions = regions_of(found.mask, found.anomaly_map)
    row = Row(str(file), score, found.verdict, share, found.doubt, runtime=detector.runtime, regions=regions)
    if results is None:
        return row
    try:
        results.write(name, image, found, detector.thresholds.outline)
    except OutputError as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.ENAMETOOLONG:
            raise
        return replace(row, verdict="ERROR", error=str(error))
    return replace(row, name=name)
