"""Which examples each predictor learns from in the last fit, and on which it is judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from flawtrace.augmentation import paste
from flawtrace.config import Config
from flawtrace.data import Sample, Split
from flawtrace.encoder import BATCH
from flawtrace.fitting import Examples, Lesson, folds, predict
from flawtrace.learner import derive, generator
from flawtrace.material import Material, Prepared, covered, encode
from flawtrace.metrics import Scores, best_threshold, summary
from flawtrace.predictor import Predictor, Views
from flawtrace.reader import Reader
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


@dataclass(frozen=True)
class Dealt:
    """Rows of normal images: some are shown to every predictor, others no predictor sees."""

    shown: Int[Tensor, " n"]
    kept: Int[Tensor, " m"]


def deal(material: Material, config: Config) -> Dealt:
    """By chance: as many are kept as there are labels, at most a quarter; a quarter to keep to a rate.

    Tiles of one image lie together, so that what is kept is hardly of images that are shown.
    """
    images = int(material.sources.max()) + 1 if len(material.sources) else 0
    drawn = torch.randperm(images, generator=generator(derive(config.seed, 5)))
    order = torch.argsort(torch.argsort(drawn)[material.sources], stable=True)
    num_shown = min(config.predictor.normal_images, material.num_normal // 2)
    num_kept = material.num_normal // 4
    if config.max_false_alarms is None:
        num_kept = min(num_kept, material.num_labelled)
    return Dealt(order[:num_shown], order[num_shown : num_shown + num_kept])


def learnt_reader(snapshots: Sequence[nn.Module], prepared: Prepared, config: Config) -> Reader:
    """A reader that knows what is normal from all normal images but those kept for judging."""
    reader = Reader(prepared.encoder, snapshots, config.grid, config.predictor.novelty_of)
    material = prepared.material
    kept = deal(material, config).kept
    others = torch.ones(material.num_normal, dtype=torch.bool).index_fill(0, kept, False)
    reader.learn_normal(material.canvases[: material.num_normal][others])
    return reader


def examine(reader: Reader, material: Material, split: Split, config: Config) -> Exam:
    """Views of all labelled images and copies, and of the normal images that the last fit needs."""
    dealt, side = deal(material, config), config.image_side
    normal = torch.cat([dealt.shown, dealt.kept])
    none = material.labelled_masks.new_zeros(len(normal), side, side)
    return Exam(
        _examples(reader, material.labelled, material.labelled_pictures, material.labelled_masks),
        _examples(reader, material.canvases[normal], material.pictures[normal], none),
        len(dealt.shown),
        folds_of(split.labelled, config.predictor.folds),
    )


def lesson(member: int, exam: Exam, reader: Reader, material: Material, config: Config) -> Lesson:
    """What a member learns from: labels, copies and pasted defects without its fold, and normal images."""
    rows = torch.tensor(material.with_copies(exam.seen(member)))
    labelled, normal = exam.labelled[rows], exam.normal[: exam.num_shown]
    if not config.predictor.pasted:
        return Lesson(labelled, normal, labelled[rows[:0]])
    onto = material.pictures[: material.num_normal] if not exam.num_shown else normal.views.pictures
    rng = generator(derive(config.seed, 7, member))
    pictures, masks = paste(
        labelled.views.pictures.cpu(), labelled.masks.cpu(), onto.cpu(), config.predictor.pasted, rng
    )
    device = material.canvases.device
    canvases = [encode(reader.encoder, images) for images in torch.split(pictures.to(device), BATCH)]
    pasted = _examples(reader, torch.cat(canvases), pictures.half().to(device), masks.to(device))
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


def normal_scores(members: Sequence[Predictor], exam: Exam) -> Scores:
    """Of the normal images that no member sees, by all members together: what the detector says of them."""
    kept = exam.normal[exam.num_shown :]
    if not len(kept):
        return np.zeros(0, np.float32)
    maps = torch.stack([predict(network, kept) for network in members]).mean(dim=0)
    scores: Scores = maps.amax(dim=(1, 2)).cpu().numpy()
    return scores


def folds_of(labelled: Sequence[Sample], count: int) -> list[int]:
    """The fold of each labelled sample; tiles of one image are in one fold."""
    type_of = {sample.image: str(sample.defect_type) for sample in labelled}
    fold_of = dict(zip(type_of, folds(list(type_of.values()), count), strict=True))
    return [fold_of[sample.image] for sample in labelled]


def _examples(reader: Reader, canvases: Canvases, pictures: Pictures, masks: Masks) -> Examples:
    batches = zip(torch.split(canvases, BATCH), torch.split(pictures, BATCH), strict=True)
    shown = [reader.views(*batch) for batch in batches]
    profiles = torch.cat([views.profiles for views in shown])
    novelties = torch.cat([views.novelties for views in shown])
    return Examples(Views(profiles, novelties, canvases, pictures), masks, covered(masks, canvases.shape[2]))
