"""The verbs: one public function per command, for programs as well as for the command line."""

import csv
import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from flawtrace.benchmark import comparison
from flawtrace.benchmark.board import write_board
from flawtrace.benchmark.comparison import Benchmark, Told
from flawtrace.benchmark.methods import DEFAULT, chosen, read_methods
from flawtrace.data.errors import FewImagesWarning, NoImagesError
from flawtrace.data.folders import images_in, read_category
from flawtrace.data.inspection import Inspection
from flawtrace.data.inspection import inspect as inspect_folder
from flawtrace.data.protocols import CURVE
from flawtrace.data.splits import draw_available, scarce
from flawtrace.detector.artefact import Detector
from flawtrace.detector.decision import Prediction
from flawtrace.detector.doubts import doubts
from flawtrace.detector.errors import DoubtWarning, NothingToCompareError
from flawtrace.detector.exporting import Export, export_onnx
from flawtrace.detector.runtime import AnyDetector, load
from flawtrace.detector.stopwatch import Timing, measure
from flawtrace.ground.devices import ready
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.files import locked, read_json, write_json, write_text
from flawtrace.ground.groups import ProtocolName, RuntimeName
from flawtrace.ground.presets import load_config
from flawtrace.measures.evaluation import Evaluation
from flawtrace.measures.evaluation import evaluate as evaluate_detector
from flawtrace.pictures.images import overlay, read_image, write_map, write_mask, write_picture
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.report.diagnosis import examined
from flawtrace.report.page import REPORT_NAME, can_report, write_report
from flawtrace.training.progress import Event
from flawtrace.training.run import Trained, refuse_other_settings
from flawtrace.training.run import train as training
from flawtrace.training.summary import SUMMARY_NAME

METRICS_NAME = "metrics.json"

DEMO_SETTINGS: dict[str, Any] = {"labels": 4, "cycles": 6, "predictor.steps": 300, "last_updates": 300}
"""What the demo changes in `light`, to be over within three minutes on two cores."""

COMPARED = 16
"""Images on which an exported detector is compared with the original."""

Loaded = TypeVar("Loaded", bound=AnyDetector)
Counting = Callable[[int, int], None]


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


def inspect(folder: Path | str, progress: Counting | None = None) -> Inspection:
    """What a folder of images holds and what is wrong with it; reads every file, writes nothing."""
    return inspect_folder(Path(folder), progress)


def train(
    folder: Path | str,
    out: Path | str,
    *,
    preset: str = "light",
    settings: Mapping[str, Any] | None = None,
    settings_file: Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    progress: Callable[[Event], None] | None = None,
) -> Trained:
    """Train a detector on the images in `folder`, and leave it with a log and a report in `out`.

    `settings` are dotted names, such as {"labels": 3, "sampler.kind": "uniform"}.

    Warns:
        FewImagesWarning: a defect type has fewer images than labels are asked for; all of them are labels.
    """
    ready(device)  # before anything is read
    config = load_config(preset, settings_file, settings)
    category = read_category(Path(folder))
    split = draw_available(category, config.labels, config.seed)
    for defect_type, count in scarce(category, config.labels).items():
        warnings.warn(FewImagesWarning(defect_type, count, config.labels), stacklevel=2)
    trained_now = False
    for event in training(split, config, Path(out), resume=resume, device=device):
        if isinstance(event, Trained):
            if trained_now or not (Path(out) / REPORT_NAME).exists():  # or it would forget an evaluation
                write_report(Path(out))
            return event
        trained_now = True
        if progress:
            progress(event)
    raise AssertionError("training ends with a detector")


def evaluate(
    run: Path | str, folder: Path | str, *, device: str = "cpu", progress: Counting | None = None
) -> Evaluation:
    """Score the run's detector on the images in `folder` that it was not trained on.

    Of normal images that are there for training, as in a folder the detector has never seen, at most
    `normal_limit` are looked at. Leaves `metrics.json` and the full report in the folder `run`; a detector
    without its run has no report, one that is named by its file leaves nothing.
    """
    category, detector = read_category(Path(folder)), _detector(run, device)
    samples = category.for_testing(detector.config.normal_limit)
    evaluation = evaluate_detector(detector, samples, progress)
    if Path(run).is_dir():
        write_json(Path(run) / METRICS_NAME, evaluation.to_json())
    if can_report(Path(run)):
        write_report(Path(run), evaluation)
    return evaluation


def predict(
    run: Path | str,
    images: Iterable[Path | str],
    out: Path | str | None = None,
    *,
    device: str = "cpu",
    runtime: RuntimeName | None = None,
) -> Iterator[Row]:
    """Look for defects in image files and in folders of them, one row after the other.

    With `out`, every image leaves a float map (TIFF), a mask and an overlay (PNG) there, and all rows
    together `predictions.csv`; no other process may write into `out` meanwhile. An image that cannot be read
    gives a row that says why; the others go on. An image that is unlike those of the training is UNSURE,
    whatever its map says. `run` is a run's folder, a detector's file, or an exported one, which `runtime`
    runs.

    Warns:
        DoubtWarning: on labels that it had not seen, the detector was not good enough to be trusted.
    """
    detector = _loaded(run, device, runtime)
    files = list(_image_files(Path(path) for path in images))
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


def export(run: Path | str, out: Path | str | None = None, images: Iterable[Path | str] = ()) -> Export:
    """Write the run's detector as one ONNX file, after comparing both on real images.

    These are `images` (files or folders), or else the labelled ones that the run was trained on.
    """
    detector, file = Detector.load(run), Path(out) if out else exported_name(Path(run))
    files = list(_image_files(Path(path) for path in images)) or _trained_on(Path(run))
    if not files:
        raise NothingToCompareError(Path(run))
    return export_onnx(detector, file, map(read_image, files[:COMPARED]))


def bench(
    run: Path | str,
    *,
    runtime: RuntimeName | None = None,
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
    detector = _loaded(run, device, runtime)
    side = detector.config.tile_side or detector.config.image_side
    images = torch.rand(batch, 3, height or side, width or side, generator=torch.Generator().manual_seed(0))
    return measure(detector, images.to(device), repeats, progress)


def doctor(run: Path | str | None = None) -> dict[str, Any]:
    """What a bug report needs: versions, machine, and the facts of a run; nothing of the images."""
    return examined(Path(run) if run else None)


def benchmark(
    folders: Sequence[Path | str],
    out: Path | str,
    *,
    methods: Path | None = None,
    names: Sequence[str] = (),
    protocols: Sequence[ProtocolName] = ("five-per-type",),
    seeds: Sequence[int] = (42, 43, 44, 45, 46),
    labels: Sequence[int] | None = None,
    jobs: int = 1,
    rows: Path | None = None,
    peers: Path | None = None,
    retry: bool = False,
    reference: str | None = None,
    device: str = "cpu",
    progress: Callable[[comparison.Plan, Told | comparison.Row], None] | None = None,
) -> Benchmark:
    """Run every method on every trial that has no row yet, and compare all rows.

    `folders` are categories or hold categories; `rows` is the file of results, `out`/rows.jsonl unless
    named. Differences are to the method `reference`, the first of the rows unless named. `labels` are those
    per defect type under `k-per-type`, 1, 2, 5 and 10 unless named.
    """
    ready(device)
    file = rows or Path(out) / comparison.ROWS_NAME
    asked = chosen(read_methods(methods) if methods else DEFAULT, tuple(names))
    categories = comparison.find_categories([Path(folder) for folder in folders])
    design = comparison.Design(asked, tuple(protocols), tuple(seeds), tuple(labels or CURVE))
    plan = comparison.plan(categories, design, file, retry)
    if reference:
        chosen(asked, (reference,))
    with locked(Path(out), "splits", "logs", "maps"):
        for message in comparison.run(plan.tasks, Path(out), file, jobs, peers=peers, device=device):
            if progress:
                progress(plan, message)
    known = comparison.read_rows(file)
    board = write_board(Path(out), known, reference) if known else None
    return Benchmark(tuple(known), tuple(map(str, plan.skipped)), board)


def demo(
    out: Path | str, *, seed: int = 0, progress: Callable[[Event], None] | None = None
) -> tuple[Trained, Evaluation]:
    """Make a small data set, train on it, evaluate on images kept back, and write a report in `out`/run."""
    images, run = Path(out) / "images", Path(out) / "run"
    settings = DEMO_SETTINGS | {"seed": seed}
    refuse_other_settings(run, load_config(settings=settings))
    make_dataset(images, seed=seed)
    trained = train(images, run, settings=settings, resume=True, progress=progress)
    return trained, evaluate(run, images)


def _detector(run: Path | str, device: str) -> Detector:
    return _said(Detector.load(run)).to(ready(device))


def _loaded(run: Path | str, device: str, runtime: RuntimeName | None) -> AnyDetector:
    detector = _said(load(Path(run), runtime))
    return detector.to(ready(device)) if isinstance(detector, Detector) else detector


def _said(detector: Loaded) -> Loaded:
    """The detector, after warning of what keeps it from being trusted."""
    for doubt in doubts(detector.facts):
        warnings.warn(doubt, DoubtWarning, stacklevel=4)
    return detector


def exported_name(run: Path) -> Path:
    """Beside the detector that is exported.

    >>> exported_name(Path("parts.safetensors")).name
    'parts.onnx'
    """
    return run / "detector.onnx" if run.is_dir() else run.with_suffix(".onnx")


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
        write_picture(out / "overlays" / f"{name}.png", overlay(image, found.anomaly_map, detector.threshold))
    return _row(file, found, name if out else None)


def _row(file: Path, found: Prediction, name: str | None) -> Row:
    share = round(float(found.mask.float().mean()), 6)
    return Row(str(file), round(found.score, 6), found.verdict, share, found.doubt, name=name)


def _image_files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
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
