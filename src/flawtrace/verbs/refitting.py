"""Keeping a detector up to date: what was labelled or taken since it was trained."""

import warnings
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from flawtrace.data import Category, Named, Split, draw_keeping, natural, refuse_foreign
from flawtrace.detector import Detector
from flawtrace.ground.run_files import SETTINGS_NAME
from flawtrace.pictures.images import digest, image_size, read_image
from flawtrace.pictures.region import read_region, refuse_other_shape, region_file
from flawtrace.report import write_report
from flawtrace.training import Event, Trained
from flawtrace.training import refit as refitting
from flawtrace.verbs.folders import hinting, read
from flawtrace.verbs.loading import trained_detector


class OtherRegionWarning(UserWarning):
    """A folder says another region of interest than its detector was trained for."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file} is not the region of interest that the detector was trained for, which stays. "
            "Another one wants a whole training (flawtrace train)."
        )


def refit(
    run: Path | str,
    folder: Path | str,
    out: Path | str,
    *,
    labels: int | None = None,
    testing: Collection[Path | str] = (),
    device: str = "cpu",
    named: Named = Named(),  # noqa: B008 (it is frozen)
    skip_bad: bool = False,
    progress: Callable[[Event], None] | None = None,
) -> Trained:
    """Fit the detector of `run` again to the labels and normal images in `folder`; the new one goes to `out`.

    Features, autoencoder and policy stay; whatever learns from labels, or from how normal images vary, is
    made anew. `run` is a run's folder or a detector's own file. All images with masks are labels, or with
    `labels` at most so many of each defect type: those that its predictors learnt from, then others by draw.
    Images at the paths `testing`, of whatever kind, are never learnt from, so that they can test.

    Warns:
        OtherRegionWarning: the folder says another region of interest than the detector has.
    """
    if not (Path(out) / SETTINGS_NAME).exists():
        refuse_foreign(Path(out))
    detector, category = trained_detector(run, device), read(folder, named, skip_bad).category
    if (drawn := region_file(Path(folder))) and read_region(drawn) != detector.config.region:
        warnings.warn(OtherRegionWarning(drawn), stacklevel=2)
    elif drawn:
        shown = (*category.samples, *category.unmasked)
        refuse_other_shape(drawn, {sample.image: image_size(sample.image) for sample in shown})
    with hinting(skip_bad):
        learnt = set(detector.facts.digests)
        category = _with_known(category, learnt)
        known = {one for one in category.anomalous if digest(read_image(one.image)) in learnt}
        apart = {Path(path).resolve() for path in testing}
        tests = {sample for sample in category.anomalous if sample.image.resolve() in apart}
        normal, unmasked = (
            tuple(sample for sample in some if sample.image.resolve() not in apart)
            for some in (category.normal, category.unmasked)
        )
        category = replace(category, normal=normal, unmasked=unmasked)
        split = draw_keeping(category, known, labels, detector.config.seed, testing=tests)
        return _refitted(split, detector, Path(out), progress)


def _with_known(category: Category, learnt: Collection[str]) -> Category:
    """With the normal images that the detector learnt from for training: where a folder does not say which of
    them are for testing, others are drawn once there are more.
    """
    if category.layout == "mvtec":
        return category
    back = {sample for sample in category.test_normal if digest(read_image(sample.image)) in learnt}
    kept = tuple(sample for sample in category.test_normal if sample not in back)
    normal = sorted((*category.normal, *back), key=lambda sample: natural(str(sample.image)))
    return replace(category, normal=tuple(normal), test_normal=kept)


def _refitted(
    split: Split, detector: Detector, out: Path, progress: Callable[[Event], None] | None
) -> Trained:
    for event in refitting(split, detector, out, device=detector.device):
        if isinstance(event, Trained):
            write_report(out)
            return event
        if progress:
            progress(event)
    raise AssertionError("a refit ends with a detector")
