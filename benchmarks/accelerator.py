"""How many updates a second an accelerator makes, where their time goes, and whether it gives the same maps.

    python benchmarks/accelerator.py DATA/mvtec_ad/screw --preset script --device cuda
    python benchmarks/accelerator.py DATA/mvtec_ad/screw --run RUN --device cuda

Two cycles warm up; then cycles are timed as a whole, once more part by part (with device events), and once
more under torch's profiler. `busy` is the share of the time in which the device computes: near 1, arithmetic
or memory bounds an update; well below, the processor that asks for it. All is done in single precision, with
algorithms tried out first, with tensor cores (tf32: the way in which flawtrace learns there), and in mixed
precision (bfloat16). On a processor, parts are timed by its clock. With a run, its detector's maps of
test images are compared with those that the processor makes.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from flawtrace.data.folders import read_category
from flawtrace.data.pieces import common_size, pieces
from flawtrace.data.samples import evenly
from flawtrace.data.splits import draw_split
from flawtrace.detector.artefact import Detector
from flawtrace.ground.config import Config
from flawtrace.ground.devices import named, peak_memory_mb, ready, settle
from flawtrace.ground.learner import derive
from flawtrace.ground.presets import load_config
from flawtrace.ground.shapes import Image
from flawtrace.method.cycle import scout
from flawtrace.method.material import Prepared, prepare
from flawtrace.pictures.images import read_image
from flawtrace.pictures.tiles import Size
from flawtrace.training.study import Clock, Study

WARM_UP = 2
LOOKED_AT = 32
"""Images whose maps are compared."""
PARTS = ("place", "reconstruct", "observe", "train predictor", "reward", "learn")


def cycles(study: Study, count: int) -> int:
    """The paper's loop, as in training; returns the number of updates."""
    cycle, sampler, updates = study.cycle, study.sampler, 0
    for _ in range(count):
        cycle.begin(derive(study.config.seed, 4, study.index))
        while not cycle.over:
            rewards, _ = cycle.advance(sampler.place(cycle.walkers, cycle.rng))
            sampler.credit(rewards)
            updates += 1
        sampler.learn(cycle.rng)
    return updates


def timed(study: Study, count: int, device: torch.device) -> tuple[int, float]:
    """Updates, and seconds that they took."""
    settle(device)
    started = time.perf_counter()
    updates = cycles(study, count)
    settle(device)
    return updates, time.perf_counter() - started


class Spans:
    """Milliseconds in each part, by the device's own events where it has them."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._marks: dict[str, list[tuple[Any, Any]]] = defaultdict(list)

    def around(self, owner: Any, method: str, part: str) -> AbstractContextManager[Any]:
        """Inside, the time in a method of `owner` counts as that of `part`."""
        run: Callable[..., Any] = getattr(owner, method)

        def measured(*args: Any, **kwargs: Any) -> Any:
            started = self._mark()
            result = run(*args, **kwargs)
            self._marks[part].append((started, self._mark()))
            return result

        return patch.object(owner, method, measured)

    def _mark(self) -> Any:
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def per_update(self, updates: int) -> dict[str, float]:
        settle(self._device)
        spent = {
            part: sum(
                1000 * (end - start) if isinstance(end, float) else start.elapsed_time(end)
                for start, end in marks
            )
            for part, marks in self._marks.items()
        }
        return {part: round(spent.get(part, 0.0) / updates, 3) for part in PARTS}


def in_parts(study: Study, count: int, device: torch.device) -> dict[str, float]:
    spans, cycle, sampler = Spans(device), study.cycle, study.sampler
    owners = {"place": sampler, "learn": sampler}
    methods = {"observe": "_observe", "train predictor": "_train_predictor", "reward": "_reward"}
    with ExitStack() as measured:
        for part in PARTS:
            owner, method = owners.get(part, cycle), methods.get(part, part)
            measured.enter_context(spans.around(owner, method, part))
        parts = spans.per_update(cycles(study, count))
    parts["observe"] = round(parts["observe"] - parts["train predictor"], 3)
    return parts


def profiled(study: Study, device: torch.device) -> dict[str, Any]:
    """Of one cycle: how busy the device is, its kernels per update, and those that take longest."""
    if device.type != "cuda":
        return {}
    seconds = timed(study, 1, device)[1]
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as seen:
        updates = cycles(study, 1)
        settle(device)
    events = [event for event in seen.key_averages() if event.device_type.name == "CUDA"]
    kernels = [event for event in events if "#" not in event.key]  # those are spans around kernels
    total = sum(event.self_device_time_total for event in kernels) / 1e6
    longest = sorted(kernels, key=lambda event: -event.self_device_time_total)[:8]
    return {
        "busy": round(total / seconds, 3),
        "kernels": round(sum(event.count for event in kernels) / updates),
        "longest": {
            event.key[:70]: round(event.self_device_time_total / 1e6 / total, 3) for event in longest
        },
    }


WAYS = {"single": (False, False), "tried": (True, False), "tf32": (False, True), "mixed": (False, True)}
"""By name: whether algorithms are tried out, and whether tensor cores may take single precision."""


@contextmanager
def computing(way: str, device: torch.device) -> Iterator[None]:
    """In one of the `WAYS`, wherever flawtrace would choose for itself."""
    if device.type != "cuda":
        yield
        return
    tried, tf32 = WAYS[way]

    def flags(*_: Any) -> AbstractContextManager[None]:
        return torch.backends.cudnn.flags(True, tried, deterministic=False, allow_tf32=tf32)

    mixed = torch.autocast(device.type, torch.bfloat16, enabled=way == "mixed")
    with flags(), patch("flawtrace.method.environment.learning", flags), mixed:
        yield


def ways(device: torch.device) -> tuple[str, ...]:
    return tuple(WAYS) if device.type == "cuda" else ("single",)


def prepared(folder: Path, config: Config, device: torch.device) -> Prepared:
    split = pieces(draw_split(read_category(folder), config.labels, config.seed), config)
    *_, found = prepare(split, config, torch.device(device))
    assert isinstance(found, Prepared)
    return found


def measure(found: Prepared, config: Config, device: torch.device, count: int) -> Iterator[dict[str, Any]]:
    """A row per precision."""
    for way in ways(device):
        with computing(way, device):
            study = Study(found, scout(found.material, config), config, Clock())
            cycles(study, WARM_UP)
            updates, seconds = timed(study, count, device)
            with FlopCounterMode(display=False) as counted:
                counted_updates = cycles(study, 1)
            parts, seen = in_parts(study, count, device), profiled(study, device)
        yield {
            "device": named(device),
            "preset": config.preset,
            "way": way,
            "updates_per_second": round(updates / seconds, 2),
            "gflop_per_update": round(counted.get_total_flops() / counted_updates / 1e9, 1),
            "ms_per_update": parts,
            "memory_mb": peak_memory_mb(device),
            **seen,
        }


def maps_of(detector: Detector, size: Size, images: Sequence[Image]) -> torch.Tensor:
    return torch.stack([found.anomaly_map for found in detector.predictions_at(size, images)]).float()


def agreement(run: Path, folder: Path, device: torch.device) -> Iterator[dict[str, Any]]:
    """How far maps made on the device are from those of the processor, and how many pixels change sides."""
    samples = evenly(read_category(folder).samples, LOOKED_AT)
    images, detector = [read_image(sample.image) for sample in samples], Detector.load(run)
    size = common_size(samples, detector.config)
    here = maps_of(detector, size, images)
    for way in ways(device):
        with computing(way, device):
            there = maps_of(Detector.load(run).to(device), size, images)
        sides = (there >= detector.thresholds.outline) != (here >= detector.thresholds.outline)
        yield {
            "device": named(device),
            "way": way,
            "largest_difference": float((there - here).abs().max()),
            "mean_difference": float((there - here).abs().mean()),
            "pixels_on_the_other_side": int(sides.sum()),
            "pixels": sides.numel(),
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--preset", default="script")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--run", type=Path, help="whose detector's maps are compared, and nothing timed")
    parser.add_argument("--cycles", type=int, default=5, help="that are timed")
    asked = parser.parse_args()
    settings, place = load_config(asked.preset), ready(asked.device)
    if asked.run:
        rows = agreement(asked.run, asked.folder, place)
    else:
        rows = measure(prepared(asked.folder, settings, place), settings, place, asked.cycles)
    for row in rows:
        print(json.dumps(row), flush=True)
