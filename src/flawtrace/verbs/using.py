"""A detector as an exported file, and how long it takes."""

from collections.abc import Iterable
from pathlib import Path

import torch

from flawtrace.data import refuse_folder
from flawtrace.detector import (
    Detector,
    Export,
    NothingToCompareError,
    Timing,
    export_onnx,
    exported_name,
    measure,
)
from flawtrace.ground.errors import ArgumentError
from flawtrace.ground.files import read_json
from flawtrace.ground.groups import InputKind, RuntimeChoice
from flawtrace.ground.run_files import summary_file
from flawtrace.ground.wording import counted
from flawtrace.pictures.decoding import MAX_PIXELS
from flawtrace.pictures.images import read_image
from flawtrace.verbs.gathering import gathered
from flawtrace.verbs.loading import any_detector
from flawtrace.verbs.testing import Counting

COMPARED = 16
"""Images on which an exported detector is compared with the original."""


def export(
    run: Path | str,
    out: Path | str | None = None,
    images: Iterable[Path | str] | Path | str = (),
    *,
    input: InputKind = "float",
) -> Export:
    """Write the run's detector as one ONNX file, after comparing both on real images.

    These are `images` (files or folders), or else those that the run was trained on: labelled ones, or normal
    ones where none was labelled. The file's `input` are floats (b, 3, h, w) in [0, 1], or uint8
    (b, h, w, 3) as cameras give them, both in RGB.
    """
    file = Path(out) if out else exported_name(Path(run))
    refuse_folder(file)
    detector = Detector.load(run)
    files = list(gathered(images).files) or _trained_on(Path(run))
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
    height, width = height or side, width or side
    if (pixels := batch * height * width) > MAX_PIXELS:
        reason = f"{pixels:,} pixels are more than {MAX_PIXELS:,}"
        raise ArgumentError(f"{counted(batch, 'image')} of {width} x {height} pixels at a time", reason)
    images = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))
    return measure(detector, images.to(device), repeats, progress)


def _trained_on(run: Path) -> list[Path]:
    """Labelled images of the run, or else normal ones, that are still where they were."""
    file = summary_file(run)
    summary = read_json(file) if file.is_file() else {}
    found = ([Path(name) for name in summary.get(key, [])] for key in ("labelled_files", "normal_files"))
    return next(filter(None, ([path for path in paths if path.is_file()] for paths in found)), [])
