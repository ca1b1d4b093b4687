"""What predictors that learnt without labels are worth beside many labels, and on types without any.

    python benchmarks/voices.py DATA... --runs refits/ -o benchmarks/results/voices.jsonl --seeds 43

A detector is trained on the normal images of each trial alone. Each defect type in turn is left out: the
detector is refitted to the labels of all others, with a predictor beside each member that learnt from
made-up defects alone. How much weight this one and the memory's own voice deserve is read from images of
training: labelled ones of the type left out (`unseen`), those of the other types in the member's fold
(`seen`), and normal ones in that fold. No test image is looked at. A finished row is never made again.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
from fits import last, without_labels
from jaxtyping import Float, Int
from rows import Row, arguments_of, run
from torch import Tensor

from flawtrace.cli.flags import seeds_of
from flawtrace.comparison.bench import find_categories
from flawtrace.data import Sample, Split
from flawtrace.data.pieces import mask_at, pieces, sources_of, worked_on
from flawtrace.data.protocols import trials
from flawtrace.detector import Detector
from flawtrace.detector.facts import commit
from flawtrace.ground.files import read_jsonl
from flawtrace.ground.groups import ALL_INPUTS
from flawtrace.measures.metrics import summary
from flawtrace.method import Blended, encode
from flawtrace.method.predictor import recalled
from flawtrace.pictures.images import read_image
from flawtrace.training.exam import deal, folds_of
from flawtrace.training.refitting import refit

EVEN = 0.0, 0.02, 0.05, 0.1, 0.2
WEIGHTS = (*((weight, weight) for weight in EVEN), (0.1, 0.0), (0.0, 0.1), (0.2, 0.0))
"""Of the second predictor, and of the memory's own voice."""
SHOWN = "pixel_f1_max", "pixel_ap", "pixel_aupro", "image_auroc"


def refitted(start: Detector, split: Split) -> Detector:
    """With a second predictor beside each member, and the finer memory that this one knows."""
    predictor = start.config.predictor.model_copy(
        update={"inputs": ALL_INPUTS, "self_supervised": 0.1, "recall": 0.1, "memory_side": 32}
    )
    start.config = start.config.model_copy(update={"predictor": predictor})
    start.facts = replace(start.facts, num_labelled=None)  # nothing of this follows from labels
    with tempfile.TemporaryDirectory() as folder:
        return last(refit(split, start, Path(folder) / "run"))


@torch.no_grad()
def voices(
    detector: Detector, samples: Sequence[Sample], members: Sequence[int], own: Int[Tensor, " n"]
) -> Float[Tensor, "3 n _h _w"]:
    """What each sample's member, its second predictor and the memory say of it; `own` numbers it in the
    memory, and is -1 where that does not know it.
    """
    found = []
    for sample, index, number in zip(samples, members, own, strict=True):
        picture = worked_on(read_image(sample.image), detector.config)[None]
        views = detector.reader.views(encode(detector.reader.encoder, picture), picture, number[None])
        member = detector.members[index]
        assert isinstance(member, Blended)
        parts = member.supervised.probabilities(views), member.self_supervised.probabilities(views)
        found.append(torch.stack([*parts, recalled(views.distances, picture.shape[2])])[:, 0])
    return torch.stack(found, dim=1)


def measured(detector: Detector, split: Split, unseen: Sequence[Sample]) -> Iterator[Row]:
    """Metrics of both kinds of defects at each of the weights."""
    config, members = detector.config, detector.config.predictor.members
    normal = pieces(split, config).normal
    sources = sources_of(normal)
    normal_folds, _ = deal(sources, config)
    shown = [row for row, fold in enumerate(normal_folds.tolist()) if fold < members]
    good = voices(detector, [normal[row] for row in shown], normal_folds[shown].tolist(), sources[shown])
    for kind, samples, judges in (
        ("unseen", unseen, [index % members for index in range(len(unseen))]),
        ("seen", split.labelled, folds_of(split.labelled, config.predictor.folds)),
    ):
        bad = voices(detector, samples, judges, torch.full((len(samples),), -1))
        said = torch.cat([good, bad], dim=1)
        size = said.shape[2], said.shape[3]
        masks = torch.stack([mask_at(sample, size) for sample in [*(normal[row] for row in shown), *samples]])
        for second, recall in WEIGHTS:
            weights = torch.tensor([1 - second - recall, second, recall])
            maps = torch.tensordot(weights, said, dims=1).numpy()
            metrics = summary(maps, masks.numpy(), maps.max(axis=(1, 2)), None)
            yield {"kind": kind, "second": second, "recall": recall, "metrics": metrics}


def cells(arguments: argparse.Namespace) -> Iterator[Row]:
    """The rows that are not in the file yet."""
    done = {(row["trial"], row["left_out"]) for row in read_jsonl(arguments.out)}
    for seed in seeds_of(arguments.seeds):
        for category in find_categories(arguments.data):
            (trial,) = trials(category, "five-per-type", [seed])
            types = list(dict.fromkeys(sample.defect_type for sample in trial.split.labelled))
            left = [one for one in types if (trial.name, one) not in done] if len(types) > 1 else []
            if left:
                start = without_labels(trial, arguments.runs)
            for left_out in left:
                known = tuple(one for one in trial.split.labelled if one.defect_type != left_out)
                split = replace(trial.split, labelled=known)
                unseen = [one for one in trial.split.labelled if one.defect_type == left_out]
                for row in list(measured(refitted(start, split), split, unseen)):  # all of a type, or none
                    yield trial.facts | row | {"left_out": left_out, "commit": commit()}


def table(rows: Sequence[Row]) -> str:
    """Means over products, of means over types, for each weight; and of each product."""
    lines = ["| kind | product | second | recall | " + " | ".join(SHOWN) + " |"]
    lines.append("|---|---|---:|---:|" + "---:|" * len(SHOWN))
    products = sorted({row["category"] for row in rows})
    for kind in ("unseen", "seen"):
        for product in (*products, "mean"):
            lines += [_line(rows, kind, product, weights, products) for weights in WEIGHTS]
    return "\n".join(lines)


def _line(
    rows: Sequence[Row], kind: str, product: str, weights: tuple[float, float], products: Sequence[str]
) -> str:
    """One line of the table."""
    chosen = [row for row in rows if row["kind"] == kind and (row["second"], row["recall"]) == weights]
    means = [
        fmean(
            fmean(row["metrics"][metric] for row in chosen if row["category"] == one)
            for one in (products if product == "mean" else [product])
        )
        for metric in SHOWN
    ]
    numbers = " | ".join(f"{mean:.3f}" for mean in means)
    return f"| {kind} | {product} | {weights[0]:g} | {weights[1]:g} | {numbers} |"


def main() -> None:
    parser = arguments_of(__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="folder of the trainings without labels")
    run(cells, table, parser.parse_args(), ("trial", "left_out", "kind", "second", "recall"))


if __name__ == "__main__":
    main()
