"""Where outlines should begin without labels: F1 of the pixels by the threshold.

    python benchmarks/outlines.py DATA... --runs runs/ -o benchmarks/results/outlines.jsonl --seeds 42

A detector learns from the normal images of `five-per-type` alone, unless its run is there. It then looks at
the labelled images, of which it was told nothing and which choose, and at the test images, which judge.
Images that are OK show no outline, and regions need their peak, as in use.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rows import Row, arguments_of, run

from flawtrace.cli.flags import seeds_of
from flawtrace.comparison.bench import find_categories
from flawtrace.comparison.cell import looked
from flawtrace.comparison.desk import SIDE
from flawtrace.data import Sample, Split
from flawtrace.data.pieces import mask_at
from flawtrace.data.protocols import trials
from flawtrace.detector import Detector, marked
from flawtrace.detector.facts import commit
from flawtrace.ground.files import read_jsonl
from flawtrace.ground.presets import load_config
from flawtrace.ground.run_files import DETECTOR_NAME
from flawtrace.measures.metrics import mask_f1
from flawtrace.training.run import train

OUTLINES = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5)
"""Thresholds that are tried."""


def unlabelled(split: Split, seed: int, folder: Path) -> Detector:
    """The detector of a run, which is made if it is not there."""
    if not (folder / DETECTOR_NAME).exists():
        config = load_config(settings={"seed": seed})
        for _ in train(replace(split, labelled=()), config, folder, resume=True):
            pass
    return Detector.load(folder)


def by_outline(detector: Detector, samples: Sequence[Sample]) -> list[float | None]:
    """F1 of the pixels of all images together, for each of the `OUTLINES` and for the detector's own."""
    masks = torch.stack([mask_at(sample, (SIDE, SIDE)) for sample in samples])
    predictions, _ = looked(detector, samples)
    found = []
    for outline in (*OUTLINES, detector.thresholds.outline):
        thresholds = replace(detector.thresholds, outline=outline)
        shown = [marked(one.anomaly_map, thresholds, one.verdict) for one in predictions]
        found.append(mask_f1(torch.stack(shown).numpy(), masks.numpy()))
    return found


def cells(arguments: argparse.Namespace) -> Iterator[Row]:
    """The rows that are not in the file yet."""
    done = {row["trial"] for row in read_jsonl(arguments.out)}
    for seed in seeds_of(arguments.seeds):
        for category in find_categories(arguments.data):
            (trial,) = trials(category, "five-per-type", [seed])
            if trial.name not in done:
                detector = unlabelled(trial.split, seed, arguments.runs / trial.name)
                yield trial.facts | {
                    "outline": detector.thresholds.outline,
                    "labelled": by_outline(detector, trial.split.labelled),
                    "test": by_outline(detector, trial.split.test),
                    "commit": commit(),
                }


def table(rows: list[Row]) -> str:
    """One line per trial and set of images."""
    heads = ["trial", "images", *map(str, OUTLINES), "its own"]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * (len(heads) - 2)]
    for row in rows:
        for images in ("labelled", "test"):
            values = [f"{value:.3f}" for value in row[images]]
            lines.append("| " + " | ".join([row["trial"], images, *values]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = arguments_of(__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="folder of the trainings without labels")
    run(cells, table, parser.parse_args(), shown=("trial", "outline", "labelled", "test"))
