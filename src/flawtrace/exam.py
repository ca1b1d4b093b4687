"""Which examples each predictor learns from in the last fit, and on which it is judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from flawtrace.augmentation import paste
from flawtrace.config import Config
from flawtrace.data import Split
from flawtrace.encoder import BATCH
from flawtrace.fitting import Examples, Lesson, folds, predict
from flawtrace.learner import derive, generator
from flawtrace.material import Material, Prepared, covered, encode
from flawtrace.metrics import best_threshold, summary
from flawtrace.predictor import Predictor, Views
from flawtrace.profile import loss_profiles
from flawtrace.shapes import Canvases, Masks, Pictures

VALIDATION = ("pixel_f1_max", "pixel_auroc", "pixel_ap", "pixel_aupro")
"""Scores on held-out images that a detector keeps."""


@dataclass(frozen=True)
class Exam:
    """Rows of the labelled examples (images, then copies) and of the normal ones, and what they are for."""

    labelled: Examples
    normal: Examples
    """Normal images: those shown to every member, then those kept for judging."""
    num_shown: int
    folds: list[int]
    """Of the labelled images: member i never sees fold i."""

    def held_out(self, member: int) -> list[int]:
        """Labelled images that the member never sees."""
        return [index for index, fold in enumerate(self.folds) if fold == member]

    def seen(self, member: int) -> list[int]:
        return [index for index, fold in enumerate(self.folds) if fold != member]

    def judging(self, member: int, members: int) -> list[Examples]:
        """What the member is judged on: its fold, and its part of the normal images that no member sees."""
        kept = range(self.num_shown + member, len(self.normal), members)
        parts = (self.labelled, self.held_out(member)), (self.normal, list(kept))
        return [examples[torch.tensor(rows)] for examples, rows in parts if rows]


def examine(snapshots: Sequence[nn.Module], material: Material, split: Split, config: Config) -> Exam:
    """Profiles of all labelled images and copies, and of the normal images that the last fit needs."""
    order = torch.randperm(material.num_normal, generator=generator(derive(config.seed, 5)))
    num_shown = min(config.predictor.normal_images, material.num_normal // 2)
    num_kept = min(material.num_labelled, material.num_normal // 4)
    normal, side = order[: num_shown + num_kept], config.image_side

    examples = partial(_examples, snapshots, material)
    none = material.labelled_masks.new_zeros(len(normal), side, side)
    return Exam(
        examples(material.labelled, material.labelled_pictures, material.labelled_masks),
        examples(material.canvases[normal], material.pictures[normal], none),
        num_shown,
        folds([str(sample.defect_type) for sample in split.labelled], config.predictor.folds),
    )


def lesson(
    member: int, exam: Exam, snapshots: Sequence[nn.Module], prepared: Prepared, config: Config
) -> Lesson:
    """What a member learns from: labels, copies and pasted defects without its fold, and normal images."""
    material = prepared.material
    rows = torch.tensor(material.with_copies(exam.seen(member)))
    labelled, normal = exam.labelled[rows], exam.normal[torch.arange(exam.num_shown)]
    if not config.predictor.pasted:
        return Lesson(labelled, normal, labelled[rows[:0]])
    onto = material.pictures[: material.num_normal] if not exam.num_shown else normal.views.pictures
    rng = generator(derive(config.seed, 7, member))
    pictures, masks = paste(
        labelled.views.pictures.cpu(), labelled.masks.cpu(), onto.cpu(), config.predictor.pasted, rng
    )
    device = material.canvases.device
    canvases = [encode(prepared.encoder, images) for images in torch.split(pictures.to(device), BATCH)]
    pasted = _examples(snapshots, material, torch.cat(canvases), pictures.half().to(device), masks.to(device))
    return Lesson(labelled, normal, pasted)


def judge(members: Sequence[Predictor], exam: Exam) -> tuple[float, dict[str, float]]:
    """The threshold of the best F1 on images that the judged member never saw, and the scores there."""
    maps: list[Tensor] = []
    masks: list[Tensor] = []
    for index, network in enumerate(members):
        for judged in exam.judging(index, len(members)):
            maps.append(predict(network, judged).cpu())
            masks.append(judged.masks.cpu())
    pooled, truth = torch.cat(maps).numpy(), torch.cat(masks).numpy()
    best = best_threshold(pooled, truth)
    assert best is not None, "no label shows a defect"
    scores = summary(pooled, truth, pooled.max(axis=(1, 2)), best[1])
    return best[1], {name: score for name in VALIDATION if (score := scores[name]) is not None}


def _examples(
    snapshots: Sequence[nn.Module], material: Material, canvases: Canvases, pictures: Pictures, masks: Masks
) -> Examples:
    profiles = loss_profiles(snapshots, canvases, material.scales)
    return Examples(Views(profiles, canvases, pictures), masks, covered(masks, canvases.shape[2]))
