"""One learning cycle of a preset, with the seconds of every update; stops where the next cycle begins.

python benchmarks/cycle.py paper DATA/mvtec_ad/grid runs/paper-cycle
"""

import json
import sys
import time
from pathlib import Path

import torch

from flawtrace.data.folders import read_category
from flawtrace.data.splits import draw_split
from flawtrace.ground.presets import load_config
from flawtrace.training.progress import Event
from flawtrace.training.run import train


def main(preset: str, folder: Path, out: Path) -> None:
    config = load_config(preset)
    print(json.dumps({"preset": preset, "threads": torch.get_num_threads(), "updates": config.updates}))
    last = time.perf_counter()
    for event in train(draw_split(read_category(folder), config.labels, config.seed), config, out):
        if not isinstance(event, Event) or event.phase.startswith("cycle 2/"):
            break
        now = time.perf_counter()
        if event.phase.startswith("cycle"):
            print(json.dumps({"seconds": round(now - last, 2), **event.values}), flush=True)
        last = now


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
