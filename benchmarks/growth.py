"""What grows with what: time and memory against image size, normal images, labels, snapshots and batch.

    python benchmarks/growth.py -o benchmarks/results/growth.jsonl --plot docs/growth.svg

Each point is measured in a process of its own, on generated images; a point that has a row is not measured
again. The exponent is that of the last three points: 1 means twice the time for twice as much. Prediction is
by tiles of 256 pixels, file to files. Training is cut short (one learning cycle of 20 updates, 50 in the last
one, 50 steps per predictor), so that what grows is not hidden behind what does not.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.ticker import FuncFormatter, LogLocator

from flawtrace import verbs
from flawtrace.comparison.cell import circumstances
from flawtrace.detector.artefact import Detector
from flawtrace.detector.facts import Facts
from flawtrace.detector.stopwatch import measure
from flawtrace.ground.files import append_json, read_jsonl
from flawtrace.ground.memory import peak_memory_mb
from flawtrace.ground.presets import load_config
from flawtrace.pictures.images import as_picture, write_picture
from flawtrace.pictures.synthetic import make_dataset
from flawtrace.report.style import DEFECTIVE, NORMAL, STYLE

SHORT: dict[str, Any] = {
    "labels": 4,
    "cycles": 1,
    "updates": 20,
    "last_updates": 50,
    "predictor.steps": 50,
}
LABELS = 32
"""Generated per type; 3 types."""


@dataclass(frozen=True)
class Quantity:
    """Something that grows, and how to measure at a value of it."""

    title: str
    values: tuple[int, ...]
    measure: Callable[[int, Path], float]
    """Seconds, of what is named in `title`."""


def detector(**settings: Any) -> Detector:
    """With weights as they are drawn: how long it takes does not depend on them."""
    return Detector.untrained(load_config(settings=settings), Facts(0.5, {}, (), "", {}))


def predicting(side: int, folder: Path) -> float:
    detector(tile_side=256).save(folder / "detector.safetensors")
    rough = torch.rand(3, side // 8, side // 8, generator=torch.Generator().manual_seed(0))
    write_picture(folder / "image.png", as_picture(rough.repeat_interleave(8, 1).repeat_interleave(8, 2)))
    started = time.perf_counter()
    list(verbs.predict(folder / "detector.safetensors", [folder / "image.png"], folder / "out"))
    return time.perf_counter() - started


def training(folder: Path, images: Path, **settings: Any) -> float:
    started = time.perf_counter()
    verbs.train(images, folder / "run", settings=SHORT | settings)
    return time.perf_counter() - started


def normal_images(count: int, folder: Path) -> float:
    images = make_dataset(folder / "images", num_normal=100, num_per_type=6)
    first = sorted((images / "train/good").iterdir())
    for index in range(len(first), count):
        (images / "train/good" / f"{index:06}.png").symlink_to(first[index % len(first)])
    return training(folder, images)


def labels(count: int, folder: Path) -> float:
    return training(
        folder, make_dataset(folder / "images", num_normal=60, num_per_type=LABELS + 1), labels=count
    )


def snapshots(count: int, _: Path) -> float:
    settings = {"profile.length": count, "profile.observations": 2 * count}
    return measure(detector(**settings), torch.rand(1, 3, 256, 256), 20).median_ms / 1000


def batch(count: int, _: Path) -> float:
    return measure(detector(), torch.rand(count, 3, 256, 256), 10).median_ms / 1000


QUANTITIES = {
    "side": Quantity("predict, pixels along a square image", (256, 512, 1024, 2048, 4096), predicting),
    "normal": Quantity("train, normal images", (100, 1000, 10_000, 100_000), normal_images),
    "labels": Quantity("train, labels per type (3 types)", (2, 4, 8, 16, 32), labels),
    "snapshots": Quantity("map of one image, snapshots", (1, 2, 4, 8, 16), snapshots),
    "batch": Quantity("maps of a batch, images in it", (1, 2, 4, 8, 16), batch),
}


def point(name: str, value: int) -> dict[str, Any]:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    with tempfile.TemporaryDirectory() as folder:
        seconds = QUANTITIES[name].measure(value, Path(folder))
    cost = {"seconds": round(seconds, 4), "peak_memory_mb": peak_memory_mb()}
    return {"quantity": name, "value": value} | cost


def measured(names: list[str], out: Path) -> Iterator[dict[str, Any]]:
    done = {(row["quantity"], row["value"]) for row in read_jsonl(out)}
    for name in names:
        for value in QUANTITIES[name].values:
            if (name, value) not in done:
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
                    yield alone.submit(point, name, value).result() | circumstances()


def exponent(values: list[float], results: list[float]) -> float:
    """Slope of the last three points on logarithmic axes."""
    return float(np.polyfit(np.log(values[-3:]), np.log(results[-3:]), 1)[0])


def columns(rows: list[dict[str, Any]], name: str) -> tuple[list[float], list[float], list[float]]:
    found = sorted((row for row in rows if row["quantity"] == name), key=lambda row: row["value"])
    values, seconds, memory = ([row[key] for row in found] for key in ("value", "seconds", "peak_memory_mb"))
    return values, seconds, memory


def power(name: str, rows: list[dict[str, Any]]) -> float:
    """Exponent of time; of an image's side that of its area."""
    values, seconds, _ = columns(rows, name)
    return exponent([value**2 for value in values] if name == "side" else values, seconds)


def table(rows: list[dict[str, Any]]) -> str:
    """A line per quantity."""
    lines = ["| what grows | from, to | seconds | exponent of time | peak memory (MB) |"]
    lines.append("|" + "---|" * 5)
    for name, quantity in QUANTITIES.items():
        values, seconds, memory = columns(rows, name)
        if len(values) > 1:
            cells = [
                quantity.title,
                f"{values[0]:,} to {values[-1]:,}",
                f"{seconds[0]:.3g} to {seconds[-1]:.3g}",
                f"{power(name, rows):.2f}" + (" (of the area)" if name == "side" else ""),
                f"{memory[0]:,} to {memory[-1]:,}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    known = [name for name in QUANTITIES if len(columns(rows, name)[0]) > 1]
    with plt.rc_context(STYLE | {"font.size": 8}):
        figure, axes = plt.subplots(2, len(known), figsize=(2.3 * len(known), 4), sharex="col", squeeze=False)
        for (above, below), name in zip(axes.T, known, strict=True):
            values, seconds, memory = columns(rows, name)
            above.loglog(values, seconds, "o-", color=NORMAL)
            above.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            above.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            above.minorticks_off()
            above.set_ylim(min(seconds) / 1.5, max(seconds) * 4)
            label = f"exponent {power(name, rows):.2f}{' of the area' if name == 'side' else ''}"
            above.text(0.05, 0.95, label, transform=above.transAxes, va="top")
            below.semilogx(values, memory, "o-", color=DEFECTIVE)
            below.set_ylim(0, 1.15 * max(memory))
            above.set_title(QUANTITIES[name].title.replace(", ", "\n", 1), fontsize=8)
            below.set_xticks(values, [f"{value:,}" for value in values], rotation=45)
            below.minorticks_off()
        axes[0][0].set_ylabel("seconds")
        axes[1][0].set_ylabel("peak memory (MB)")
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=QUANTITIES, default=list(QUANTITIES))
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    for row in measured(arguments.only, arguments.out):
        append_json(arguments.out, row)
        print(json.dumps(dict(islice(row.items(), 4))), flush=True)
    rows = list(read_jsonl(arguments.out))
    if arguments.plot:
        plot(rows, arguments.plot)
    print(table(rows))


if __name__ == "__main__":
    main()
