"""How often a detector calls a normal part defective, and the threshold that keeps to a rate."""

from dataclasses import dataclass
from math import floor
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.special import bdtrc, betaincinv

Scores: TypeAlias = Float[np.ndarray, " n"]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Errors:
    """So many of so many images got the wrong verdict: false alarms of normal ones, misses of others."""

    alarms: int
    images: int

    @property
    def interval(self) -> tuple[float, float]:
        """The rates that are compatible with this, at 95 % (Clopper and Pearson 1934).

        It holds as well where the threshold was raised on these very images (`quietest`): the rate at the
        threshold above the k + 1 highest of n scores follows Beta(k + 1, n - k) (Wilks 1941), of which
        `high` is the 97.5 % quantile, and `low` is below the 2.5 % one.

        >>> [round(rate, 3) for rate in Errors(0, 25).interval]
        [0.0, 0.137]
        """
        tail = (1 - CONFIDENCE) / 2
        quiet = self.images - self.alarms
        low = betaincinv(self.alarms, quiet + 1, tail) if self.alarms else 0.0
        high = betaincinv(self.alarms + 1, quiet, 1 - tail) if quiet else 1.0
        return float(low), float(high)

    def to_json(self) -> dict[str, Any]:
        """Rates are per normal image."""
        low, high = self.interval
        return {"alarms": self.alarms, "images": self.images, "low": round(low, 4), "high": round(high, 4)}


def quietest(scores: Scores, rate: float) -> float:
    """The least threshold that at most `rate` of the scores of normal images reach.

    >>> float(quietest(np.array([0.125, 0.5, 0.25, 0.375]), rate=0.25)) > 0.375
    True
    """
    allowed = floor(rate * len(scores))
    if allowed >= len(scores):
        return 0.0
    return above(float(np.sort(scores)[::-1][allowed]))


def above(score: float) -> float:
    """The next number up in single precision, in which exported graphs have their thresholds.

    >>> above(0.25) > 0.25, above(0.25) == float(np.float32(above(0.25)))
    (True, True)
    """
    return float(np.nextafter(np.float32(score), np.float32(np.inf)))


def announced_text(announced: dict[str, Any], found: Errors) -> str:
    """The rate that `Errors.to_json` estimated, and whether other normal images keep to it, in words.

    >>> announced_text({"alarms": 0, "images": 25, "low": 0.0, "high": 0.1372}, Errors(1, 20))
    'Training estimated 0 to 137 per 1,000.'
    """
    if not announced.get("images"):
        return "Training estimated no rate for whole images."
    said = f"Training estimated {_per_thousand(announced)}."
    if found.alarms <= announced["high"] * found.images:
        return said
    chance = float(bdtrc(found.alarms - 1, found.images, announced["high"]))
    return (
        f"{said} So many would occur by chance in at most {100 * chance:.2g} % of such sets: "
        "the normal images here may be unlike those used for training."
    )


def alarm_text(found: dict[str, Any], what: str = "image") -> str:
    """What `Errors.to_json` says of images, or of tiles, in words.

    >>> alarm_text({"alarms": 0, "images": 25, "low": 0.0, "high": 0.1372})
    '0 of 25 held-out normal images; expect 0 to 137 per 1,000 normal images (95 % interval)'
    """
    if not found["images"]:
        return f"unknown, because there are too few normal {what}s to hold some out"
    seen = f"{found['alarms']} of {found['images']} held-out normal {what}s"
    return f"{seen}; expect {_per_thousand(found)} normal {what}s (95 % interval)"


def _per_thousand(found: dict[str, Any]) -> str:
    return f"{round(1000 * found['low'])} to {round(1000 * found['high'])} per 1,000"
