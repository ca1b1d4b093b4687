"""What the predictor should see: the last fit of a finished run again, with other inputs.

    python benchmarks/inputs.py runs/grid-42 DATA/mvtec_ad/grid

Same images, labels, copies, snapshots, folds and steps; only `predictor.inputs` differs. Prints the score on
held-out labels, by which one may choose, beside the scores on the test images, by which one may not.
"""

import sys
from pathlib import Path

import torch

from flawtrace.data import Category, draw_split, read_category
from flawtrace.detector import Detector, Facts
from flawtrace.evaluation import evaluate
from flawtrace.exam import examine, judge
from flawtrace.fitting import Fit
from flawtrace.learner import derive
from flawtrace.material import Prepared, prepare


def refit(run: Path, category: Category, inputs: str) -> tuple[float, dict[str, float | None]]:
    """F1_max on held-out labels, and the metrics on the test images."""
    trained = Detector.load(run)
    seen = trained.config.predictor.model_copy(update={"inputs": inputs})
    config = trained.config.model_copy(update={"predictor": seen})
    split = draw_split(category, config.labels, config.seed)
    *_, prepared = prepare(split, trained.encoder, config.image_side, config.copies, derive(config.seed, 6))
    assert isinstance(prepared, Prepared)
    exam = examine(list(trained.snapshots), prepared.material, split, config)
    members = []
    for member, rows in enumerate(exam.learnt):
        fit = Fit(member, config, prepared.material)
        examples = exam.examples[torch.tensor(rows)]
        while not fit.over:
            fit.advance(examples)
        members.append(fit.learner.network)
    threshold, validation = judge(members, exam, prepared.material, config)
    facts = Facts(threshold, validation, prepared.digests, "", {})
    detector = Detector(config, facts, trained.encoder, list(trained.snapshots), members)
    return validation["pixel_f1_max"], evaluate(detector, category.samples).metrics


def main(run: Path, folder: Path) -> None:
    print("| inputs | F1_max on held-out labels | test F1_max | test AP | test AUROC | test AUPRO |")
    print("|---|---|---|---|---|---|")
    for inputs in ("profile", "canvas", "both"):
        validation, metrics = refit(run, read_category(folder), inputs)
        names = ("pixel_f1_max", "pixel_ap", "pixel_auroc", "pixel_aupro")
        numbers = [validation, *(metrics[name] for name in names)]
        print(f"| {inputs} | " + " | ".join(f"{number:.3f}" for number in numbers) + " |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
