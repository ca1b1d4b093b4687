"""The last fit as a whole: all members; and once more without the normal images that look defective to them.

Nobody's normal folder is clean. What predictors are shown as normal they learn as normal, and a judge that
takes defects for normal images lets others pass. Members judge images that they never saw, as labels are
cleaned by models that did not learn from them (Northcutt et al. 2021, arXiv 1911.00068).
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

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

SURE = 0.9
"""Share of the labelled defects that the judge finds, from which on it is trusted with normal images too."""
FEW = 0.01
"""Share of the normal images below which members hardly learn from them, and are not fitted again."""
ROUNDS = 3
"""Last fits at most: what is set aside lets others be seen, that were taught as normal beside it."""


@runtime_checkable
class FitAll(Protocol):
    """Fits all members to what a reader shows."""

    def __call__(self, exam: Exam, reader: Reader, *, again: int) -> Generator[Event, None, list[Predictor]]:
        """`again` says how often that was done before, with rows that are set aside by now."""


@dataclass(frozen=True)
class Fitted:
    """Members, what they learnt from, and what they say of what they never saw."""

    members: list[Predictor]
    reader: Reader
    exam: Exam
    judgement: Judgement

    def judged_without(self, set_aside: Bool[Tensor, " n"], config: Config) -> "Fitted":
        """The same members, judged on others than these normal rows."""
        if set_aside.equal(self.exam.set_aside):
            return self
        exam = replace(self.exam, set_aside=set_aside)
        return replace(self, exam=exam, judgement=judged(self.members, exam, self.reader, config))


def fit_last(
    snapshots: Sequence[nn.Module],
    prepared: Prepared,
    split: Split,
    config: Config,
    fit_all: FitAll,
    *,
    set_aside: Bool[Tensor, " n"] | None = None,
    rounds: int = ROUNDS,
    before: Mapping[int, int] | None = None,
) -> Generator[Event, None, Fitted]:
    """Fit all members, and again without the normal rows that look defective, as long as these are more
    than a few. Without few, only the numbers are chosen again.

    `set_aside` are those that an earlier sitting found, if it did, and `rounds` those that are left. Normal
    images, by their numbers, stay in the folds in which they were `before`.
    """
    aside = torch.zeros(prepared.material.num_normal, dtype=torch.bool) if set_aside is None else set_aside
    while True:
        reader = learnt_reader(snapshots, prepared, config, aside)
        exam = examine(reader, prepared.material, split, config, aside, before=before)
        members = yield from fit_all(exam, reader, again=ROUNDS - rounds)
        fitted, rounds = Fitted(members, reader, exam, judged(members, exam, reader, config)), rounds - 1
        if not config.predictor.set_aside:
            return fitted
        aside = without_hidden(fitted, prepared, split, config)
        if not rounds or (aside & ~exam.set_aside).sum() < FEW * len(aside):
            return fitted.judged_without(aside, config)
        del reader, exam, members, fitted  # before the next ones are made: they hold views of all images


def without_hidden(fitted: Fitted, prepared: Prepared, split: Split, config: Config) -> Bool[Tensor, " n"]:
    """Normal rows to set aside: those that are already, and others that look defective to the member that
    never saw them, as they were taken.

    Where there would be too many, nothing is added.
    """
    known = fitted.exam.set_aside
    found = _confirmed(hidden(fitted.judgement.held_out, len(known)), fitted, prepared, split, config)
    return known | found if (known | found).sum() <= MOST * len(known) else known


def _confirmed(
    found: Bool[Tensor, " n"], fitted: Fitted, prepared: Prepared, split: Split, config: Config
) -> Bool[Tensor, " n"]:
    """Those that look defective as they were taken, too, where they were learnt as another day's."""
    exam, reader = fitted.exam, fitted.reader
    rows = (found & ~exam.as_taken).nonzero()[:, 0]
    if not len(rows):
        return found
    shown = as_they_are(rows, reader, prepared.material, split, config)
    scores = scored(rows, shown, fitted.members, fitted.judgement, exam.normal_folds)
    return found.index_put((rows,), scores >= EVEN_ODDS)


def hidden(held_out: HeldOut, num_normal: int) -> Bool[Tensor, " num_normal"]:
    """Normal rows that are DEFECT at even odds; none where labels are few, or the judge misses defects."""
    found, defective = torch.zeros(num_normal, dtype=torch.bool), held_out.scores >= EVEN_ODDS
    known = held_out.anomalous
    if held_out.judged and not held_out.few and defective[known].float().mean() >= SURE:
        found[held_out.rows[held_out.normal & defective]] = True
    return found
