"""What defects cost that hide among the normal images, and what setting them aside brings back.

    python benchmarks/hidden.py DATA... -o benchmarks/results/hidden.jsonl --seeds 42

So many per cent of the normal images of `five-per-type` are replaced by test images of defects, as in
`labels.py`. Sampler and autoencoder learn once from all of them. The last fit is then made with all (`kept`);
without those that look defective to members that never saw them (`set aside`, where any do); and without the
hidden defects themselves, which nobody knows in use (`oracle`). With `--no-labels` nothing is labelled, and
nothing set aside. All are tested on the same images. What is in the file is not made again.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from fits import ended, tested
from jaxtyping import Bool
from labels import Mistaken, mistaken
from rows import Row, arguments_of, run
from torch import Tensor, nn

from flawtrace.cli.flags import seeds_of
from flawtrace.comparison.bench import find_categories
from flawtrace.data import Split
from flawtrace.data.pieces import pieces
from flawtrace.data.protocols import trials
from flawtrace.ground.config import Config
from flawtrace.ground.devices import PROCESSOR
from flawtrace.ground.files import read_jsonl
from flawtrace.ground.presets import load_config
from flawtrace.method import Prepared, scout
from flawtrace.training.deciding import decided
from flawtrace.training.last_fit import Fitted, fit_last
from flawtrace.training.loop import fit_members, learn_together
from flawtrace.training.progress import Plan
from flawtrace.training.run import read_images
from flawtrace.training.study import Clock, Journal, Study

PERCENTS = (0, 2, 5, 10)
TREATMENTS = ("kept", "set aside", "oracle")
SHOWN = ("pixel_f1_max", "pixel_f1", "pixel_aupro", "image_auroc", "false_alarm_rate", "miss_rate")


@dataclass(frozen=True)
class Stage:
    """A training up to its last fit."""

    split: Split
    prepared: Prepared
    config: Config
    snapshots: list[nn.Module]
    study: Study
    journal: Journal
    plan: Plan

    @classmethod
    def reached(cls, split: Split, config: Config, run: Path) -> "Stage":
        split = pieces(split, config)
        plan = Plan.of(config, split)
        prepared = ended(read_images(split, config, plan, PROCESSOR))
        settled = config.predictor.settled(len(split.labelled))
        config = config.model_copy(update={"variation": prepared.variation, "predictor": settled})
        study = Study(prepared, scout(prepared.material, config), config, Clock())
        journal = Journal(run, study)
        for _ in learn_together(study, journal, plan):
            pass
        snapshots = list(study.cycle.history.snapshots(study.cycle.autoencoder.network))
        return cls(split, prepared, config, snapshots, study, journal, plan)

    def fitted(self, *, may_set_aside: bool, aside: Bool[Tensor, " n"] | None = None) -> Fitted:
        """The last fit, without the normal rows `aside`; members that learnt from the others are kept."""
        predictor = self.config.predictor.model_copy(update={"set_aside": may_set_aside})
        config = self.config.model_copy(update={"predictor": predictor})
        fit_all = partial(fit_members, self.study, self.journal, self.plan)
        return ended(fit_last(self.snapshots, self.prepared, self.split, config, fit_all, set_aside=aside))


def treated(stage: Stage, hidden: Bool[Tensor, " n"]) -> Iterator[tuple[str, Fitted]]:
    """The last fit under each treatment; each goes on from the members of the one before."""
    yield "kept", stage.fitted(may_set_aside=False)
    if stage.split.labelled:
        yield "set aside", stage.fitted(may_set_aside=True)
    if hidden.any():
        yield "oracle", stage.fitted(may_set_aside=False, aside=hidden)


def measured(stage: Stage, case: Mistaken) -> Iterator[Row]:
    """How the detectors that come of it do on the test images."""
    hidden = torch.tensor([sample.image in case.wrong for sample in stage.split.normal], dtype=torch.bool)
    for treatment, fitted in treated(stage, hidden):
        detector = decided(fitted, stage.prepared, stage.split, stage.config)
        aside = fitted.exam.set_aside
        yield {
            "treatment": treatment,
            "hidden": int(hidden.sum()),
            "aside": int(aside.sum()),
            "rightly": int((aside & hidden).sum()),
            **tested(detector, case.split),
        }


def cells(arguments: argparse.Namespace) -> Iterator[Row]:
    """The rows that are not in the file yet."""
    done = {(row["trial"], row["percent"], row["num_labelled"]) for row in read_jsonl(arguments.out)}
    for seed in seeds_of(arguments.seeds):
        for percent in arguments.percents:
            for category in find_categories(arguments.data):
                (trial,) = trials(category, "five-per-type", [seed])
                if not arguments.labels:
                    trial = replace(trial, split=replace(trial.split, labelled=()))
                if (trial.name, percent, len(trial.split.labelled)) in done:
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    kind = f"hidden-{percent}" if percent else "right"
                    case = mistaken(trial.split, kind, seed, Path(folder) / "masks")
                    stage = Stage.reached(case.split, load_config(settings={"seed": seed}), Path(folder))
                    for row in list(measured(stage, case)):
                        yield trial.facts | {"percent": percent} | row


def table(rows: list[Row]) -> str:
    """One line per category, percentage and treatment; means over seeds."""
    heads = ("category", "labels", "hidden", "treatment", "seeds", *SHOWN, "set aside", "rightly")
    lines = ["| " + " | ".join(heads) + " |", "|---|---:|---:|---|" + "---:|" * (len(heads) - 4)]
    groups: dict[tuple[str, int, int, int], list[Row]] = defaultdict(list)
    for row in rows:
        key = row["category"], row["num_labelled"], row["percent"], TREATMENTS.index(row["treatment"])
        groups[key].append(row)
    for (category, labels, percent, place), found in sorted(groups.items()):
        numbers = [f"{fmean(row['metrics'][name] for row in found):.3f}" for name in SHOWN]
        counts = [f"{fmean(row[name] for row in found):g}" for name in ("aside", "rightly")]
        words = [category, str(labels), f"{percent} %", TREATMENTS[place], str(len(found)), *numbers, *counts]
        lines.append("| " + " | ".join(words) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = arguments_of(__doc__)
    parser.add_argument("--no-labels", dest="labels", action="store_false", help="nothing is labelled")
    parser.add_argument("--percents", nargs="+", type=int, choices=PERCENTS, default=PERCENTS)
    shown = ("trial", "percent", "treatment", "hidden", "aside", "rightly", "metrics")
    run(cells, table, parser.parse_args(), shown=shown)
