"""Using a detector: predictions on images, an exported file, and how long it takes."""

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch

from flawtrace.data import NoImagesError, images_in
from flawtrace.detector import (
    AnyDetector,
    Detector,
    Export,
    NothingToCompareError,
    Prediction,
    Timing,
    export_onnx,
    exported_name,
    measure,
)
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.files import locked, read_json, write_text
from flawtrace.ground.groups import InputKind, RuntimeChoice, RuntimeName
from flawtrace.pictures.arrays import described
from flawtrace.pictures.errors import NotAFileError
from flawtrace.pictures.images import overlay, read_image, write_map, write_mask, write_picture
from flawtrace.training import SUMMARY_NAME
from flawtrace.verbs.loading import any_detector
from flawtrace.verbs.making import Counting

COMPARED = 16
"""Images on which an exported detector is compared with the original."""


@dataclass(frozen=True)
class Row:
    """What `predict` found in one image, or why it could not look."""

    image: str
    score: float | None
    verdict: str
    """OK, DEFECT, UNSURE or ERROR."""
    defective_share: float | None
    """Of the image's pixels."""
    doubt: str | None = None
    """Why the detector is unsure: the image is unlike those that it was trained on."""
    error: str | None = None
    name: str | None = None
    """Of the files in maps, masks and overlays, without what follows the point."""
    runtime: RuntimeName | None = None
    """What computed the map."""


def predict(
    run: Path | str,
    images: Iterable[Path | str] | Path | str,
    out: Path | str | None = None,
    *,
    device: str = "cpu",
    runtime: RuntimeChoice = "auto",
    threshold: float | None = None,
) -> Iterator[Row]:
    """Look for defects in image files and in folders of them, one or several, one row after the other.

    With `out`, every image leaves a float map (TIFF), a mask and an overlay (PNG) there, and all rows
    together `predictions.csv`; no other process may write into `out` meanwhile. An image that cannot be read
    gives a row that says why; the others go on. An image that is unlike those of the training is UNSURE,
    whatever its map says. `run` is a run's folder, a detector's file, or an exported one; `runtime` says what
    runs it, by itself the fastest that can (`load`).

    `threshold` takes the place, in this call alone, of the stored score from which an image is DEFECT.

    Warns:
        DoubtWarning: on labels that it had not seen, the detector was not good enough to be trusted.
    """
    detector = any_detector(run, device, runtime, threshold)
    files = list(_image_files(images))
    names = _distinct(file.stem for file in files)
    with locked(Path(out), "maps", "masks", "overlays") if out else nullcontext():
        rows: list[Row] = []
        try:
            for file, name in zip(files, names, strict=True):
                rows.append(_look(detector, file, Path(out) if out else None, name))
                yield rows[-1]
        finally:
            if out and rows:
                write_text(Path(out) / "predictions.csv", _table(rows))


def export(
    run: Path | str,
    out: Path | str | None = None,
    images: Iterable[Path | str] | Path | str = (),
    *,
    input: InputKind = "float",
) -> Export:
    """Write the run's detector as one ONNX file, after comparing both on real images.

    These are `images` (files or folders), or else the labelled ones that the run was trained on. The
    file's `input` are floats (b, 3, h, w) in [0, 1], or uint8 (b, h, w, 3) as cameras give them, both in RGB.
    """
    detector, file = Detector.load(run), Path(out) if out else exported_name(Path(run))
    files = list(_image_files(images)) or _trained_on(Path(run))
    if not files:
        raise NothingToCompareError(Path(run))
    return export_onnx(detector, file, map(read_image, files[:COMPARED]), input)


def bench(
    run: Path | str,
    *,
    runtime: RuntimeChoice = "auto",
    threads: int | None = None,
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
    repeats: int = 50,
    device: str = "cpu",
    progress: Counting | None = None,
) -> Timing:
    """Time a detector on random images, of the detector's own size, or that of one tile, unless told."""
    if threads:
        torch.set_num_threads(threads)
    detector = any_detector(run, device, runtime)
    side = detector.config.tile_side or detector.config.image_side
    images = torch.rand(batch, 3, height or side, width or side, generator=torch.Generator().manual_seed(0))
    return measure(detector, images.to(device), repeats, progress)


def _trained_on(run: Path) -> list[Path]:
    """Labelled images of the run that are still where they were."""
    summary = (run if run.is_dir() else run.parent) / SUMMARY_NAME
    files = read_json(summary).get("labelled_files", []) if summary.is_file() else []
    return [Path(name) for name in files if Path(name).is_file()]


def _look(detector: AnyDetector, file: Path, out: Path | None, name: str) -> Row:
    try:
        image = read_image(file)
        found = detector.predict(image)
    except FlawtraceError as error:
        return Row(str(file), None, "ERROR", None, error=str(error))
    if out:
        write_map(out / "maps" / f"{name}.tiff", found.anomaly_map)
        write_mask(out / "masks" / f"{name}.png", found.mask)
        write_picture(
            out / "overlays" / f"{name}.png",
            overlay(image, found.anomaly_map, detector.thresholds.outline, found.mask),
        )
    return _row(file, found, name if out else None, detector.runtime)


def _row(file: Path, found: Prediction, name: str | None, runtime: RuntimeName) -> Row:
    share = round(float(found.mask.float().mean()), 6)
    score = round(found.score, 6)
    return Row(str(file), score, found.verdict, share, found.doubt, name=name, runtime=runtime)


def _image_files(paths: object) -> Iterator[Path]:
    """Whatever a program gave, if it is a path or several."""
    one = isinstance(paths, Path | str) or not isinstance(paths, Iterable)
    several: Iterable[object] = [paths] if one else cast(Iterable[object], paths)
    for given in several:
        if not isinstance(given, Path | str):
            raise NotAFileError(described(given))
        path = Path(given)
        if not path.is_dir():
            yield path
            continue
        inside = images_in(path)
        if not inside:
            raise NoImagesError(path)
        yield from inside


def _distinct(names: Iterable[str]) -> list[str]:
    """The names, with a number after those that came before.

    >>> _distinct(["a", "b", "a"])
    ['a', 'b', 'a-2']
    """
    taken: dict[str, None] = {}
    for name in names:
        candidate, number = name, 2
        while candidate in taken:
            candidate, number = f"{name}-{number}", number + 1
        taken[candidate] = None
    return list(taken)


def _table(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(asdict(rows[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()
