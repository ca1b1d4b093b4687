"""Held-out numbers: a detector against images that it was not trained on."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flawtrace.data import Sample
from flawtrace.data.pieces import common_size, ignored_at, mask_at
from flawtrace.detector import VERDICTS, Detector, Errors, Prediction, Thresholds
from flawtrace.ground.devices import at_once
from flawtrace.ground.groups import Polygons
from flawtrace.ground.shapes import AnomalyMap, Image, Mask
from flawtrace.measures.errors import NothingToEvaluateError
from flawtrace.measures.metrics import (
    Curve,
    Decided,
    Labels,
    Maps,
    Masks,
    mask_f1,
    precision_recall_points,
    reliability,
    roc_points,
    summary,
)
from flawtrace.pictures.images import read_image
from flawtrace.pictures.region import inside
from flawtrace.pictures.tiles import Size


@dataclass(frozen=True)
class Case:
    """One test image. Its picture stays in its file: many cases are held at once."""

    sample: Sample
    mask: Mask
    """Empty where nobody said where the defect is, or where it is too small to show at this size."""
    prediction: Prediction
    """What the detector says, at the size of the mask."""
    f1: float | None
    """F1 of the pixels that it marked; None where the image has no defect, or its mask no pixel."""
    ignored: Mask | None = None
    """Pixels that do not count; None if all do."""

    @property
    def marked(self) -> Mask:
        """What the detector marked of the pixels that count."""
        return self.prediction.mask if self.ignored is None else self.prediction.mask & ~self.ignored

    @property
    def score(self) -> float:
        return self.prediction.score

    @property
    def outlined(self) -> bool:
        """Whether it is known which pixels are defective: a mask may be missing, or show nothing here."""
        return not self.sample.anomalous or bool(self.mask.any())

    @property
    def anomaly_map(self) -> AnomalyMap:
        return self.prediction.anomaly_map


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found; metrics that are not defined on these images are None."""

    metrics: dict[str, float | None]
    """Over all test images, pixels pooled; those of pixels leave out defect images whose mask is
    missing, or has no pixel left."""
    per_type: dict[str, dict[str, float | None]]
    """The same for each defect type, together with the normal test images."""
    thresholds: Thresholds
    num_normal: int
    num_anomalous: int
    num_left_out: int
    """Images that were not scored because the detector was trained on them."""
    cases: tuple[Case, ...]
    roc: Curve | None
    precision_recall: Curve | None
    reliability: Curve
    """Of the map's values: (mean value, share that is defective)."""
    announced: dict[str, Any]
    """False alarms on normal images that were held back in training; empty where those were of tiles."""

    @property
    def num_unmasked(self) -> int:
        """Defect images without a mask."""
        return sum(case.sample.anomalous and case.sample.mask is None for case in self.cases)

    @property
    def num_vanished(self) -> int:
        """Defect images whose mask has no pixel left at the working size, or none that counts."""
        return sum(not case.outlined for case in self.cases) - self.num_unmasked

    @property
    def false_alarms(self) -> Errors:
        """DEFECT among the normal test images."""
        normal = [case for case in self.cases if not case.sample.anomalous]
        return Errors(sum(case.prediction.verdict == "DEFECT" for case in normal), len(normal))

    @property
    def misses(self) -> Errors:
        """OK among the defective test images."""
        anomalous = [case for case in self.cases if case.sample.anomalous]
        return Errors(sum(case.prediction.verdict == "OK" for case in anomalous), len(anomalous))

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures."""
        return {
            "metrics": self.metrics,
            "per_type": self.per_type,
            "thresholds": vars(self.thresholds),
            "num_normal": self.num_normal,
            "num_anomalous": self.num_anomalous,
            "num_unmasked": self.num_unmasked,
            "num_vanished": self.num_vanished,
            "num_left_out": self.num_left_out,
            "false_alarms": self.false_alarms.to_json() | {"announced": self.announced},
            "misses": self.misses.to_json(),
        }


@dataclass(frozen=True)
class Look:
    """A few samples with what the detector says of them."""

    samples: Sequence[Sample]
    predictions: list[Prediction]
    seconds: float
    """Of processor time, reading left out."""
    done: int
    """Samples so far, those left out among them."""


def looks(
    detector: Detector, samples: Sequence[Sample], size: Size, skip: Callable[[Image], bool] | None = None
) -> Iterator[Look]:
    """The samples' images, read as many at once as the device wants; maps have one size (height, width).

    Images that `skip` is true of are left out.
    """
    together = at_once(detector.device)
    for start in range(0, len(samples), together):
        chosen = samples[start : start + together]
        read = [(sample, read_image(sample.image)) for sample in chosen]
        kept = [(sample, image) for sample, image in read if not (skip and skip(image))]
        started = time.process_time()
        predictions = detector.predictions_at(size, [image for _, image in kept])
        seconds = time.process_time() - started
        yield Look([sample for sample, _ in kept], predictions, seconds, start + len(chosen))


def evaluate(
    detector: Detector,
    samples: Sequence[Sample],
    progress: Callable[[int, int], None] | None = None,
    *,
    folder: Path | None = None,
    size: Size | None = None,
    regions: Sequence[Polygons] | None = None,
) -> Evaluation:
    """Score every image with which the detector was not trained, told by content.

    Each image is looked at in its own working size; maps and masks are compared at one `size` (height,
    width), by itself the largest height and the largest width of these: 256 x 256 in both presets, as in the
    paper; more with tiles. Pixels count that lie in all `regions`, by themselves the detector's region of
    interest, if it has one.

    Raises:
        NothingToEvaluateError: no image, or no defect image, is left.
    """
    if not samples:
        raise NothingToEvaluateError(folder or Path(), 0, 0)
    cases: list[Case] = []
    size = size or common_size(samples, detector.config)
    if regions is None:
        regions = [detector.config.region] if detector.config.region else []
    for look in looks(detector, samples, size, skip=detector.knows):
        seen = zip(look.samples, look.predictions, strict=True)
        cases += [_case(sample, prediction, regions) for sample, prediction in seen]
        if progress:
            progress(look.done, len(samples))
    if not any(case.sample.anomalous for case in cases):
        where = folder or Path(os.path.commonpath([sample.image for sample in samples]))
        raise NothingToEvaluateError(where, len(cases), len(samples) - len(cases))
    normal = [case for case in cases if not case.sample.anomalous]
    types = {case.sample.defect_type for case in cases if case.sample.anomalous}
    outlined = [case for case in cases if case.outlined]
    pixels = stacked(outlined) if any(case.mask.any() for case in outlined) else None
    return Evaluation(
        metrics=_metrics(cases),
        per_type={
            str(kind): _metrics([*normal, *(case for case in cases if case.sample.defect_type == kind)])
            for kind in sorted(map(str, types))
        },
        thresholds=detector.thresholds,
        num_normal=len(normal),
        num_anomalous=len(cases) - len(normal),
        num_left_out=len(samples) - len(cases),
        cases=tuple(cases),
        roc=None if pixels is None else roc_points(*pixels),
        precision_recall=None if pixels is None else precision_recall_points(*pixels),
        reliability=np.zeros((0, 2)) if pixels is None else reliability(*pixels),
        announced={} if detector.config.tile_side else detector.facts.false_alarms,
    )


def _case(sample: Sample, prediction: Prediction, regions: Sequence[Polygons]) -> Case:
    size = prediction.mask.shape[0], prediction.mask.shape[1]
    ignored = ignored_at(sample, size)
    for region in regions:
        ignored = ignored | ~inside(region, *size)
    mask = mask_at(sample, size) & ~ignored
    case = Case(sample, mask, prediction, None, ignored if ignored.any() else None)
    return replace(case, f1=mask_f1(case.marked[None].numpy(), case.mask[None].numpy()))


def decided(predictions: Sequence[Prediction]) -> Decided:
    """Masks and verdicts as arrays."""
    verdicts = [VERDICTS.index(prediction.verdict) for prediction in predictions]
    return Decided(torch.stack([p.mask for p in predictions]).numpy(), np.array(verdicts))


def anomalous(cases: Sequence[Case]) -> Labels:
    """Which cases show a defect, whether or not their masks show where."""
    return np.array([case.sample.anomalous for case in cases])


def _metrics(cases: Sequence[Case]) -> dict[str, float | None]:
    """Every metric; those of pixels are None where no defect has a mask."""
    maps, masks, ignored = stacked(cases)
    scores = np.array([case.score for case in cases])
    verdicts = decided([case.prediction for case in cases])
    return summary(maps, masks, scores, verdicts, anomalous=anomalous(cases), ignored=ignored)


def stacked(cases: Sequence[Case]) -> tuple[Maps, Masks, Masks | None]:
    """Maps, masks, and pixels that do not count; None if all do."""
    maps, masks = (
        torch.stack([case.anomaly_map for case in cases]),
        torch.stack([case.mask for case in cases]),
    )
    if all(case.ignored is None for case in cases):
        return maps.numpy(), masks.numpy(), None
    all_count = torch.zeros_like(masks[0])
    ignored = torch.stack([all_count if case.ignored is None else case.ignored for case in cases])
    return maps.numpy(), masks.numpy(), ignored.numpy()
