"""What wrong labels cost, and whether training points at them.

    python benchmarks/labels.py DATA/mvtec_ad/screw DATA/mpdd/metal_plate -o benchmarks/results/labels.jsonl

One training for each kind of mistake, on the split of `five-per-type`: a tenth of the masks (at least two)
exchanged with each other; all masks shifted by 8 pixels; defect images left among the normal ones, as many as
1, 5 or 10 % of these. The hidden defect images are taken from the test images, the same ones for every kind,
so that all are tested on the same rest. `named` counts wrong labels among the suspects that training names,
`blamed` right ones. A finished cell is never run again.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from rows import arguments_of, run

from flawtrace.cli.flags import seeds_of
from flawtrace.comparison.bench import find_categories
from flawtrace.comparison.cell import looked
from flawtrace.comparison.desk import SIDE
from flawtrace.data.pieces import mask_at
from flawtrace.data.protocols import trials
from flawtrace.data.samples import Sample, Split
from flawtrace.detector.facts import commit
from flawtrace.ground.devices import ready
from flawtrace.ground.files import read_jsonl
from flawtrace.ground.learner import derive
from flawtrace.ground.presets import load_config
from flawtrace.measures import decided
from flawtrace.measures.metrics import summary
from flawtrace.pictures.images import write_mask
from flawtrace.pictures.mask_files import read_mask
from flawtrace.training.run import Trained, train

KINDS = ("right", "exchanged", "shifted", "hidden-1", "hidden-5", "hidden-10")
SHIFT = 8
"""Pixels, right and down."""
MOST_HIDDEN = 0.1
"""Share of the normal images."""


@dataclass(frozen=True)
class Mistaken:
    """A split with mistakes, and the images whose label is wrong."""

    split: Split
    wrong: frozenset[Path]


def mistaken(split: Split, kind: str, seed: int, folder: Path) -> Mistaken:
    """The split with one kind of mistake; masks that had to be changed are written to `folder`."""
    rng = np.random.default_rng(derive(seed, 12))
    defective = [sample for sample in split.test if sample.anomalous]
    most = min(round(MOST_HIDDEN * len(split.normal)), len(defective) // 2)
    order = rng.permutation(len(defective))
    taken = [defective[index] for index in order[:most]]
    split = replace(split, test=tuple(sample for sample in split.test if sample not in taken))
    name, _, percent = kind.partition("-")
    if name == "hidden":
        hidden = taken[: max(1, round(int(percent) / 100 * len(split.normal)))]
        normal = (*split.normal, *(Sample(sample.image) for sample in hidden))
        return Mistaken(replace(split, normal=normal), frozenset(sample.image for sample in hidden))
    if name == "exchanged":
        return _relabelled(split, _exchanged(split.labelled, rng), folder)
    return _relabelled(split, _shifted(split.labelled) if name == "shifted" else {}, folder)


def _exchanged(labelled: Sequence[Sample], rng: np.random.Generator) -> dict[int, torch.Tensor]:
    """Some masks, each that of the next among them."""
    rows = rng.permutation(len(labelled))[: max(2, round(0.1 * len(labelled)))].tolist()
    masks = [_mask(labelled[row]) for row in rows]
    return dict(zip(rows, masks[1:] + masks[:1], strict=True))


def _shifted(labelled: Sequence[Sample]) -> dict[int, torch.Tensor]:
    """All masks, moved; what leaves the image is lost, and where nothing is left the mask stays."""
    moved = {}
    for row, sample in enumerate(labelled):
        mask = _mask(sample)
        shifted = torch.zeros_like(mask)
        shifted[SHIFT:, SHIFT:] = mask[:-SHIFT, :-SHIFT]
        moved[row] = shifted if shifted.any() else mask
    return moved


def _relabelled(split: Split, masks: dict[int, torch.Tensor], folder: Path) -> Mistaken:
    labelled = list(split.labelled)
    for row, mask in masks.items():
        file = folder / f"{row}_mask.png"
        write_mask(file, mask)
        labelled[row] = replace(labelled[row], mask=file)
    wrong = frozenset(labelled[row].image for row in masks)
    return Mistaken(replace(split, labelled=tuple(labelled)), wrong)


def _mask(sample: Sample) -> torch.Tensor:
    assert sample.mask is not None, f"{sample.image} is labelled and has no mask"
    return read_mask(sample.mask)


def measure(split: Split, kind: str, seed: int, device: torch.device) -> dict[str, Any]:
    """Train on the mistaken split; scores on the test images, and who was suspected."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case = mistaken(split, kind, seed, folder / "masks")
        *_, trained = train(case.split, load_config(settings={"seed": seed}), folder / "run", device=device)
    assert isinstance(trained, Trained)
    predictions, _ = looked(trained.detector, case.split.test)
    maps = torch.stack([found.anomaly_map for found in predictions]).numpy()
    scores = np.array([found.score for found in predictions])
    masks = torch.stack([mask_at(sample, (SIDE, SIDE)) for sample in case.split.test]).numpy()
    accused = {Path(suspect["file"]) for suspect in trained.summary["suspects"]}
    return {
        "metrics": summary(maps, masks, scores, decided(predictions)),
        "validation": trained.detector.facts.validation,
        "false_alarms": trained.summary["false_alarms"],
        "warnings": len(trained.summary["warnings"]),
        "wrong": len(case.wrong),
        "named": len(accused & case.wrong),
        "blamed": len(accused - case.wrong),
    }


def cells(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows that are not in the file yet."""
    done = {(row["trial"], row["kind"]) for row in read_jsonl(arguments.out)}
    for seed in seeds_of(arguments.seeds):
        for category in find_categories(arguments.data):
            (trial,) = trials(category, "five-per-type", [seed])
            for kind in arguments.kinds:
                if (trial.name, kind) not in done:
                    found = measure(trial.split, kind, seed, ready(arguments.device))
                    yield trial.facts | {"kind": kind, **found, "commit": commit()}


def table(rows: list[dict[str, Any]]) -> str:
    """One line per category and kind, means over seeds."""
    heads = (
        "category",
        "labels",
        "F1_max",
        "F1",
        "AP",
        "image AUROC",
        "held-out F1",
        "wrong",
        "named",
        "blamed",
    )
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * 8]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["category"], row["kind"]].append(row)
    for (category, kind), found in sorted(
        groups.items(), key=lambda item: (item[0][0], KINDS.index(item[0][1]))
    ):
        scores = [
            fmean(row["metrics"][name] for row in found)
            for name in ("pixel_f1_max", "pixel_f1", "pixel_ap", "image_auroc")
        ]
        scores.append(fmean(row["validation"]["pixel_f1"] for row in found))
        counts = [fmean(row[name] for row in found) for name in ("wrong", "named", "blamed")]
        numbers = [f"{score:.3f}" for score in scores] + [f"{count:g}" for count in counts]
        lines.append(f"| {category} | {kind} | " + " | ".join(numbers) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = arguments_of(__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--device", default="cpu", help="where training computes")
    run(cells, table, parser.parse_args(), shown=("trial", "kind", "metrics", "wrong", "named", "blamed"))
