"""Means with intervals over the choice of seeds and test images, by the bootstrap; paired differences too."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from zlib import crc32

import numpy as np
from jaxtyping import Float

from flawtrace.measures.rows import Measured, Row, Rows, measured

Drawn: TypeAlias = Float[np.ndarray, " draws"]
DRAWS = 2000
PERCENTILES = 2.5, 97.5


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
class Sampled:
    """A category's mean, and the same over drawn seeds and images."""

    mean: float
    drawn: Drawn
    num: int
    """Seeds."""
    trials: int


def sampled(rows: Rows, metric: str) -> Sampled | None:
    """Of one method in one category."""
    return bootstrapped([(row, found) for row in rows if (found := measured(row, metric))])


def sampled_differences(rows: Rows, reference: Rows, metric: str) -> Sampled | None:
    """Of two methods in one category, resample by resample, on the trials that both have."""
    of_trial = {row["trial"]: measured(row, metric) for row in reference}
    pairs = [(row, measured(row, metric), of_trial.get(row["trial"])) for row in rows]
    return bootstrapped(
        [(row, _combined([ours, theirs], [1.0, -1.0])) for row, ours, theirs in pairs if ours and theirs]
    )


def bootstrapped(trials: Sequence[tuple[Row, Measured]]) -> Sampled | None:
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


def difference(categories: Iterable[Sampled | None]) -> Difference | None:
    known = [part for part in categories if part]
    found = estimated(known)
    if found is None:
        return None
    return Difference(found.mean, found.low, found.high, found.num, sum(part.trials for part in known))


def estimated(categories: Iterable[Sampled | None]) -> Estimate | None:
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
