"""Rows of a benchmark: one method on one trial, its metrics, and these on resamples of the test images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Sequence[Row]
COSTS = ("seconds", "predict_seconds", "peak_memory_mb")
KEPT = "f1_kept"
"""The share of `pixel_f1_max` that is left at the stored threshold."""
VALIDATION = "validation."
"""Before a metric's name: its value on held-out training labels."""


@dataclass(frozen=True)
class Measured:
    """A metric on the test images, and on resamples of them (none if they were not stored)."""

    value: float
    resampled: Float[np.ndarray, " r"]


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


def measured(row: Row, metric: str) -> Measured | None:
    found = value(row, metric)
    return None if found is None else Measured(found, _resampled(row.get("replicates") or {}, metric))


def _resampled(replicates: Mapping[str, Sequence[float]], metric: str) -> Float[np.ndarray, " r"]:
    """Empty for what was not stored."""
    if metric == KEPT:
        at_threshold, best = _resampled(replicates, "pixel_f1"), _resampled(replicates, "pixel_f1_max")
        paired = len(at_threshold) == len(best) and best.all()
        return at_threshold / best if paired else np.zeros(0)
    return np.array(replicates.get(metric) or [], dtype=float)
