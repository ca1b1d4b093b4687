"""What members say of images that they never saw: by it the detector's numbers are chosen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeAlias

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from flawtrace.detector import FALSE_ALARMS, Calibration, Evidence, Judge, evidence
from flawtrace.ground.config import Config
from flawtrace.ground.devices import batches
from flawtrace.ground.shapes import ErrorMaps, Masks, PerImage
from flawtrace.method import Memory, Novelty, Predictor, Reader
from flawtrace.training.exam import Exam
from flawtrace.training.fitting import Examples

LEARNT_FROM = 100
"""Normal images, at most, from which what is normal is learnt for one fold."""


class Kind(IntEnum):
    """What is known of a held-out image."""

    NORMAL = 0
    OTHER_DAY = 1
    """Normal, and made to look as another day's camera might take it."""
    LABELLED = 2
    """With a defect and its mask."""
    UNMASKED = 3
    """With a defect, and nobody said where."""
    MADE_UP = 4
    """Normal, with made-up defects and their mask: where labels are few."""
    SET_ASIDE = 5
    """Given as normal, and learnt from by nobody, because it looks defective; as it was taken."""


@dataclass(frozen=True)
class HeldOut:
    """Images as members see them that had not seen them before, and the truth."""

    maps: ErrorMaps
    """Calibrated."""
    masks: Masks
    evidence: Evidence
    scores: PerImage
    kinds: Int[Tensor, " b"]
    rows: Int[Tensor, " b"]
    """Of each image among the exam's examples of its kind."""
    judged: bool = False
    """Whether the scores are a judge's, and not the maxima of the maps."""
    few: bool = False
    """Whether labels are too few to judge by alone."""

    def of(self, *kinds: Kind) -> Bool[Tensor, " b"]:
        """Which images are of one of these kinds."""
        return torch.isin(self.kinds, torch.tensor(kinds))

    @property
    def as_taken(self) -> Bool[Tensor, " b"]:
        """Normal images, as they are."""
        return self.of(Kind.NORMAL)

    @property
    def normal(self) -> Bool[Tensor, " b"]:
        return self.of(Kind.NORMAL, Kind.OTHER_DAY)

    @property
    def given_as_normal(self) -> Bool[Tensor, " b"]:
        """Normal images as they are, and those that are set aside: if these are good parts, it is an error
        to call them defective.
        """
        return self.of(Kind.NORMAL, Kind.SET_ASIDE)

    @property
    def anomalous(self) -> Bool[Tensor, " b"]:
        """Images of real defects."""
        return self.of(Kind.LABELLED, Kind.UNMASKED)


@dataclass(frozen=True)
class Normality:
    """Novelty and memory of the normal images of other folds."""

    reader: Reader
    novelty: Novelty
    memory: Memory

    @classmethod
    def without(cls, fold: int, exam: Exam, reader: Reader) -> "Normality":
        """From some of all images but those of this fold and those that are set aside."""
        others = (exam.normal_folds != fold) & ~exam.set_aside
        rows = (others if others.any() else ~exam.set_aside).nonzero()[:, 0]
        rows = rows[:: -(-len(rows) // LEARNT_FROM)]
        canvases = exam.normal.views.canvases[rows]
        novelty = Novelty(canvases.shape[1], canvases.shape[2]).to(canvases.device)
        memory = reader.memory.anew()
        reader.fit_novelty(novelty, canvases)
        reader.fit_memory(memory, canvases, exam.sources[rows])
        return cls(reader, novelty, memory)


@dataclass(frozen=True)
class Judgement:
    """What members say of images that they never saw, and what that means."""

    held_out: HeldOut
    judge: Judge
    calibration: Calibration
    normalities: list[Normality]
    """Of each member: what is normal without its fold."""


@torch.no_grad()
def judged(members: Sequence[Predictor], exam: Exam, reader: Reader, config: Config) -> Judgement:
    """Each member on its own fold of labels and normal images; who weighs what it says, and what that means.

    For each fold, what is normal is learnt without it as well, so that novelty and memory are those of images
    that are new to them. Without a defect image the judge keeps to a rate of false alarms. Where labels are
    few, maps are calibrated on made-up defects too: a single label is held out by a member that learnt from
    none, and says nothing of the others.
    """
    normalities = [Normality.without(fold, exam, reader) for fold in range(len(members))]
    found = list(_seen(members, normalities, exam))
    maps, masks, pieces, kinds, rows = (torch.cat(part).cpu() for part in zip(*found, strict=True))
    judge, calibration = Judge(), Calibration()
    known = (kinds != Kind.UNMASKED) & (kinds != Kind.SET_ASIDE)
    calibration.fit(maps[known], masks[known])
    maps = torch.cat([calibration(some) for some in batches(maps)])
    held_out = HeldOut(maps, masks, pieces, maps.amax(dim=(1, 2)), kinds, rows, few=exam.few)
    if config.score == "maximum" or not held_out.normal.any():
        return Judgement(held_out, judge, calibration, normalities)
    normal, anomalous = pieces[held_out.normal], pieces[held_out.anomalous]
    if len(anomalous):
        judge.fit(normal, anomalous)
    else:
        rate = config.max_false_alarms if config.max_false_alarms is not None else FALSE_ALARMS
        judge.fit_normal(normal, held_out.as_taken[held_out.normal], rate)
    held_out = replace(held_out, scores=judge(pieces), judged=True)
    return Judgement(held_out, judge, calibration, normalities)


@torch.no_grad()
def scored(
    rows: Int[Tensor, " b"],
    shown: Examples,
    members: Sequence[Predictor],
    judgement: Judgement,
    normal_folds: Int[Tensor, " n"],
) -> PerImage:
    """Scores of these normal rows, `shown` in another way, each by the member that never saw it; 0 where all
    of them did.
    """
    scores = torch.zeros(len(rows))
    for index, member in enumerate(members):
        unseen = (normal_folds[rows] == index).nonzero()[:, 0]
        if len(unseen):
            _, _, pieces = _by(member, judgement.normalities[index], shown[unseen])
            scores[unseen] = judgement.judge(pieces.cpu())
    return scores


Seen: TypeAlias = tuple[ErrorMaps, Masks, Evidence, Int[Tensor, " b"], Int[Tensor, " b"]]


def _seen(members: Sequence[Predictor], normalities: Sequence[Normality], exam: Exam) -> Iterator[Seen]:
    """What each member says of images that it has not seen: maps, masks, evidence, kinds and rows."""
    for index, (member, normality) in enumerate(zip(members, normalities, strict=True)):
        normal_kinds = torch.where(exam.as_taken, int(Kind.NORMAL), int(Kind.OTHER_DAY))
        normal_kinds[exam.set_aside] = int(Kind.SET_ASIDE)
        normal = exam.unseen(index)
        normal = normal[exam.as_taken[normal] | ~exam.set_aside[normal]]
        for examples, rows, kinds in (
            (exam.labelled, exam.held_out(index), Kind.LABELLED),
            (exam.unmasked, torch.arange(len(exam.unmasked))[index :: len(members)], Kind.UNMASKED),
            (exam.made_up, exam.held_out_made_up(index), Kind.MADE_UP),
            (exam.normal, normal, normal_kinds),
        ):
            for some in batches(torch.as_tensor(rows, dtype=torch.long)) if len(rows) else ():
                kind = kinds[some] if isinstance(kinds, Tensor) else torch.full((len(some),), int(kinds))
                yield *_by(member, normality, examples[some]), kind, some


def _by(member: Predictor, normality: Normality, chosen: Examples) -> tuple[ErrorMaps, Masks, Evidence]:
    """Maps, masks and evidence; a map says nothing of ignored pixels."""
    novelties = normality.reader.novelties(normality.novelty, chosen.views.canvases)
    distances = normality.reader.distances(normality.memory, chosen.views.canvases)
    maps = member.eval().probabilities(replace(chosen.views, novelties=novelties, distances=distances))
    pieces = evidence(maps, novelties, distances)
    if chosen.ignored is not None:
        maps = maps.masked_fill(chosen.ignored, 0)
    return maps, chosen.masks, pieces
