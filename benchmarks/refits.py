"""What a refit is worth beside a whole training: the same labels, the same images, the same test.

    python benchmarks/refits.py DATA/mvtec_ad/grid DATA/mpdd/metal_plate -o benchmarks/results/refits.jsonl

A detector is trained on two labels of each defect type, as far as there are so many; then all five labels of
the split of `five-per-type` are there, and it is refitted to them (`refit`), or a new one is trained from
scratch (`whole`). All three are judged on the same test images. A row holds one trial; a finished one is
never run again.
"""

import argparse
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from rows import Row, arguments_of, run

from flawtrace.cli.flags import seeds_of
from flawtrace.comparison.bench import find_categories
from flawtrace.comparison.cell import looked
from flawtrace.comparison.desk import SIDE
from flawtrace.data.pieces import mask_at
from flawtrace.data.protocols import trials
from flawtrace.data.samples import Sample, Split
from flawtrace.detector import Detector
from flawtrace.detector.facts import commit
from flawtrace.ground.devices import ready
from flawtrace.ground.files import read_jsonl
from flawtrace.ground.presets import load_config
from flawtrace.measures import decided
from flawtrace.measures.metrics import Masks, summary
from flawtrace.training.refitting import refit
from flawtrace.training.run import Trained, train

AT_FIRST = 2
"""Labels of each type before the refit."""
KINDS = ("before", "refit", "whole")
SHOWN = ("pixel_f1_max", "pixel_f1", "image_auroc", "false_alarm_rate", "miss_rate")


def first_labels(labelled: Sequence[Sample]) -> tuple[Sample, ...]:
    """The first ones of each type."""
    seen: Counter[str | None] = Counter()
    kept = []
    for sample in labelled:
        seen[sample.defect_type] += 1
        if seen[sample.defect_type] <= AT_FIRST:
            kept.append(sample)
    return tuple(kept)


def measure(split: Split, seed: int, device: torch.device) -> Row:
    """Metrics and seconds of each kind."""
    config = load_config(settings={"seed": seed})
    masks = torch.stack([mask_at(sample, (SIDE, SIDE)) for sample in split.test]).numpy()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fewer = replace(split, labelled=first_labels(split.labelled))
        before = _timed(train(fewer, config, folder / "before", device=device))
        refitted = _timed(refit(split, before[0], folder / "refit", device=device))
        whole = _timed(train(split, config, folder / "whole", device=device))
    made = dict(zip(KINDS, (before, refitted, whole), strict=True))
    return {
        "metrics": {kind: _scores(detector, split, masks) for kind, (detector, _) in made.items()},
        "seconds": {kind: round(seconds, 1) for kind, (_, seconds) in made.items()},
        "num_first": len(fewer.labelled),
    }


def _timed(events: Iterator[Any]) -> tuple[Detector, float]:
    started = time.monotonic()
    *_, trained = events
    assert isinstance(trained, Trained)
    return trained.detector, time.monotonic() - started


def _scores(detector: Detector, split: Split, masks: Masks) -> dict[str, float | None]:
    predictions, _ = looked(detector, split.test)
    maps = torch.stack([found.anomaly_map for found in predictions]).numpy()
    return summary(maps, masks, np.array([found.score for found in predictions]), decided(predictions))


def cells(arguments: argparse.Namespace) -> Iterator[Row]:
    """The rows that are not in the file yet."""
    for seed in seeds_of(arguments.seeds):
        for category in find_categories(arguments.data):
            (trial,) = trials(category, "five-per-type", [seed])
            if trial.name in {row["trial"] for row in read_jsonl(arguments.out)}:
                continue
            found = measure(trial.split, seed, ready(arguments.device))
            yield trial.facts | found | {"threads": torch.get_num_threads(), "commit": commit()}


def table(rows: list[Row]) -> str:
    """One line per category: means of each kind, and of the differences between refit and whole."""
    heads = ("category", "trials", *(f"{name}: before, refit, whole, difference" for name in SHOWN))
    lines = ["| " + " | ".join(heads) + " |", "|---|---:|" + "---|" * len(SHOWN)]
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["category"]].append(row)
        groups["all"].append(row)
    for category, found in groups.items():
        lines.append(
            f"| {category} | {len(found)} | " + " | ".join(_compared(found, n) for n in SHOWN) + " |"
        )
    return "\n".join(lines)


def _compared(rows: Sequence[Row], name: str) -> str:
    by_kind = {kind: np.array([row["metrics"][kind][name] for row in rows], dtype=float) for kind in KINDS}
    differences = by_kind["refit"] - by_kind["whole"]
    means = ", ".join(f"{fmean(values):.3f}" for values in by_kind.values())
    if len(rows) == 1:
        return f"{means}, {differences[0]:+.3f}"
    return f"{means}, {differences.mean():+.3f} (deviation {differences.std(ddof=1):.3f})"


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--device", default="cpu")
    run(cells, table, parser.parse_args(), ("trial", "seconds"))


if __name__ == "__main__":
    main()
