"""Held-out numbers: a detector against images that it was not trained on."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flawtrace.data import Sample
from flawtrace.data.pieces import common_size, mask_at
from flawtrace.detector import Detector, FalseAlarms, false_alarms
from flawtrace.ground.devices import at_once
from flawtrace.ground.shapes import AnomalyMap, Image, Mask
from flawtrace.measures.errors import NothingToEvaluateError
from flawtrace.measures.metrics import Curve, pixel_f1, precision_recall_points, roc_points, summary
from flawtrace.pictures.images import read_image
from flawtrace.pictures.tiles import Size


@dataclass(frozen=True)
class Case:
    """One test image. Its picture stays in its file: many cases are held at once."""

    sample: Sample
    mask: Mask
    anomaly_map: AnomalyMap
    score: float
    f1: float | None
    """F1 of its pixels at the stored threshold; None where the image has no defect."""


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found; metrics that are not defined on these images are None."""

    metrics: dict[str, float | None]
    """Over all test images, pixels pooled."""
    per_type: dict[str, dict[str, float | None]]
    """The same for each defect type, together with the normal test images."""
    threshold: float
    num_normal: int
    num_anomalous: int
    num_left_out: int
    """Images that were not scored because the detector was trained on them."""
    cases: tuple[Case, ...]
    roc: Curve | None
    precision_recall: Curve | None
    announced: dict[str, Any]
    """False alarms on normal images that were held back in training; empty where those were of tiles."""

    @property
    def false_alarms(self) -> FalseAlarms:
        """Of the normal test images."""
        scores = [case.score for case in self.cases if not case.sample.anomalous]
        return false_alarms(np.array(scores), self.threshold)

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures."""
        return {
            "metrics": self.metrics,
            "per_type": self.per_type,
            "threshold": self.threshold,
            "num_normal": self.num_normal,
            "num_anomalous": self.num_anomalous,
            "num_left_out": self.num_left_out,
            "false_alarms": self.false_alarms.to_json() | {"announced": self.announced},
        }


@dataclass(frozen=True)
class Look:
    """A few samples with the detector's maps of them."""

    samples: Sequence[Sample]
    maps: list[AnomalyMap]
    seconds: float
    """Of processor time, reading left out."""
    done: int
    """Samples so far, those left out among them."""


def looks(
    detector: Detector, samples: Sequence[Sample], size: Size, skip: Callable[[Image], bool] | None = None
) -> Iterator[Look]:
    """The samples' images, read as many at once as the device wants, with maps of one size (height, width).

    Images that `skip` is true of are left out.
    """
    together = at_once(detector.device)
    for start in range(0, len(samples), together):
        chosen = samples[start : start + together]
        read = [(sample, read_image(sample.image)) for sample in chosen]
        kept = [(sample, image) for sample, image in read if not (skip and skip(image))]
        started = time.process_time()
        maps = detector.maps_at(size, [image for _, image in kept])
        seconds = time.process_time() - started
        yield Look([sample for sample, _ in kept], maps, seconds, start + len(chosen))


def evaluate(
    detector: Detector, samples: Sequence[Sample], progress: Callable[[int, int], None] | None = None
) -> Evaluation:
    """Score every image with which the detector was not trained, told by content.

    Each image is looked at in its own working size; maps and masks are compared at the largest height and the
    largest width of these, so that all have one: 256 x 256 in both presets, as in the paper; more with tiles.

    Raises:
        NothingToEvaluateError: no image, or no defect image, is left.
    """
    cases: list[Case] = []
    size = common_size(samples, detector.config)
    for look in looks(detector, samples, size, skip=detector.knows):
        cases += [_case(*seen, detector.threshold) for seen in zip(look.samples, look.maps, strict=True)]
        if progress:
            progress(look.done, len(samples))
    if not any(case.sample.anomalous for case in cases):
        folder = Path(os.path.commonpath([sample.image for sample in samples]))
        raise NothingToEvaluateError(folder, len(cases), len(samples) - len(cases))
    normal = [case for case in cases if not case.sample.anomalous]
    types = {case.sample.defect_type for case in cases if case.sample.anomalous}
    maps, masks = _stacked(cases)
    return Evaluation(
        metrics=_metrics(cases, detector.threshold),
        per_type={
            str(kind): _metrics(
                [*normal, *(case for case in cases if case.sample.defect_type == kind)], detector.threshold
            )
            for kind in sorted(map(str, types))
        },
        threshold=detector.threshold,
        num_normal=len(normal),
        num_anomalous=len(cases) - len(normal),
        num_left_out=len(samples) - len(cases),
        cases=tuple(cases),
        roc=roc_points(maps, masks),
        precision_recall=precision_recall_points(maps, masks),
        announced={} if detector.config.tile_side else detector.facts.false_alarms,
    )


def _case(sample: Sample, anomaly_map: AnomalyMap, threshold: float) -> Case:
    mask = mask_at(sample, (anomaly_map.shape[0], anomaly_map.shape[1]))
    f1 = pixel_f1(anomaly_map[None].numpy(), mask[None].numpy(), threshold)
    return Case(sample, mask, anomaly_map, float(anomaly_map.max()), f1)


def _metrics(cases: Sequence[Case], threshold: float) -> dict[str, float | None]:
    maps, masks = _stacked(cases)
    return summary(maps, masks, np.array([case.score for case in cases]), threshold)


def _stacked(cases: Sequence[Case]) -> tuple[np.ndarray, np.ndarray]:
    maps = torch.stack([case.anomaly_map for case in cases]).numpy()
    return maps, torch.stack([case.mask for case in cases]).numpy()
