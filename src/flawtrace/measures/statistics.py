"""From the rows of a bench to means with intervals, and to paired differences between methods.

A row is one method on one trial: its metrics, and the same metrics on resamples of the trial's test images
(`replicates`). Seeds are drawn with replacement, and with each draw one resample of the images, so an
interval says how far chance moves a mean that both choices enter. A seed with several trials (one per
left-out type) counts once, as the mean over them. Replicates are moved to the mean of the metric that they
belong to, because a resample flatters whatever takes a maximum. With two to five seeds an interval of
percentiles is somewhat too narrow; with one seed it covers the images alone.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np
from jaxtyping import Float

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Sequence[Row]
Drawn: TypeAlias = Float[np.ndarray, " draws"]

DRAWS = 2000
PERCENTILES = 2.5, 97.5

MEAN = "mean"
"""What the mean over categories is called beside their names."""
COSTS = ("seconds", "predict_seconds", "peak_memory_mb")
KEPT = "f1_kept"
"""The share of `pixel_f1_max` that is left at the stored threshold."""
VALIDATION = "validation."
"""Before a metric's name: its value on held-out training labels."""


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % interval; the bounds are NaN where nothing says how far chance moves it."""

    mean: float
    low: float
    high: float
    num: int
    """Seeds; of a mean over categories, the fewest that any of them has."""

    @property
    def bounded(self) -> bool:
        return not math.isnan(self.low)

    @property
    def images_only(self) -> bool:
        """One seed: the interval says nothing of how the result depends on seeds."""
        return self.num < 2


@dataclass(frozen=True)
class Difference(Estimate):
    """A mean of differences between two methods, on the trials that both have."""

    pairs: int
    """Trials."""

    @property
    def exceeds_zero(self) -> bool:
        return self.low > 0

    @property
    def falls_below_zero(self) -> bool:
        return self.high < 0


@dataclass(frozen=True)
class Measured:
    """A metric on the test images, and on resamples of them (none if they were not stored)."""

    value: float
    resampled: Float[np.ndarray, " r"]


@dataclass(frozen=True)
class Sampled:
    """A category's mean, and the same over drawn seeds and images."""

    mean: float
    drawn: Drawn
    num: int
    """Seeds."""
    trials: int


@dataclass(frozen=True)
class Section:
    """The rows that may be compared with each other: one protocol, one number of labels per type."""

    name: str
    protocol: str
    labels: int | None
    rows: Rows

    @property
    def methods(self) -> list[str]:
        """In the order of the file."""
        return list(grouped(self.rows, "method"))

    @property
    def categories(self) -> list[str]:
        return sorted(grouped(self.rows, "category"))

    @property
    def seeds(self) -> list[int]:
        return sorted(grouped(self.rows, "seed"))

    def of(self, method: str, category: str) -> list[Row]:
        return [row for row in self.rows if (row["method"], row["category"]) == (method, category)]

    def groups(self, method: str) -> list[list[Row]]:
        """The method's rows in each of the categories."""
        return [self.of(method, category) for category in self.categories]

    def estimates(self, method: str, metric: str) -> dict[str, Estimate | None]:
        """Of each category, and of their mean."""
        parts = {category: _sampled(self.of(method, category), metric) for category in self.categories}
        each = {category: _estimated([part]) for category, part in parts.items()}
        return {**each, MEAN: _estimated(parts.values())}

    def differences(self, method: str, reference: str, metric: str) -> dict[str, Difference | None]:
        """`method` minus `reference` in each category, and the mean of that."""
        parts = {
            category: _sampled_differences(self.of(method, category), self.of(reference, category), metric)
            for category in self.categories
        }
        each = {category: _difference([part]) for category, part in parts.items()}
        return {**each, MEAN: _difference(parts.values())}


def estimate(rows: Rows, metric: str) -> Estimate | None:
    """Mean over the rows of one method in one category; `None` if none of them has the metric."""
    return across([rows], metric)


def across(groups: Iterable[Rows], metric: str) -> Estimate | None:
    """Mean over categories, each a group of rows; one that has no number does not enter."""
    return _estimated([_sampled(rows, metric) for rows in groups])


def paired(rows: Rows, reference: Rows, metric: str) -> Difference | None:
    """Mean of `rows` minus `reference`, trial by trial, in one category; `None` without a common trial."""
    return paired_across([(rows, reference)], metric)


def paired_across(groups: Iterable[tuple[Rows, Rows]], metric: str) -> Difference | None:
    """Mean over categories of what `paired` takes; one without a common trial does not enter."""
    return _difference([_sampled_differences(*pair, metric) for pair in groups])


def labels_curve(rows: Rows, metric: str) -> dict[int, Estimate]:
    """One method in one category by number of labels per type, lowest first, wherever it has the metric."""
    numbers = grouped((row for row in rows if row["labels"] is not None), "labels")
    curve = {number: estimate(group, metric) for number, group in sorted(numbers.items())}
    return {number: found for number, found in curve.items() if found is not None}


def sections(rows: Iterable[Row]) -> list[Section]:
    """By protocol, and by number of labels where a protocol has several."""
    found = []
    for protocol, group in grouped(rows, "protocol").items():
        numbers = grouped(group, "labels")
        for labels, part in sorted(numbers.items(), key=lambda item: item[0] or 0):
            name = (
                protocol if len(numbers) == 1 else f"{protocol}, {labels} label{'s'[: labels != 1]} per type"
            )
            found.append(Section(name, protocol, labels, part))
    return found


def grouped(rows: Iterable[Row], key: str) -> dict[Any, list[Row]]:
    """Rows by what they hold under `key`, in the order of its first appearance."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups


def of_type(rows: Iterable[Row], defect_type: str) -> list[Row]:
    """The rows as if the defect images of one type, with all normal ones, had been the test set.

    Replicates are of the whole test set and stay behind: intervals of these rows cover the seeds alone.
    """
    return [
        {**row, "metrics": row["per_type"][defect_type], "replicates": {}}
        for row in rows
        if defect_type in row.get("per_type", {})
    ]


def value(row: Row, name: str) -> float | None:
    """A metric, `validation.` and a metric, `f1_kept`, or a cost; `None` if the row does not have it."""
    if name == KEPT:
        at_threshold, best = value(row, "pixel_f1"), value(row, "pixel_f1_max")
        return at_threshold / best if at_threshold is not None and best else None
    if name.startswith(VALIDATION):
        return _number(row.get("validation"), name.removeprefix(VALIDATION))
    return _number(row if name in COSTS else row.get("metrics"), name)


def _number(holder: Row | None, name: str) -> float | None:
    number = (holder or {}).get(name)
    return None if number is None else float(number)


def _measured(row: Row, metric: str) -> Measured | None:
    found = value(row, metric)
    return None if found is None else Measured(found, _resampled(row.get("replicates") or {}, metric))


def _resampled(replicates: Mapping[str, Sequence[float]], metric: str) -> Float[np.ndarray, " r"]:
    """Empty for what was not stored."""
    if metric == KEPT:
        at_threshold, best = _resampled(replicates, "pixel_f1"), _resampled(replicates, "pixel_f1_max")
        paired = len(at_threshold) == len(best) and best.all()
        return at_threshold / best if paired else np.zeros(0)
    return np.array(replicates.get(metric) or [], dtype=float)


def _sampled(rows: Rows, metric: str) -> Sampled | None:
    """Of one method in one category."""
    return _bootstrapped([(row, found) for row in rows if (found := _measured(row, metric))])


def _sampled_differences(rows: Rows, reference: Rows, metric: str) -> Sampled | None:
    """Of two methods in one category, resample by resample, on the trials that both have."""
    of_trial = {row["trial"]: _measured(row, metric) for row in reference}
    pairs = [(row, _measured(row, metric), of_trial.get(row["trial"])) for row in rows]
    return _bootstrapped(
        [(row, _combined([ours, theirs], [1.0, -1.0])) for row, ours, theirs in pairs if ours and theirs]
    )


def _bootstrapped(trials: Sequence[tuple[Row, Measured]]) -> Sampled | None:
    """The trials of one category; a category's random numbers are its own, and the same for all methods."""
    if not trials:
        return None
    seeds = _seeds(trials)
    rng = np.random.default_rng(crc32(str(trials[0][0]["category"]).encode("utf-8", "surrogateescape")))
    mean = float(np.mean([seed.value for seed in seeds]))
    return Sampled(mean, _bootstrap(seeds, rng), num=len(seeds), trials=len(trials))


def _seeds(trials: Iterable[tuple[Row, Measured]]) -> list[Measured]:
    """One for each seed: the mean over its trials."""
    seeds: dict[int, list[Measured]] = defaultdict(list)
    for row, found in trials:
        seeds[row["seed"]].append(found)
    return [_combined(parts, [1 / len(parts)] * len(parts)) for parts in seeds.values()]


def _combined(parts: Sequence[Measured], weights: Sequence[float]) -> Measured:
    """A weighted sum, resample by resample, as far as all parts have them."""
    common = min(len(part.resampled) for part in parts)
    return Measured(
        value=sum(weight * part.value for part, weight in zip(parts, weights, strict=True)),
        resampled=np.array(weights, dtype=float) @ np.stack([part.resampled[:common] for part in parts]),
    )


def _difference(categories: Iterable[Sampled | None]) -> Difference | None:
    known = [part for part in categories if part]
    found = _estimated(known)
    if found is None:
        return None
    return Difference(found.mean, found.low, found.high, found.num, sum(part.trials for part in known))


def _estimated(categories: Iterable[Sampled | None]) -> Estimate | None:
    """Mean over those categories that there are; `None` if there are none."""
    known = [part for part in categories if part]
    if not known:
        return None
    drawn = np.mean([part.drawn for part in known], axis=0)
    low, high = (float(bound) for bound in np.percentile(drawn, PERCENTILES))
    mean = float(np.mean([part.mean for part in known]))
    return Estimate(mean, low, high, num=min(part.num for part in known))


def _bootstrap(seeds: Sequence[Measured], rng: np.random.Generator) -> Drawn:
    """Means over drawn seeds, on one resample of the images; NaN if there is neither to draw from.

    The resample has the same number for all seeds, because seeds of a category test on largely the same
    images and their resamples are alike (`replicates.draws`). Each resample is taken equally often.
    """
    values, common = np.array([seed.value for seed in seeds]), min(len(seed.resampled) for seed in seeds)
    chosen = rng.integers(len(seeds), size=(DRAWS, len(seeds)))
    if common == 0:
        return values[chosen].mean(axis=1) if len(seeds) > 1 else np.full(DRAWS, np.nan)
    resampled = np.stack([seed.resampled[:common] for seed in seeds])
    around = values[:, None] + resampled - resampled.mean(axis=1, keepdims=True)
    resample = rng.permutation(np.arange(DRAWS) % common)
    drawn: Drawn = around[chosen, resample[:, None]].mean(axis=1)
    return drawn
