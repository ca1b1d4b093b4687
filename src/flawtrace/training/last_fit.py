"""The last fit as a whole: all members; and once more without the normal images that look defective to them.

Nobody's normal folder is clean. What predictors are shown as normal they learn as normal, and a judge that
takes defects for normal images lets others pass. Members judge images that they never saw, as labels are
cleaned by models that did not learn from them (Northcutt et al. 2021, arXiv 1911.00068).
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from flawtrace.data import Split
from flawtrace.detector import EVEN_ODDS
from flawtrace.ground.config import Config
from flawtrace.method import Predictor, Prepared, Reader
from flawtrace.training.exam import Exam, as_they_are, examine, learnt_reader
from flawtrace.training.judging import HeldOut, Judgement, judged, scored
from flawtrace.training.progress import Event

MOST = 0.15
"""Share of the normal images that can be set aside: where more look defective, the members are in doubt, and
not the images."""

FitAll = Callable[[Exam, Reader], Generator[Event, None, list[Predictor]]]
"""Fits all members to what a reader shows."""


@dataclass(frozen=True)
class Fitted:
    """Members, what they learnt from, and what they say of what they never saw."""

    members: list[Predictor]
    reader: Reader
    exam: Exam
    judgement: Judgement


def fit_last(
    snapshots: Sequence[nn.Module],
    prepared: Prepared,
    split: Split,
    config: Config,
    fit_all: FitAll,
    *,
    set_aside: Bool[Tensor, " n"] | None = None,
) -> Generator[Event, None, Fitted]:
    """Fit all members, and again without the normal rows that look defective, if there are any.

    `set_aside` are those that an earlier sitting found, if it did.
    """
    aside = torch.zeros(prepared.material.num_normal, dtype=torch.bool) if set_aside is None else set_aside
    while True:
        reader = learnt_reader(snapshots, prepared, config, aside)
        exam = examine(reader, prepared.material, split, config, aside)
        members = yield from fit_all(exam, reader)
        fitted = Fitted(members, reader, exam, judged(members, exam, reader, config))
        if aside.any() or not config.predictor.set_aside:
            return fitted
        aside = hidden_defects(fitted, prepared, split, config)
        if not aside.any():
            return fitted
        del reader, exam, members, fitted  # before the next ones are made: they hold views of all images


def hidden_defects(fitted: Fitted, prepared: Prepared, split: Split, config: Config) -> Bool[Tensor, " n"]:
    """Normal rows that look defective to members that never saw them, and as their images were taken."""
    found = hidden(fitted.judgement.held_out, len(fitted.exam.normal))
    return _confirmed(found, fitted, prepared, split, config)


def _confirmed(
    found: Bool[Tensor, " n"], fitted: Fitted, prepared: Prepared, split: Split, config: Config
) -> Bool[Tensor, " n"]:
    """Those that look defective as they were taken, too, where they were learnt as another day's."""
    exam, reader = fitted.exam, fitted.reader
    rows = (found & ~exam.as_taken).nonzero()[:, 0]
    if not len(rows):
        return found
    shown = as_they_are(rows, reader, prepared.material, split, config)
    scores = scored(rows, shown, fitted.members, exam=exam, reader=reader, judge=fitted.judgement.judge)
    return found.index_put((rows,), scores >= EVEN_ODDS)


def hidden(held_out: HeldOut, num_normal: int) -> Bool[Tensor, " num_normal"]:
    """Normal rows that are DEFECT at even odds to the member that never saw them.

    None where no image of a defect has told what defects look like, and where they would be too many.
    """
    found = torch.zeros(num_normal, dtype=torch.bool)
    if held_out.judged and held_out.anomalous.any():
        found[held_out.rows[held_out.normal & (held_out.scores >= EVEN_ODDS)]] = True
    return found if found.sum() <= MOST * num_normal else torch.zeros_like(found)
