"""What the history says as a whole: verdicts per day, errors that people found, and what has moved."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from statistics import median

import numpy as np
from scipy.stats import mannwhitneyu
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from flawtrace.detector import VERDICTS, Errors
from flawtrace.station.store.tables import EntryRow, ImageRow, now

RECENT = 200
"""Verdicts, the last of a detector, that are compared with its training."""
FEWEST = 20
"""Verdicts below which nothing is said about drift."""
OUTSIDE = 0.1
"""Share of images outside of the range of the training from which on a trait has moved."""
CHANCE = 0.001
"""Probability below which a difference between scores is no chance."""


@dataclass(frozen=True)
class Day:
    """Verdicts of detectors on one day, as the clock of this machine has it."""

    date: date
    verdicts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.verdicts.values())


@dataclass(frozen=True)
class Mistakes:
    """What people found wrong, among all verdicts of detectors in the same time."""

    escapes: int
    """OK that should have been DEFECT."""
    overkill: int
    """DEFECT that should have been OK."""
    settled: int
    """UNSURE that a person decided."""
    verdicts: int


@dataclass(frozen=True)
class Moved:
    """One trait of recent images beside those of training."""

    name: str
    middle: float
    """Median of the recent images."""
    low: float
    high: float
    """Range among training images."""
    outside: float
    """Share of the recent images outside of it."""

    @property
    def moved(self) -> bool:
        return self.outside > OUTSIDE


@dataclass(frozen=True)
class Drift:
    """How recent images differ from those that the detector was trained on."""

    images: int
    traits: tuple[Moved, ...]
    scores_higher: bool
    """Whether recent scores are higher than those of held-out normal images by more than chance explains."""
    usual: float | None
    """Median score of held-out normal images."""
    recent: float | None
    """The same of recent images that were not called DEFECT."""

    @property
    def enough(self) -> bool:
        return self.images >= FEWEST

    @property
    def moved(self) -> list[str]:
        return [trait.name for trait in self.traits if trait.moved]


def per_day(session: Session, days: int = 14) -> list[Day]:
    """The last days, those without a verdict as well."""
    query = select(EntryRow.moment, EntryRow.verdict).where(
        EntryRow.who == "", EntryRow.moment >= beginning(days)
    )
    found: dict[date, Counter[str]] = defaultdict(Counter)
    for moment, verdict in session.execute(query):
        found[moment.astimezone().date()][verdict] += 1
    dates = [beginning(days).date() + timedelta(days=ahead) for ahead in range(days)]
    return [Day(one, {verdict: found[one][verdict] for verdict in VERDICTS}) for one in dates]


def beginning(days: int) -> datetime:
    """The midnight, by this machine's clock, with which so many days began, today among them."""
    first = now().astimezone().date() - timedelta(days=days - 1)
    return datetime.combine(first, time()).astimezone()


def per_type(session: Session) -> dict[str, int]:
    """Images labelled as each defect type."""
    rows = session.scalars(select(ImageRow.defect_type).where(ImageRow.kind == "defect"))
    return dict(sorted(Counter(map(str, rows)).items()))


def mistakes(session: Session, days: int = 14) -> Mistakes:
    """Escapes and overkill of the last days, from what people overruled."""
    since, said = beginning(days), aliased(EntryRow)
    overruled = session.execute(
        select(said.verdict, EntryRow.verdict)
        .join(said, said.id == EntryRow.overrules)
        .where(EntryRow.who != "", said.who == "", EntryRow.moment >= since)
    )
    pairs = Counter((before, after) for before, after in overruled)
    verdicts = session.scalar(
        select(func.count()).select_from(EntryRow).where(EntryRow.who == "", EntryRow.moment >= since)
    )
    settled = pairs["UNSURE", "OK"] + pairs["UNSURE", "DEFECT"]
    return Mistakes(pairs["OK", "DEFECT"], pairs["DEFECT", "OK"], settled, verdicts or 0)


def drift(
    session: Session,
    detector: int,
    familiar: Mapping[str, tuple[float, float]],
    normal: Sequence[float],
) -> Drift:
    """Of the last verdicts of a detector, against the ranges of its training images' traits, and the scores
    of its held-out normal images (Mann and Whitney 1947).
    """
    rows = session.execute(
        select(EntryRow.traits, EntryRow.score, EntryRow.verdict)
        .where(EntryRow.detector == detector, EntryRow.who == "")
        .order_by(EntryRow.id.desc())
        .limit(RECENT)
    ).all()
    seen = [json.loads(traits) for traits, _, _ in rows]
    scores = [float(score) for _, score, verdict in rows if verdict != "DEFECT" and score is not None]
    higher = bool(
        len(scores) >= FEWEST
        and len(normal)
        and mannwhitneyu(scores, normal, alternative="greater").pvalue < CHANCE
    )
    return Drift(
        images=len(rows),
        traits=tuple(_moved(name, [one[name] for one in seen], *familiar[name]) for name in familiar if seen),
        scores_higher=higher,
        usual=median(normal) if normal else None,
        recent=median(scores) if scores else None,
    )


def rate(mistakes_made: int, verdicts: int) -> tuple[float, float]:
    """The interval of a rate, as `Errors` has it."""
    return Errors(mistakes_made, verdicts).interval


def _moved(name: str, values: Sequence[float], low: float, high: float) -> Moved:
    found = np.array(values)
    slack = 1e-6 + 0.05 * (high - low)
    outside = float(((found < low - slack) | (found > high + slack)).mean())
    return Moved(name, float(np.median(found)), low, high, outside)
