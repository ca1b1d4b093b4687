"""What refits are worth: labels are added to a detector that began without any.

    python benchmarks/refits.py DATA... --runs refits/ -o benchmarks/results/refits.jsonl

A detector is trained on the normal images of each trial alone. It is refitted to the first 1, 2, 5 and 10 of
the trial's labels, in an order by chance, to the 5 of them that it would suggest itself, to 5 without their
masks, and to all of them, and each time judged on the trial's test images.
With all labels that is what a whole training learns from as well; the rows of one (`--whole`) are what it is
compared with. A finished row is never made again, a training that was stopped goes on.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from fits import last, without_labels
from rows import Row, arguments_of, run

from flawtrace.cli.flags import seeds_of
from flawtrace.comparison.bench import find_categories
from flawtrace.comparison.cell import looked
from flawtrace.comparison.desk import SIDE
from flawtrace.data.pieces import mask_at
from flawtrace.data.protocols import trials
from flawtrace.data.samples import Split
from flawtrace.detector import Detector, suggested
from flawtrace.detector import looked as of_suggestion
from flawtrace.detector.facts import commit
from flawtrace.ground.files import read_jsonl
from flawtrace.ground.learner import derive
from flawtrace.measures import decided
from flawtrace.measures.metrics import summary
from flawtrace.pictures.images import read_image
from flawtrace.training.refitting import refit

COUNTS = (1, 2, 5, 10)
SUGGESTED = UNMASKED = 5
NAMES = {"chance": "", "suggest": ", suggested", "unmasked": ", without masks"}
SHOWN = ("pixel_f1_max", "pixel_f1", "pixel_aupro", "image_auroc", "false_alarm_rate", "miss_rate")


@dataclass(frozen=True)
class Choice:
    """So many labels, chosen by chance or as the detector suggests, or by chance and without their masks."""

    count: int
    by: str


def choices_of(split: Split) -> list[Choice]:
    """None, all, then few, and those that the detector suggests."""
    most = len(split.labelled)
    by_chance = [Choice(count, "chance") for count in (0, most, *COUNTS) if count <= most]
    suggestions = [Choice(SUGGESTED, "suggest")] if most > SUGGESTED else []
    return list(dict.fromkeys([*by_chance, *suggestions, Choice(min(UNMASKED, most), "unmasked")]))


def chosen(split: Split, start: Detector, choice: Choice, seed: int) -> list[int]:
    """Which labels are given."""
    if choice.by == "suggest":
        seen = [of_suggestion(start, read_image(sample.image)) for sample in split.labelled]
        return [one.index for one in suggested(seen, [], choice.count)]
    order = np.random.default_rng(derive(seed, 14)).permutation(len(split.labelled))
    return [int(row) for row in order[: choice.count]]


def measure(split: Split, start: Detector, choice: Choice, seed: int) -> Row:
    """Refit to some labels, if any, and look at the test images."""
    rows, count = sorted(chosen(split, start, choice, seed)), choice.count
    given = tuple(split.labelled[row] for row in rows)
    some = replace(split, labelled=given)
    if choice.by == "unmasked":
        some = replace(split, labelled=(), unmasked=tuple(replace(sample, mask=None) for sample in given))
    with tempfile.TemporaryDirectory() as folder:
        started, on_processor = time.monotonic(), time.process_time()
        detector = last(refit(some, start, Path(folder) / "run")) if count else start
        seconds = time.monotonic() - started, time.process_time() - on_processor
    predictions, _ = looked(detector, split.test)
    maps = torch.stack([found.anomaly_map for found in predictions]).numpy()
    masks = torch.stack([mask_at(sample, (SIDE, SIDE)) for sample in split.test]).numpy()
    scores = np.array([found.score for found in predictions])
    return {
        "num_labelled": count,
        "chosen_by": choice.by,
        "of_labels": len(split.labelled),
        "metrics": summary(maps, masks, scores, decided(predictions)),
        "false_alarms": detector.facts.false_alarms,
        "seconds": round(seconds[0], 1),
        "processor_seconds": round(seconds[1], 1),
    }


def cells(arguments: argparse.Namespace) -> Iterator[Row]:
    """The rows that are not in the file yet."""
    done = {
        (row["trial"], Choice(row["num_labelled"], row["chosen_by"])) for row in read_jsonl(arguments.out)
    }
    for seed in seeds_of(arguments.seeds):
        for category in find_categories(arguments.data):
            (trial,) = trials(category, "five-per-type", [seed])
            left = [choice for choice in choices_of(trial.split) if (trial.name, choice) not in done]
            if left:
                start = without_labels(trial, arguments.runs)
            for choice in left:
                found = measure(trial.split, start, choice, seed)
                yield trial.facts | found | {"threads": torch.get_num_threads(), "commit": commit()}


def table(whole: dict[str, Row]) -> Any:
    """Prints, for each number of labels, means over trials; with all labels, differences from `whole`."""

    def printed(rows: Sequence[Row]) -> str:
        lines = ["| labels | trials | " + " | ".join(SHOWN) + " |", "|---|---:|" + "---:|" * len(SHOWN)]
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            name = "all" if row["of_labels"] == row["num_labelled"] else str(row["num_labelled"])
            groups[name + NAMES[row["chosen_by"]]].append(row)
        for name, found in groups.items():
            means = [fmean(row["metrics"][metric] for row in found) for metric in SHOWN]
            lines.append(f"| {name} | {len(found)} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
        known = [row for row in groups["all"] if row["trial"] in whole]
        if len(known) > 1:
            lines.append(
                f"| all, minus a whole training | {len(known)} | "
                + " | ".join(_differences(known, whole))
                + " |"
            )
        return "\n".join(lines)

    return printed


def _differences(rows: Sequence[Row], whole: dict[str, Row]) -> Iterator[str]:
    for metric in SHOWN:
        found = [row["metrics"][metric] - whole[row["trial"]]["metrics"][metric] for row in rows]
        yield f"{fmean(found):+.3f} ± {2 * stdev(found) / len(found) ** 0.5:.3f}"


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="folder of the trainings without labels")
    parser.add_argument("--whole", type=Path, default=Path(__file__).parent / "results/verdict.jsonl")
    arguments = parser.parse_args()
    rows = {row["trial"]: row for row in read_jsonl(arguments.whole) if row["method"] == "flawtrace"}
    run(cells, table(rows), arguments, ("trial", "num_labelled", "chosen_by", "seconds"))


if __name__ == "__main__":
    main()
