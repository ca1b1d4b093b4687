"""What members say of images that they never saw: by it the detector's numbers are chosen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from flawtrace.detector import Calibration, Evidence, Judge, evidence
from flawtrace.ground.devices import batches
from flawtrace.ground.shapes import Canvases, ErrorMaps, Masks, PerImage
from flawtrace.method import Memory, Novelty, Predictor, Reader
from flawtrace.training.exam import Exam
from flawtrace.training.fitting import Examples

LEARNT_FROM = 100
"""Normal images, at most, from which what is normal is learnt for one fold."""


@dataclass(frozen=True)
class HeldOut:
    """Images as members see them that had not seen them before, and the truth."""

    maps: ErrorMaps
    """Calibrated."""
    masks: Masks
    evidence: Evidence
    scores: PerImage
    as_taken: Bool[Tensor, " b"]
    """False for normal images that were made to look as another day's camera might take them."""
    judged: bool = False
    """Whether the scores are a judge's, and not the maxima of the maps."""

    @property
    def anomalous(self) -> Bool[Tensor, " b"]:
        return self.masks.flatten(1).any(dim=1)


@dataclass(frozen=True)
class _Normality:
    """Novelty and memory of the normal images of other folds."""

    reader: Reader
    novelty: Novelty
    memory: Memory

    @classmethod
    def learnt(cls, reader: Reader, canvases: Canvases, sources: Int[Tensor, " n"]) -> "_Normality":
        """From some of these images; `sources` tell them apart."""
        channels, grid = canvases.shape[1], canvases.shape[2]
        novelty = Novelty(channels, grid).to(canvases.device)
        memory = Memory(channels, grid).to(canvases.device)
        every = -(-len(canvases) // LEARNT_FROM)
        reader.fit_novelty(novelty, canvases[::every])
        reader.fit_memory(memory, canvases[::every], sources[::every])
        return cls(reader, novelty, memory)


@torch.no_grad()
def judged(
    members: Sequence[Predictor], exam: Exam, reader: Reader, score: str
) -> tuple[HeldOut, Judge, Calibration]:
    """Each member on its own fold of labels and normal images; who weighs what it says, and what that means.

    For each fold, what is normal is learnt without it as well, so that novelty and memory are those of images
    that are new to them.
    """
    found = list(_seen(members, exam, reader))
    maps, masks, pieces, as_taken = (torch.cat(part).cpu() for part in zip(*found, strict=True))
    judge, calibration = Judge(), Calibration()
    calibration.fit(maps, masks)
    maps = torch.cat([calibration(some) for some in batches(maps)])
    held_out = HeldOut(maps, masks, pieces, maps.amax(dim=(1, 2)), as_taken)
    anomalous = held_out.anomalous
    if score == "maximum" or anomalous.all():
        return held_out, judge, calibration
    judge.fit(pieces[~anomalous], pieces[anomalous])
    return replace(held_out, scores=judge(pieces), judged=True), judge, calibration


def _seen(
    members: Sequence[Predictor], exam: Exam, reader: Reader
) -> Iterator[tuple[ErrorMaps, Masks, Evidence, Bool[Tensor, " b"]]]:
    for index, member in enumerate(members):
        others = exam.normal_folds != index
        known = others if others.any() else ~others
        normality = _Normality.learnt(reader, exam.normal.views.canvases[known], exam.sources[known])
        labelled = torch.tensor(exam.held_out(index), dtype=torch.long)
        for seen in _by(member, normality, exam.labelled, labelled):
            yield *seen, torch.ones(len(seen[0]), dtype=torch.bool)
        unseen = exam.unseen(index)
        parts = zip(_by(member, normality, exam.normal, unseen), batches(unseen), strict=False)
        for seen, rows in parts:
            yield *seen, exam.as_taken[rows]


def _by(
    member: Predictor, normality: _Normality, examples: Examples, rows: Int[Tensor, " n"]
) -> Iterator[tuple[ErrorMaps, Masks, Evidence]]:
    member.eval()
    for some in batches(rows):
        if not len(some):
            continue
        chosen = examples[some]
        novelties = normality.reader.novelties(normality.novelty, chosen.views.canvases)
        distances = normality.reader.distances(normality.memory, chosen.views.canvases)
        maps = member.probabilities(replace(chosen.views, novelties=novelties, distances=distances))
        yield maps, chosen.masks, evidence(maps, novelties, distances)
