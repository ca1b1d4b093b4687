"""Which examples each predictor learns from in the last fit, and on which it is judged."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from flawtrace.data import Sample, Split
from flawtrace.ground.config import Config
from flawtrace.ground.devices import batches
from flawtrace.ground.learner import derive, generator
from flawtrace.ground.shapes import Canvases, Masks, Pictures
from flawtrace.measures import metrics
from flawtrace.method import Material, Predictor, Prepared, Reader, Views, covered, encode
from flawtrace.pictures.augmentation import paste
from flawtrace.training.fitting import Examples, Lesson, folds, predict

VALIDATION = ("pixel_f1_max", "pixel_f1", "pixel_auroc", "pixel_ap", "pixel_aupro")
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


def deal(sources: Int[Tensor, " n"], num_labelled: int, config: Config) -> Dealt:
    """By chance: as many are kept as there are labels, at most a quarter; a quarter to keep to a rate.

    `sources` numbers the image of each row. Of tiles, none is kept whose image is shown, and those that are
    kept come from as many images as there are.
    """
    images = int(sources.max()) + 1 if len(sources) else 0
    drawn = torch.argsort(torch.randperm(images, generator=generator(derive(config.seed, 5))))
    mixed = torch.randperm(len(sources), generator=generator(derive(config.seed, 11)))
    order = mixed[torch.argsort(drawn[sources[mixed]], stable=True)]
    shown = order[: min(config.predictor.normal_images, len(sources) // 2)]
    if images > 1:  # of the last image none is shown, so that some can be kept
        shown = shown[sources[shown] != sources[order[-1]]]
    rest = order[~torch.isin(sources[order], sources[shown])]
    num_kept = len(sources) // 4
    if config.max_false_alarms is None:
        num_kept = min(num_kept, num_labelled)
    return Dealt(shown, rest[torch.argsort(_turns(sources[rest]), stable=True)][:num_kept])


def not_kept(material: Material, config: Config) -> Bool[Tensor, " normal"]:
    """Which normal rows may be learnt from: no kept one, and no tile of its image if there are others."""
    sources = material.sources
    kept = deal(sources, material.num_labelled, config).kept
    others = ~torch.isin(sources, sources[kept])
    return others if others.any() else torch.ones_like(others).index_fill(0, kept, False)


def learnt_reader(snapshots: Sequence[nn.Module], prepared: Prepared, config: Config) -> Reader:
    """A reader that knows what is normal from all normal images but those kept for judging."""
    material = prepared.material
    reader = Reader(prepared.encoder, snapshots, config.grid, config.predictor.novelty_of)
    reader.to(material.canvases.device)
    reader.learn_normal(material.canvases[: material.num_normal][not_kept(material, config)])
    return reader


def examine(reader: Reader, material: Material, split: Split, config: Config) -> Exam:
    """Views of all labelled images and copies, and of the normal images that the last fit needs."""
    dealt, side = deal(material.sources, material.num_labelled, config), config.image_side
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
    onto = normal.views.pictures
    if not exam.num_shown:
        onto = material.pictures[: material.num_normal][not_kept(material, config)]
    rng = generator(derive(config.seed, 7, member))
    pictures, masks = paste(
        labelled.views.pictures.cpu(), labelled.masks.cpu(), onto.cpu(), config.predictor.pasted, rng
    )
    device = material.canvases.device
    canvases = [encode(reader.encoder, images) for images in batches(pictures.to(device))]
    pasted = _examples(reader, torch.cat(canvases), pictures.half().to(device), masks.to(device))
    return Lesson(labelled, normal, pasted)


@dataclass(frozen=True)
class Judgement:
    """What members say of images that they never saw, and the truth."""

    maps: metrics.Maps
    masks: metrics.Masks

    @property
    def threshold(self) -> float:
        """Of the best F1."""
        best = metrics.best_threshold(self.maps, self.masks)
        assert best is not None, "no label shows a defect"
        return best[1]

    def scores(self, threshold: float) -> dict[str, float]:
        """With `found`, the share of the defective images that reach the threshold."""
        highest = self.maps.max(axis=(1, 2))
        scores = metrics.summary(self.maps, self.masks, highest, threshold)
        found = float((highest >= threshold)[self.masks.any(axis=(1, 2))].mean())
        return {name: score for name in VALIDATION if (score := scores[name]) is not None} | {"found": found}


def judge(members: Sequence[Predictor], exam: Exam) -> Judgement:
    """Each member judges its own fold, and its own part of the normal images that were kept."""
    maps: list[Tensor] = []
    masks: list[Tensor] = []
    for index, network in enumerate(members):
        for judged in exam.judging(index, len(members)):
            maps.append(predict(network, judged).cpu())
            masks.append(judged.masks.cpu())
    return Judgement(torch.cat(maps).numpy(), torch.cat(masks).numpy())


def normal_scores(members: Sequence[Predictor], exam: Exam) -> metrics.Scores:
    """Of the normal images that no member sees, by all members together: what the detector says of them."""
    kept = exam.normal[exam.num_shown :]
    if not len(kept):
        return np.zeros(0, np.float32)
    maps = torch.stack([predict(network, kept) for network in members]).mean(dim=0)
    scores: metrics.Scores = maps.amax(dim=(1, 2)).cpu().numpy()
    return scores


def folds_of(labelled: Sequence[Sample], count: int) -> list[int]:
    """The fold of each labelled sample; tiles of one image are in one fold."""
    type_of = {sample.image: str(sample.defect_type) for sample in labelled}
    fold_of = dict(zip(type_of, folds(list(type_of.values()), count), strict=True))
    return [fold_of[sample.image] for sample in labelled]


def _turns(sources: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """How many rows of the same image came before each row.

    >>> _turns(torch.tensor([7, 7, 2, 7])).tolist()
    [0, 1, 0, 2]
    """
    seen: dict[int, int] = defaultdict(int)
    turns = []
    for source in sources.tolist():
        turns.append(seen[source])
        seen[source] += 1
    return torch.tensor(turns, dtype=torch.long)


def _examples(reader: Reader, canvases: Canvases, pictures: Pictures, masks: Masks) -> Examples:
    shown = [reader.views(*batch) for batch in zip(batches(canvases), batches(pictures), strict=True)]
    profiles = torch.cat([views.profiles for views in shown])
    novelties = torch.cat([views.novelties for views in shown])
    return Examples(Views(profiles, novelties, canvases, pictures), masks, covered(masks, canvases.shape[2]))
