"""How long a detector takes for an image, and what it needs."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from flawtrace.detector.artefact import Detector, resized
from flawtrace.detector.interface import with_floats
from flawtrace.detector.runtime import AnyDetector, Exported
from flawtrace.detector.stages import STAGES, prefixes
from flawtrace.ground import devices
from flawtrace.ground.memory import peak_memory_mb
from flawtrace.ground.shapes import Images
from flawtrace.method import encoder
from flawtrace.pictures.images import squared

WARM_UP = 3
"""Passes before the first that counts."""


@dataclass(frozen=True)
class Timing:
    """Of one pass over a batch: milliseconds from image tensors to maps, files not read."""

    runtime: str
    threads: int
    device: str
    batch: int
    height: int
    width: int
    repeats: int
    median_ms: float
    p95_ms: float
    p99_ms: float
    images_per_second: float
    peak_memory_mb: int
    """Of the whole process so far."""
    device_memory_mb: int | None
    """Of the accelerator, where there is one."""
    stages: dict[str, float]
    """Share of each stage, of one tile where there are tiles."""


def measure(
    detector: AnyDetector, images: Images, repeats: int, progress: Callable[[int, int], None] | None = None
) -> Timing:
    """Time `repeats` passes over one batch (b, 3, h, w) in [0, 1]."""
    times: list[float] = []
    for index in range(WARM_UP + repeats):
        started = time.perf_counter()
        look(detector, images)
        devices.settle(images.device)
        times.append(1000 * (time.perf_counter() - started))
        if progress:
            progress(index + 1, WARM_UP + repeats)
    counted = np.array(times[WARM_UP:])
    median, p95, p99 = (round(float(np.percentile(counted, share)), 2) for share in (50, 95, 99))
    return Timing(
        runtime=detector.runtime,
        threads=torch.get_num_threads(),
        device=devices.named(images.device),
        batch=len(images),
        height=images.shape[2],
        width=images.shape[3],
        repeats=repeats,
        median_ms=median,
        p95_ms=p95,
        p99_ms=p99,
        images_per_second=round(1000 * len(images) / float(counted.mean()), 1),
        peak_memory_mb=peak_memory_mb(),
        device_memory_mb=devices.peak_memory_mb(images.device),
        stages=shares(detector, images, max(1, repeats // 2)),
    )


@torch.no_grad()
def look(detector: AnyDetector, images: Images) -> Any:
    if detector.config.tile_side is not None:
        return [detector.predict(image) for image in images.cpu()]
    if not isinstance(detector, Detector):
        return detector.answer(images)
    maps = detector.anomaly_maps(squared(images, detector.config.image_side))
    return resized(maps, *images.shape[2:])


@torch.no_grad()
def shares(detector: AnyDetector, images: Images, repeats: int) -> dict[str, float]:
    """Of each stage in the time of all, from passes of their own."""
    if isinstance(detector, Detector):
        spent = dict.fromkeys(STAGES, 0.0)
        for _ in range(repeats):
            for name, seconds in _stages(detector, images):
                spent[name] += seconds
    else:
        spent = _cut_off(detector, images, repeats)
    total = sum(spent.values())
    return {name: round(seconds / total, 3) for name, seconds in spent.items()}


def _cut_off(detector: Exported, images: Images, repeats: int) -> dict[str, float]:
    """What each stage adds to the time of the graph before it, in seconds, of the fastest passes."""
    spent, before = {}, 0.0
    tile = detector.config.tile_side
    images = images if tile is None else images[..., :tile, :tile]
    model = detector.graph()
    with_floats(model)
    for name, graph in prefixes(model).items():
        run = detector.compiled(graph)
        until = min(_seconds(run, images) for _ in range(WARM_UP + repeats))
        spent[name], before = max(0.0, until - before), max(before, until)
    return spent


def _seconds(run: Callable[[Images], object], images: Images) -> float:
    started = time.perf_counter()
    run(images)
    return time.perf_counter() - started


def _stages(detector: Detector, images: Images) -> Iterator[tuple[str, float]]:
    """The way of an image through the detector, stage by stage, each with its seconds."""
    reader = detector.reader

    def clock() -> float:
        devices.settle(images.device)
        return time.perf_counter()

    tile = detector.config.tile_side
    images = images if tile is None else images[..., :tile, :tile]
    started = clock()
    square = squared(images, detector.config.image_side)
    yield STAGES[0], clock() - started
    started = clock()
    canvases = reader.encoder(square)
    yield STAGES[1], clock() - started
    started = clock()
    views = reader.views(canvases, encoder.rounded(square))
    yield STAGES[2], clock() - started
    started = clock()
    maps = detector.agreed(views)
    yield STAGES[3], clock() - started
    started = clock()
    resized(maps, *images.shape[2:])
    yield STAGES[4], clock() - started
