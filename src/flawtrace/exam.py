"""Which examples each predictor learns from in the last fit, and on which it is judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from flawtrace.config import Config
from flawtrace.data import Split
from flawtrace.detector import resized
from flawtrace.fitting import Examples, folds, predict
from flawtrace.learner import derive, generator
from flawtrace.material import Material
from flawtrace.metrics import best_threshold, pixel_ap, pixel_auroc
from flawtrace.predictor import Compact, Published
from flawtrace.profile import loss_profiles


@dataclass(frozen=True)
class Exam:
    """Examples of the last fit, row by row: whose they are, and what they are for."""

    examples: Examples
    learnt: list[list[int]]
    """Rows that each member learns from."""
    held_out: list[list[int]]
    """Rows of the labelled images that each member never sees."""
    normal: list[list[int]]
    """Rows of normal images that no member sees, divided among them."""


def examine(snapshots: Sequence[nn.Module], material: Material, split: Split, config: Config) -> Exam:
    """Profiles of all labelled images and copies, then of the normal images that the last fit needs."""
    members, num_labelled = config.predictor.members, len(material.labelled)
    order = torch.randperm(material.num_normal, generator=generator(derive(config.seed, 5)))
    num_shown = min(config.predictor.normal_images, material.num_normal // 2)
    num_kept = min(material.num_labelled, material.num_normal // 4)
    normal = material.normal[order[: num_shown + num_kept]]
    canvases = torch.cat([material.labelled, normal])
    none = material.labelled_coverage.new_zeros(len(normal), *material.labelled_coverage.shape[1:])
    examples = Examples(
        loss_profiles(snapshots, canvases, material.scales),
        canvases,
        torch.cat([material.labelled_coverage, none]),
    )
    fold = folds([str(sample.defect_type) for sample in split.labelled], config.predictor.folds)
    shown = list(range(num_labelled, num_labelled + num_shown))
    kept = list(range(num_labelled + num_shown, len(canvases)))
    seen = [[i for i, f in enumerate(fold) if f != member] for member in range(members)]
    return Exam(
        examples,
        learnt=[material.with_copies(images) + shown for images in seen],
        held_out=[[i for i, f in enumerate(fold) if f == member] for member in range(members)],
        normal=[kept[member::members] for member in range(members)],
    )


def judge(
    members: Sequence[Published | Compact], exam: Exam, material: Material, config: Config
) -> tuple[float, dict[str, float]]:
    """The threshold of the best F1 on images that the judged member never saw, and the scores there."""
    side = config.image_side
    maps, masks = [], []
    for network, labelled, normal in zip(members, exam.held_out, exam.normal, strict=True):
        coarse = predict(network, exam.examples[torch.tensor(labelled + normal)])
        maps.append(resized(coarse, side, side).cpu())
        masks.append(torch.cat([material.masks[labelled], torch.zeros(len(normal), side, side).bool()]))
    pooled, truth = torch.cat(maps).numpy(), torch.cat(masks).numpy()
    best, auroc, ap = best_threshold(pooled, truth), pixel_auroc(pooled, truth), pixel_ap(pooled, truth)
    assert best is not None and auroc is not None and ap is not None, "no label shows a defect"
    f1, threshold = best
    return threshold, {"pixel_f1_max": f1, "pixel_auroc": auroc, "pixel_ap": ap}
