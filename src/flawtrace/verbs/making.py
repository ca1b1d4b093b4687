"""Making a detector: look at the images, train, and measure what came out."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flawtrace.data import (
    Category,
    FewImagesWarning,
    Inspection,
    Named,
    NewLabelsWarning,
    draw_available,
    read_category,
    scarce,
)
from flawtrace.data import inspect as inspect_folder
from flawtrace.ground.devices import ready
from flawtrace.ground.files import content_of, write_json
from flawtrace.ground.presets import load_config
from flawtrace.measures import Evaluation
from flawtrace.measures import evaluate as evaluate_detector
from flawtrace.pictures.region import read_region, region_of
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.report import REPORT_NAME, can_report, write_report
from flawtrace.training import Event, Trained, refuse_other_settings
from flawtrace.training import train as training
from flawtrace.verbs.loading import trained_detector

METRICS_NAME = "metrics.json"

DEMO_SETTINGS: dict[str, Any] = {"labels": 4, "cycles": 6, "predictor.steps": 300, "last_updates": 300}
"""What the demo changes in `light`, to be over within three minutes on two cores."""

Counting = Callable[[int, int], None]


def inspect(
    folder: Path | str,
    progress: Counting | None = None,
    *,
    named: Named = Named(),  # noqa: B008 (it is frozen)
) -> Inspection:
    """What a folder of images holds and what is wrong with it; reads every file, writes nothing.

    Folders that their names do not tell can be `named`, here and wherever images of a product are read.
    """
    return inspect_folder(Path(folder), progress, named)


def train(
    folder: Path | str,
    out: Path | str,
    *,
    preset: str = "light",
    settings: Mapping[str, Any] | None = None,
    settings_file: Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    named: Named = Named(),  # noqa: B008
    region: Path | str | None = None,
    progress: Callable[[Event], None] | None = None,
) -> Trained:
    """Train a detector on the images in `folder`, and leave it with a log and a report in `out`.

    `region` is a file with the region of interest, by itself `region.png` or `region.json` in the folder:
    nothing outside of it is learnt, scored or alarmed. `settings` are dotted names, such as
    {"labels": 3, "sampler.kind": "uniform"}.

    Warns:
        FewImagesWarning: a defect type has fewer images than labels are asked for; all of them are labels.
    """
    place = ready(device)  # before anything is read
    config = load_config(preset, settings_file, settings)
    polygons = read_region(Path(region)) if region else config.region or region_of(Path(folder))
    config = config.model_copy(update={"region": polygons})
    category = read_category(Path(folder), named)
    split = draw_available(category, config.labels, config.seed)
    for defect_type, count in scarce(category, config.labels).items():
        warnings.warn(FewImagesWarning(defect_type, count, config.labels), stacklevel=2)
    trained_now = False
    for event in training(split, config, Path(out), resume=resume, device=place):
        if isinstance(event, Trained):
            if not trained_now and (new := _new_since(event.summary, category)):
                warnings.warn(NewLabelsWarning(Path(out), new), stacklevel=2)
            if trained_now or not (Path(out) / REPORT_NAME).exists():  # or it would forget an evaluation
                write_report(Path(out))
            return event
        trained_now = True
        if progress:
            progress(event)
    raise AssertionError("training ends with a detector")


def _new_since(summary: Mapping[str, Any], category: Category) -> dict[str, int]:
    """How many images and masks of defects have come or changed since a run ended, as far as it says."""
    if "masks" not in summary:
        return {}
    masks, known = summary["masks"], {*summary["masks"], *summary["left_for_testing"]}
    files = {str(sample.image.resolve()): sample.mask for sample in category.anomalous}
    changed = [
        name for name, mask in files.items() if name in masks and mask and content_of(mask) != masks[name]
    ]
    counts = {"image of a defect": len(files.keys() - known), "corrected mask": len(changed)}
    return {what: count for what, count in counts.items() if count}


def evaluate(
    run: Path | str,
    folder: Path | str,
    *,
    device: str = "cpu",
    named: Named = Named(),  # noqa: B008
    progress: Counting | None = None,
) -> Evaluation:
    """Score the run's detector on the images in `folder` that it was not trained on.

    Of normal images that are there for training, as in a folder the detector has never seen, at most
    `normal_limit` are looked at. Leaves `metrics.json` and the full report in the folder `run`; a detector
    without its run has no report, one that is named by its file leaves nothing.
    """
    category, detector = read_category(Path(folder), named), trained_detector(run, device)
    samples = category.for_testing(detector.config.normal_limit)
    evaluation = evaluate_detector(detector, samples, progress)
    if Path(run).is_dir():
        write_json(Path(run) / METRICS_NAME, evaluation.to_json())
    if can_report(Path(run)):
        write_report(Path(run), evaluation)
    return evaluation


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
