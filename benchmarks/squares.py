"""Who should choose the squares on which the predictor trains: chance, a policy, or a rule that sees masks?

    python benchmarks/squares.py DATA... -o benchmarks/results/squares.jsonl --seeds 42-44

`choosers.py` says who there is. All train on 32 squares of 64 pixels per step, one predictor, its fold left
out. A finished cell is never run again; the table at the end is over all rows.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from choosers import Chooser, chosen_by, cross_entropies, trained
from rows import arguments_of, run

from flawtrace.cli.flags import seeds_of
from flawtrace.comparison.bench import find_categories
from flawtrace.comparison.cell import answered, circumstances, looked, results
from flawtrace.comparison.desk import Desk
from flawtrace.comparison.formats import to_markdown
from flawtrace.comparison.tables import summary_tables
from flawtrace.data.protocols import Trial, trials
from flawtrace.detector.artefact import Detector
from flawtrace.detector.facts import Facts
from flawtrace.ground.config import Config
from flawtrace.ground.files import read_jsonl
from flawtrace.ground.learner import derive
from flawtrace.ground.presets import load_config
from flawtrace.method.cycle import Cycle
from flawtrace.method.material import Prepared
from flawtrace.method.reader import Reader
from flawtrace.pictures.turns import turned_back
from flawtrace.training.exam import Exam, examine, learnt_reader, lesson
from flawtrace.training.fitting import Fit, Lesson
from flawtrace.training.judging import judged
from flawtrace.training.thresholds import chosen, validation

CHOOSERS = (
    *("uniform", "random-walk", "hardness", "progress", "selecting"),
    *("taught", "picked", "rationed", "balanced"),
)
SETTINGS: dict[str, Any] = {
    "orientations": 1,
    "predictor.batch": 32,
    "predictor.crop_side": 64,
    "predictor.members": 1,
    "policy.lr": 2e-3,
    "policy.minibatch": 128,
    "policy.discount": 0.8,
    "policy.entropy_weight": 0.01,
}


@dataclass(frozen=True)
class Stage:
    """What all choosers of a trial share."""

    trial: Trial
    desk: Desk
    config: Config
    prepared: Prepared
    reader: Reader
    exam: Exam
    learnt: Lesson


def staged(desk: Desk, steps: int) -> Stage:
    """Images, one uniform cycle of the autoencoder, and what the first predictor learns from."""
    trial = desk.trial
    config = load_config(settings=SETTINGS | {"seed": trial.seed, "predictor.steps": steps})
    prepared = desk.encoded(config).prepared
    material = prepared.material
    cycle = Cycle(material, torch.zeros_like(material.coverage), config)
    cycle.begin(derive(config.seed, 4, config.cycles), config.last_updates)
    observed = config.observed(config.last_updates)
    for update in range(1, config.last_updates + 1):
        cycle.reconstruct(cycle.walkers.anywhere(cycle.rng))
        if update in observed:
            cycle.history.observe(cycle.autoencoder.network, material.labelled[:1])
    snapshots = cycle.history.snapshots(cycle.autoencoder.network)
    nobody = torch.zeros(material.num_normal, dtype=torch.bool)
    reader = learnt_reader(snapshots, prepared, config, nobody)
    exam = examine(reader, material, trial.split, config, nobody)
    return Stage(trial, desk, config, prepared, reader, exam, lesson(0, exam, reader, material, config))


def measure(stage: Stage, kind: str) -> dict[str, Any]:
    """Fit one predictor on squares that `kind` chooses; scores on held-out labels and on the test images."""
    config, started = stage.config, time.process_time()
    fit = Fit(0, config, stage.prepared.material)
    chooser = chosen_by(kind, fit, stage.learnt, config, stage.prepared.material)
    shares = [step(fit, chooser, index, config) for index in range(config.predictor.steps)]
    network = fit.finish(stage.learnt)
    seconds = time.process_time() - started
    judgement = judged([network], stage.exam, stage.reader, config)
    numbers = chosen(judgement.held_out, config)
    facts = Facts(numbers.outline, {}, (), "", {}, decision=numbers.beside_outline)
    detector = Detector(
        config,
        facts,
        stage.reader,
        [network],
        judge=judgement.judge,
        calibration=judgement.calibration,
    )
    predictions, _ = looked(detector, stage.desk.trial.split.test)
    quarters = torch.tensor(shares).chunk(4)
    answer = answered(predictions, numbers, validation(judgement.held_out, numbers))
    return results(stage.desk, answer) | {
        "defective_squares": [round(float(quarter.mean()), 3) for quarter in quarters],
        "seconds": round(seconds, 1),
    }


def step(fit: Fit, chooser: Chooser, index: int, config: Config) -> float:
    """One step of the predictor; returns the share of its squares that show a defect."""
    batch = chooser.draw()
    before, turned, way = trained(fit, batch, index, config)
    with torch.no_grad():
        later = fit.learner.network.train()(turned.views)
    after = turned_back(cross_entropies(later, turned.masks), way)
    chooser.credit(before, after, index / config.predictor.steps)
    return float(batch.masks.flatten(1).any(dim=1).float().mean())


def cells(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows that are not in the file yet."""
    done = {(row["trial"], row["method"]) for row in read_jsonl(arguments.out)}
    for seed in seeds_of(arguments.seeds):
        for category in find_categories(arguments.data):
            (trial,) = trials(category, "five-per-type", [seed])
            left = [kind for kind in arguments.choosers if (trial.name, kind) not in done]
            stage = staged(Desk(trial, arguments.out.parent), arguments.steps) if left else None
            for kind in left:
                assert stage is not None
                row = {"method": kind, "settings": {"steps": arguments.steps}, **measure(stage, kind)}
                yield trial.facts | row | circumstances()


def table(rows: list[dict[str, Any]]) -> str:
    """Differences to uniform squares, and the squares with a defect in each quarter of the fit."""
    tables = summary_tables(rows, "uniform")
    lines = ["| category | squares chosen by | with a defect, by quarter | seeds |", "|---|---|---|---|"]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["category"], row["method"]].append(row)
    for (category, kind), found in sorted(groups.items()):
        quarters = zip(*(row["defective_squares"] for row in found), strict=True)
        shares = ", ".join(f"{fmean(quarter):.2f}" for quarter in quarters)
        lines.append(f"| {category} | {kind} | {shares} | {len(found)} |")
    return to_markdown(tables) + "\n".join(lines)


if __name__ == "__main__":
    parser = arguments_of(__doc__)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--choosers", nargs="+", choices=CHOOSERS, default=CHOOSERS)
    run(cells, table, parser.parse_args(), shown=("trial", "method", "metrics", "defective_squares"))
