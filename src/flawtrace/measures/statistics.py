"""From the rows of a bench to means with intervals, and to paired differences between methods.

A row is one method on one trial: its metrics, and the same metrics on resamples of the trial's test images
(`replicates`). Seeds are drawn with replacement, and with each draw one resample of the images, so an
interval says how far chance moves a mean that both choices enter. A seed with several trials (one per
left-out type) counts once, as the mean over them. Replicates are moved to the mean of the metric that they
belong to, because a resample flatters whatever takes a maximum. With two to five seeds an interval of
percentiles is somewhat too narrow; with one seed it covers the images alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from flawtrace.ground.wording import counted
from flawtrace.measures.bootstrap import (
    Difference,
    Estimate,
    difference,
    estimated,
    sampled,
    sampled_differences,
)
from flawtrace.measures.rows import Row, Rows, grouped

MEAN = "mean"
"""What the mean over categories is called beside their names."""


@dataclass(frozen=True)
class Section:
    """The rows that may be compared with each other: one protocol, one number of labels."""

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
        parts = {category: sampled(self.of(method, category), metric) for category in self.categories}
        each = {category: estimated([part]) for category, part in parts.items()}
        return {**each, MEAN: estimated(parts.values())}

    def differences(self, method: str, reference: str, metric: str) -> dict[str, Difference | None]:
        """`method` minus `reference` in each category, and the mean of that."""
        parts = {
            category: sampled_differences(self.of(method, category), self.of(reference, category), metric)
            for category in self.categories
        }
        each = {category: difference([part]) for category, part in parts.items()}
        return {**each, MEAN: difference(parts.values())}


def estimate(rows: Rows, metric: str) -> Estimate | None:
    """Mean over the rows of one method in one category; `None` if none of them has the metric."""
    return across([rows], metric)


def across(groups: Iterable[Rows], metric: str) -> Estimate | None:
    """Mean over categories, each a group of rows; one that has no number does not enter."""
    return estimated([sampled(rows, metric) for rows in groups])


def labels_curve(rows: Rows, metric: str) -> dict[int, Estimate]:
    """One method in one category by number of labels, lowest first, wherever it has the metric."""
    numbers = grouped((row for row in rows if row["labels"] is not None), "labels")
    curve = {number: estimate(group, metric) for number, group in sorted(numbers.items())}
    return {number: found for number, found in curve.items() if found is not None}


def of_what(protocol: str) -> str:
    """What a protocol's number of labels counts.

    >>> of_what("k-per-type"), of_what("k-in-all")
    ('per defect type', 'of all types together')
    """
    return "of all types together" if protocol == "k-in-all" else "per defect type"


def sections(rows: Iterable[Row]) -> list[Section]:
    """By protocol, and by number of labels where a protocol has several."""
    found = []
    for protocol, group in grouped(rows, "protocol").items():
        numbers = grouped(group, "labels")
        for labels, part in sorted(numbers.items(), key=lambda item: item[0] or 0):
            number = f"{counted(labels or 0, 'label')} {of_what(protocol)}"
            name = protocol if len(numbers) == 1 else f"{protocol}, {number}"
            found.append(Section(name, protocol, labels, part))
    return found
