"""Every peer and a detector of flawtrace, image by image, in one run: latency, multiply-adds, size.

    PEERS/bin/python benchmarks/peers/latency.py SPLIT.json ROOT run/detector.onnx --cache OUT/cache

Peers learn from the split (those without labels are read from the cache of the benchmark), and get one
image at a time at 256 x 256, from memory to map, with as many threads as flawtrace.
Multiply-adds are half the operations that torch counts in convolutions and products of matrices.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from examples import Split
from run import METHODS, described, fitted
from torch.utils.flop_counter import FlopCounterMode

WARM_UP, REPEATS = 3, 50


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    rows = [ours(arguments)]
    split = Split(arguments.split, arguments.root)
    image = next(iter(split.test_batches()))[:1]
    for name in arguments.methods:
        peer = import_module(name)
        state, _ = fitted(peer, split, described(peer, split.seed), arguments.cache)
        predict = peer.restore(state, split.seed)
        size = sum(tensor.nbytes for tensor in state.values()) / 1e6
        learnt = sum(tensor.numel() for tensor in state.values() if tensor.is_floating_point())
        facts = {"name": name, "mb": size, "learnt": learnt, "macs": macs(predict, image)}
        rows.append(facts | timed(predict, image))
    print(table(rows))


def ours(arguments: argparse.Namespace) -> dict[str, Any]:
    command = [arguments.flawtrace, "bench", str(arguments.detector), "--json"]
    command += ["--threads", str(arguments.threads), "--repeats", str(REPEATS)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    size = arguments.detector.stat().st_size / 1e6
    return {"name": f"flawtrace ({found['runtime']})", "mb": size, "ms": found["median_ms"]}


@torch.no_grad()
def timed(predict: Callable[[torch.Tensor], Any], image: torch.Tensor) -> dict[str, float]:
    times = []
    for _ in range(WARM_UP + REPEATS):
        started = time.perf_counter()
        predict(image)
        times.append(1000 * (time.perf_counter() - started))
    return {"ms": float(np.median(times[WARM_UP:]))}


@torch.no_grad()
def macs(predict: Callable[[torch.Tensor], Any], image: torch.Tensor) -> float:
    """Million per image."""
    with FlopCounterMode(display=False) as counter:
        predict(image)
    return float(counter.get_total_flops()) / 2e6


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| method | learnt (MB) | numbers | multiply-adds (million) | median (ms) | flawtrace takes |"]
    lines.append("|---|---:|---:|---:|---:|---:|")
    for row in rows:
        numbers, counted = (f"{row[name]:,.0f}" if name in row else "" for name in ("learnt", "macs"))
        share = f"{rows[0]['ms'] / row['ms']:.2f} of it"
        size = f"{row['mb']:.1f} | {numbers} | {counted}"
        lines.append(f"| {row['name']} | {size} | {row['ms']:.1f} | {share} |")
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("split", type=Path, help="written by `flawtrace benchmark`, in OUT/splits")
    parser.add_argument("root", type=Path, help="the folder that the split's paths start from")
    parser.add_argument("detector", type=Path, help="of flawtrace, exported or not")
    parser.add_argument("--flawtrace", default="flawtrace", help="the command, from its own environment")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=("padim", "patchcore"))
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
