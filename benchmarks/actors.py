"""What cycles side by side gain: returns of the policy by cycles and by seconds, with and without actors.

    python benchmarks/actors.py data/mvtec_ad/grid -o benchmarks/results/actors.jsonl --actors 0 1 2 4
    python benchmarks/actors.py --table benchmarks/results/actors.jsonl

Only the cycles from which the policy learns are run, each time from the same images, with the same seed of
each cycle. 0 actors is a single process. Ray is started on this machine; processes have one thread each.

A return is mostly what beta leaves of R_clone + R_cover, which is negative and changes from cycle to cycle;
so returns are told as gains over those of a random walk in the cycle of the same number.
"""

import argparse
import math
import os
import tempfile
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

from flawtrace.cluster import Actors, connected
from flawtrace.data import draw_available, read_folder
from flawtrace.data.pieces import pieces
from flawtrace.ground.config import Config
from flawtrace.ground.devices import PROCESSOR, compute_with
from flawtrace.ground.files import append_json, read_jsonl
from flawtrace.ground.presets import load_config
from flawtrace.ground.shapes import ErrorMaps
from flawtrace.method import Prepared, prepare, scout
from flawtrace.training.loop import learn_together
from flawtrace.training.progress import Plan
from flawtrace.training.study import Clock, Journal, Study

LAST = 8
"""Cycles over which a return is averaged."""
WALK = "random-walk"
PARTS = ("return", "return_prediction")


class Timed(Journal):
    """Keeps the rows of cycles, with the time."""

    def __init__(self, run: Path, study: Study) -> None:
        super().__init__(run, study)
        self.rows: list[dict[str, Any]] = []
        self._began = self.told = time.monotonic()

    def write(self, row: dict[str, Any]) -> None:
        super().write(row)
        now = time.monotonic()
        self.rows.append(row | {"seconds": now - self._began, "learning": now - self.told})
        self.told = now


def learnt(
    prepared: Prepared, statics: ErrorMaps, config: Config, plan: Plan, actors: int
) -> list[dict[str, Any]]:
    """A row of the log for each learning cycle: when it was over, and how long the policy learnt from it.

    `seconds` are counted from before the actors are asked for.
    """
    study = Study(prepared, statics, config, Clock())
    with tempfile.TemporaryDirectory() as run:
        journal = Timed(Path(run), study)
        collector = Actors(actors, memory=1.0) if actors else None
        for _ in learn_together(study, journal, plan, collector):
            if study.index == config.cycles:
                break
            journal.told = time.monotonic()
    return journal.rows


def measure(asked: argparse.Namespace) -> None:
    compute_with(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    settings = {"cycles": asked.cycles, "normal_limit": asked.images, "seed": asked.seed, "copies": 2}
    config = load_config("light", settings=settings)
    split = pieces(draw_available(read_folder(asked.folder).category, config.labels, config.seed), config)
    prepared = next(found for found in prepare(split, config, PROCESSOR) if isinstance(found, Prepared))
    config = config.model_copy(update={"variation": prepared.variation})
    statics, plan = scout(prepared.material, config), Plan.of(config, split)
    with connected("local"):
        walk = config.model_copy(update={"sampler": config.sampler.model_copy(update={"kind": WALK})})
        for actors, chosen in [(0, walk), *((actors, config) for actors in asked.actors)]:
            for row in learnt(prepared, statics, chosen, plan, actors):
                facts = {"sampler": chosen.sampler.kind, "actors": actors, "seed": asked.seed}
                append_json(asked.out, facts | row)


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Of all seeds together, a line for each number of actors."""
    rows = list(rows)
    walked = {(row["seed"], row["cycle"]): row for row in rows if row["sampler"] == WALK}
    runs: dict[int, dict[int, list[dict[str, Any]]]] = {}
    for row in rows:
        if row["sampler"] != WALK:
            random = walked[row["seed"], row["cycle"]]
            gains = {f"{part}_gained": row[part] - random[part] for part in PARTS}
            runs.setdefault(row["actors"], {}).setdefault(row["seed"], []).append(row | gains)
    heads = (
        "actors", "cycles", "seconds", "first round over after", "seconds a cycle", "in the fastest round",
        "PPO, seconds a cycle", "gain a second", f"gain, last {LAST} cycles", "in equal time", "of R_pred",
        "in equal time",
    )  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    equal = {seed: min(by_seed[seed][-1]["seconds"] for by_seed in runs.values()) for seed in runs[min(runs)]}
    for actors, by_seed in runs.items():
        found = [_numbers(run, equal[seed]) for seed, run in by_seed.items()]
        numbers = [f"{fmean(column):.4g}" for column in zip(*found, strict=True)]
        lines.append("| " + " | ".join([str(actors), *numbers]) + " |")
    return "\n".join(lines)


def _numbers(run: list[dict[str, Any]], equal: float) -> list[float]:
    """In the order of the table's heads."""
    together = run[0].get("side_by_side", 1)
    seconds, first = run[-1]["seconds"], run[together - 1]["seconds"]
    within = [row for row in run if row["seconds"] <= equal]
    parts = [
        fmean(row[f"{part}_gained"] for row in cycles[-LAST:]) if cycles else math.nan
        for part in PARTS
        for cycles in (run, within)
    ]
    ends = [row["seconds"] for row in run[together - 1 :: together]]
    rounds = [(end - begin) / together for begin, end in pairwise(ends)]
    learning = sum(row["learning"] for row in run) / len(run)
    gained = sum(row["return_gained"] for row in run)
    return [len(run), seconds, first, median(rounds), min(rounds), learning, gained / seconds, *parts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("-o", "--out", type=Path, default=Path("actors.jsonl"))
    parser.add_argument("--actors", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--cycles", type=int, default=32)
    parser.add_argument("--images", type=int, default=40, help="normal images at most")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--table", type=Path, help="print what is in this file, and measure nothing")
    asked = parser.parse_args()
    if not asked.table:
        measure(asked)
    print(table(read_jsonl(asked.table or asked.out)))


if __name__ == "__main__":
    main()
