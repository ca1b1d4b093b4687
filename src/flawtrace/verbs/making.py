"""Making a detector: look at the images, and train; the demo."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flawtrace.data import (
    FewImagesWarning,
    Inspection,
    Named,
    draw_available,
    kinds,
    refuse_foreign,
    scarce,
)
from flawtrace.data import inspect as inspect_folder
from flawtrace.ground.devices import ready
from flawtrace.ground.files import read_json
from flawtrace.ground.presets import load_config
from flawtrace.ground.run_files import SETTINGS_NAME, summary_file
from flawtrace.measures import Evaluation
from flawtrace.pictures.images import image_size
from flawtrace.pictures.region import read_region, refuse_other_shape, region_file
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.report import REPORT_NAME, write_report
from flawtrace.training import (
    Collector,
    Drawn,
    Event,
    FinishedRunWarning,
    ResumedRunWarning,
    Trained,
    Unused,
    refuse_other_settings,
    told,
)
from flawtrace.training import train as training
from flawtrace.verbs.folders import hinting, read
from flawtrace.verbs.testing import Counting, evaluate

DEMO_SETTINGS: dict[str, Any] = {"labels": 4, "cycles": 6, "predictor.steps": 300, "last_updates": 300}
"""What the demo changes in `light`, to be over within three minutes on two cores."""


def inspect(
    folder: Path | str,
    progress: Counting | None = None,
    *,
    run: Path | str | None = None,
    named: Named = Named(),  # noqa: B008 (it is frozen)
    skip_bad: bool = False,
) -> Inspection:
    """What a folder of images holds and what is wrong with it; reads every file, writes nothing.

    With the `run` of a training on it, warnings also name the images whose label looked wrong there, such as
    defects among the normal images, as far as they are still where they were. Folders whose names do not say
    what they hold can be `named`, and files that cannot be used left out with `skip_bad`, here and wherever
    images of a product are read.

    Raises:
        DamagedFileError: `run` has not ended, or its detector lies alone.
    """
    found = inspect_folder(Path(folder), progress, named, skip_bad=skip_bad)
    if run is None:
        return found
    suspects = read_json(summary_file(Path(run))).get("suspects", [])
    still = [one for one in suspects if Path(one["file"]).is_file()]
    return replace(found, warnings=(*found.warnings, *told(still, Path(folder))))


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
    skip_bad: bool = False,
    progress: Callable[[Event], None] | None = None,
    collector: Collector | None = None,
) -> Trained:
    """Train a detector on the images in `folder`, and leave it with a log and a report in `out`.

    `region` is a file with the region of interest, by itself `region.png` or `region.json` in the folder:
    nothing outside of it is learnt, scored or alarmed. `settings` are dotted names, such as
    {"labels": 3, "sampler.kind": "uniform"}. With `skip_bad`, images that cannot be read, and those whose
    masks cannot be used, are left out instead of stopping the training. With a `collector`, such as
    `flawtrace.cluster.Actors`, the cycles from which the policy learns run side by side.

    Warns:
        LeftOutWarning: with `skip_bad`, such files were left out.
        FewImagesWarning: a defect type has fewer images than labels are asked for; all of them are labels.
        FinishedRunWarning: nothing was trained, and there are images or masks that the run does not know.
        ResumedRunWarning: the same of a run that was stopped; it goes on with those that it was started with.

    Raises:
        DataError: the folder cannot be read as images of one product, or some of them cannot be used.
        SettingsError, UnknownSettingError: the settings cannot work.
        RunExistsError: `out` holds a run, and `resume` is not set or the settings are others.
        DataChangedError: images or masks that the stopped run learns from are gone or have changed.
        FolderInUseError: another process is training in `out`.
        OneAutoencoderError: cycles cannot run side by side with these settings.
    """
    place = ready(device)  # before anything is read
    config = load_config(preset, settings_file, settings)
    if not (Path(out) / SETTINGS_NAME).exists():
        refuse_foreign(Path(out))
    drawn = Path(region) if region else None if config.region else region_file(Path(folder))
    if drawn:
        config = config.model_copy(update={"region": read_region(drawn)})
    found = read(folder, named, skip_bad)
    category = found.category
    if drawn:
        shown = (*category.samples, *category.unmasked)
        refuse_other_shape(drawn, {sample.image: image_size(sample.image) for sample in shown})
    if progress and found.unused:
        progress(Unused("looking at the folder", 0.0, 1.0, folder=category.root, kinds=kinds(found.unused)))
    split = draw_available(category, config.labels, config.seed)
    for defect_type, count in scarce(category, config.labels).items():
        tested = bool(category.test_anomalous)
        warnings.warn(FewImagesWarning(defect_type, count, config.labels, tested), stacklevel=2)
    with hinting(skip_bad):
        for event in training(split, config, Path(out), resume=resume, device=place, collector=collector):
            if isinstance(event, Trained):
                if event.changes:
                    warnings.warn(FinishedRunWarning(Path(out), category.root, event.changes), stacklevel=2)
                if event.changes is None or not (Path(out) / REPORT_NAME).exists():  # it may be of a test
                    write_report(Path(out))
                return event
            if isinstance(event, Drawn) and event.changes:
                warnings.warn(ResumedRunWarning(Path(out), category.root, event.changes), stacklevel=2)
            if progress:
                progress(event)
    raise AssertionError("training ends with a detector")


def demo(
    out: Path | str, *, seed: int = 0, progress: Callable[[Event], None] | None = None
) -> tuple[Trained, Evaluation]:
    """Make a small data set, train on it, evaluate on images kept back, and write a report in `out`/run."""
    images, run = Path(out) / "images", Path(out) / "run"
    settings = DEMO_SETTINGS | {"seed": seed}
    if not run.is_dir():
        refuse_foreign(Path(out))
    refuse_other_settings(run, load_config(settings=settings))
    run.mkdir(parents=True, exist_ok=True)  # before the images, so that a stopped demo is known as one
    make_dataset(images, seed=seed)
    trained = train(images, run, settings=settings, resume=True, progress=progress)
    return trained, evaluate(run, images)
