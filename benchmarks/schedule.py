"""Under which schedule do the published parts find defects? One autoencoder's training, read in many ways.

    python benchmarks/schedule.py DATA... -o benchmarks/results/schedules.jsonl --seeds 42

Each reading of `schedule.toml` says how long the autoencoder learns, which of its states make the profile,
and how the predictor learns from that. Readings whose autoencoders learn alike share one, trained for the
longest of them: a shorter cycle is its beginning. Patches are taken by walkers that move at random, as in the
published script, and no cycle comes before, so that a reading costs minutes. Readings are compared by F1_max
on held-out labels; test images are shown beside it. `--bfloat16` multiplies in half precision, on processors
that can, which halves the time. What is in the file is not made again.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from statistics import fmean

import torch
from fits import ended, tested
from rows import Row, arguments_of, run
from torch import Tensor, nn

from flawtrace.cli.flags import seeds_of
from flawtrace.comparison.bench import find_categories
from flawtrace.comparison.methods import Method, chosen, read_methods
from flawtrace.data import Split
from flawtrace.data.pieces import pieces
from flawtrace.data.protocols import trials
from flawtrace.ground.config import Config
from flawtrace.ground.devices import PROCESSOR
from flawtrace.ground.files import read_jsonl
from flawtrace.ground.groups import PredictorConfig, ProfileConfig
from flawtrace.ground.learner import derive
from flawtrace.ground.shapes import Images
from flawtrace.method import Cycle, Prepared
from flawtrace.method import sampler as samplers
from flawtrace.training.deciding import decided
from flawtrace.training.last_fit import fit_last
from flawtrace.training.loop import fit_members
from flawtrace.training.progress import Plan
from flawtrace.training.run import read_images
from flawtrace.training.study import Clock, Journal, Study

SHOWN = ("pixel_f1_max", "pixel_ap", "pixel_auroc", "pixel_aupro", "image_auroc", "pixel_f1")


class Snapshot(nn.Module):
    """An autoencoder at one update, which reconstructs each canvas once however often it is read."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self._known: dict[bytes, Tensor] = {}

    def forward(self, canvases: Images) -> Images:
        names = [blake2b(canvas.contiguous().numpy().tobytes()).digest() for canvas in canvases]
        new = [place for place, name in enumerate(names) if name not in self._known]
        if new:
            for place, rebuilt in zip(new, self.network(canvases[new]), strict=True):
                self._known[names[place]] = rebuilt.half()
        return torch.stack([self._known[name] for name in names]).float() if names else canvases


@dataclass(frozen=True)
class Training:
    """What readings of one autoencoder share."""

    split: Split
    prepared: Prepared
    snapshots: dict[int, Snapshot]
    """By the number of updates before them."""

    @classmethod
    def of(cls, split: Split, readings: Sequence[Config]) -> "Training":
        """The autoencoder that all these readings look at."""
        longest = max(readings, key=lambda config: config.last_updates)
        split = pieces(split, longest)
        prepared = ended(read_images(split, longest, Plan.of(longest, split), PROCESSOR))
        wanted = {update for config in readings for update in config.observed(config.last_updates)}
        return cls(split, prepared, trained(prepared, longest, wanted))


def trained(prepared: Prepared, config: Config, wanted: set[int]) -> dict[int, Snapshot]:
    """One cycle of an autoencoder, kept as it was after each of the `wanted` updates."""
    material = prepared.material
    cycle = Cycle(material, torch.zeros_like(material.coverage), config)
    cycle.begin(derive(config.seed, 4, config.cycles), config.last_updates)
    crop = cycle.walkers.geometry.crop
    walk = samplers.of_settings(config, crop, PROCESSOR)
    network = cycle.autoencoder.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    kept = {}
    for update in range(1, config.last_updates + 1):
        cycle.reconstruct(walk.place(cycle.walkers, cycle.rng))
        if update in wanted:
            kept[update] = Snapshot(deepcopy(network))
    return kept


def measured(training: Training, config: Config, run_folder: Path) -> Row:
    """How the detector does that this reading makes."""
    started = time.process_time()
    prepared, split = training.prepared, training.split
    updates = config.observed(config.last_updates)[-config.profile.length :]
    config = config.model_copy(
        update={
            "variation": prepared.variation,
            "predictor": config.predictor.settled(len(split.labelled)),
        }
    )
    study = Study(prepared, torch.zeros_like(prepared.material.coverage), config, Clock())
    plan = Plan.of(config, split)
    fit_all = partial(fit_members, study, Journal(run_folder, study), plan)
    shown = [training.snapshots[update] for update in updates]
    detector = decided(ended(fit_last(shown, prepared, split, config, fit_all)), prepared, split, config)
    found = tested(detector, split)
    return {"updates": list(updates), **found, "seconds": round(time.process_time() - started, 1)}


def alike(config: Config) -> str:
    """Names all that decides how the autoencoder learns, but for how long."""
    anyhow = {"profile": ProfileConfig(), "predictor": PredictorConfig(), "last_updates": 1, "cell": 1}
    return config.model_copy(update=anyhow).model_dump_json()


def cells(arguments: argparse.Namespace) -> Iterator[Row]:
    """The rows that are not in the file yet."""
    if arguments.bfloat16:
        torch.backends.mkldnn.conv.fp32_precision = "bf16"  # type: ignore[attr-defined]
    methods = chosen(read_methods(arguments.readings), tuple(arguments.only))
    done = {(row["trial"], row["reading"], row["image_side"]) for row in read_jsonl(arguments.out)}
    for seed in seeds_of(arguments.seeds):
        for category in find_categories(arguments.data):
            (trial,) = trials(category, "five-per-type", [seed])
            open_: dict[str, list[tuple[Method, Config]]] = defaultdict(list)
            for method in methods:
                config = method.config(seed, labels=None)
                if (trial.name, method.name, config.image_side) not in done:
                    open_[alike(config)].append((method, config))
            for readings in open_.values():
                training = Training.of(trial.split, [config for _, config in readings])
                for method, config in readings:
                    with tempfile.TemporaryDirectory() as folder:
                        found = measured(training, config, Path(folder))
                    side = {"image_side": config.image_side, "bfloat16": arguments.bfloat16}
                    yield trial.facts | {"reading": method.name, **method.identity} | side | found


def table(rows: list[Row]) -> str:
    """One line per reading; means over the categories and seeds that it has."""
    heads = ("side", "reading", "cells", "held-out F1_max", *SHOWN)
    lines = ["| " + " | ".join(heads) + " |", "|---:|---|" + "---:|" * (len(heads) - 2)]
    groups: dict[tuple[int, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["image_side"], row["reading"]].append(row)
    for (side, reading), found in groups.items():
        held_out = fmean(row["validation"]["pixel_f1_max"] or 0.0 for row in found)
        numbers = [f"{fmean(row['metrics'][name] or 0.0 for row in found):.3f}" for name in SHOWN]
        words = [str(side), reading, str(len(found)), f"{held_out:.3f}", *numbers]
        lines.append("| " + " | ".join(words) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = arguments_of(__doc__)
    parser.add_argument("--readings", type=Path, default=Path(__file__).parent / "schedule.toml")
    parser.add_argument("--only", nargs="*", default=(), help="readings by name; all if none is given")
    parser.add_argument("--bfloat16", action="store_true", help="convolve in bfloat16 (AMX, AVX512-BF16)")
    run(cells, table, parser.parse_args(), shown=("trial", "reading", "metrics", "validation", "seconds"))
