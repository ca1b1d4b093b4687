"""What do samplers earn, and at what cost? Learning cycles of `light` alone, without last cycle and fit.

    python benchmarks/samplers.py DATA/mvtec_ad/grid -o benchmarks/results/earnings.jsonl --seeds 42-44

Return and rewards are means per cycle over the last tenth of the cycles; times are of the processor, that of
learning spread over the updates. All samplers of a seed have the same images, static maps, first weights and
decays. Test images are not read. A finished cell is never run again; the table at the end is over all rows,
with differences to uniform sampling paired by seed.
"""

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from rows import Row, arguments_of, run

from flawtrace.cli.flags import seeds_of
from flawtrace.data.folders import read_category
from flawtrace.data.pieces import pieces
from flawtrace.data.splits import draw_split
from flawtrace.ground.config import Config
from flawtrace.ground.devices import PROCESSOR
from flawtrace.ground.files import read_jsonl
from flawtrace.ground.learner import derive
from flawtrace.ground.presets import load_config
from flawtrace.ground.shapes import ErrorMaps
from flawtrace.method import Cycle, Material, Prepared, prepare, sampler, scout
from flawtrace.training.study import cycle_row

SAMPLERS = ("uniform", "edge-guided", "random-walk", "learned", "selecting")
PARTS = ("return", "clone", "cover", "prediction", "defective")
COSTS = ("decision_ms", "update_ms", "learning_ms")


def cells(arguments: argparse.Namespace) -> Iterator[Row]:
    found = list(read_jsonl(arguments.out)) if arguments.out.exists() else []
    done = {(row["category"], row["seed"], row["sampler"]) for row in found}
    for folder in arguments.data:
        for seed in seeds_of(arguments.seeds):
            wanted = [kind for kind in arguments.samplers if (folder.name, seed, kind) not in done]
            if not wanted:
                continue
            config = load_config(settings={"seed": seed, "cycles": arguments.cycles})
            material = read(folder, config)
            statics = scout(material, config)
            for kind in wanted:
                settings = config.sampler.model_copy(update={"kind": kind})
                earned = earn(material, statics, config.model_copy(update={"sampler": settings}))
                yield {
                    "category": folder.name,
                    "seed": seed,
                    "sampler": kind,
                    "cycles": config.cycles,
                    **earned,
                }


def read(folder: Path, config: Config) -> Material:
    """The training images of the folder's split."""
    split = pieces(draw_split(read_category(folder), config.labels, config.seed), config)
    *_, prepared = prepare(split, config)
    assert isinstance(prepared, Prepared)
    return prepared.material


def earn(material: Material, statics: ErrorMaps, config: Config) -> dict[str, Any]:
    """All learning cycles, as in `learn_together`."""
    cycle = Cycle(material, statics, config)
    crop = cycle.walkers.geometry.crop
    chooser = sampler.of_settings(config, crop, PROCESSOR)
    rows, times = [], []
    for index in range(config.cycles):
        cycle.begin(derive(config.seed, 4, index))
        feedbacks = []
        while not cycle.over:
            began = time.process_time()
            places = chooser.place(cycle.walkers, cycle.rng)
            decided = time.process_time()
            rewards, feedback = cycle.advance(places)
            times.append((decided - began, time.process_time() - decided))
            chooser.credit(rewards)
            feedbacks.append(vars(feedback))
        began = time.process_time()
        chooser.learn(cycle.rng)
        rows.append(cycle_row(feedbacks) | {"learning": (time.process_time() - began) / config.updates})
    last = rows[-math.ceil(len(rows) / 10) :]
    return {
        **{part: fmean(row[part] for row in last) for part in PARTS},
        "returns": [round(row["return"], 3) for row in rows],
        "decision_ms": round(1000 * median(decision for decision, _ in times), 2),
        "update_ms": round(1000 * fmean(update for _, update in times), 2),
        "learning_ms": round(1000 * fmean(row["learning"] for row in rows), 2),
    }


def table(rows: list[Row]) -> str:
    """Means over seeds; first the difference of the return to uniform sampling, with its standard error."""
    lines = ["| category | sampler | seeds | − uniform | " + " | ".join((*PARTS, *COSTS)) + " |"]
    lines.append("|" + "---|" * (4 + len(PARTS) + len(COSTS)))
    uniform = {(row["category"], row["seed"]): row["return"] for row in rows if row["sampler"] == "uniform"}
    for category, kind in dict.fromkeys((row["category"], row["sampler"]) for row in rows):
        some = [row for row in rows if (row["category"], row["sampler"]) == (category, kind)]
        numbers = [fmean(row[name] for row in some) for name in (*PARTS, *COSTS)]
        gains = [
            row["return"] - uniform[category, row["seed"]]
            for row in some
            if (category, row["seed"]) in uniform
        ]
        error = f" ± {stdev(gains) / math.sqrt(len(gains)):.2f}" if len(gains) > 1 else ""
        gain = f"{fmean(gains):+.2f}{error}" if gains else ""
        listed = " | ".join(f"{number:.4g}" for number in numbers)
        lines.append(f"| {category} | {kind} | {len(some)} | {gain} | {listed} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = arguments_of(__doc__)
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=SAMPLERS)
    parser.add_argument("--cycles", type=int, default=30)
    run(cells, table, parser.parse_args(), shown=("category", "seed", "sampler", *PARTS, *COSTS))
