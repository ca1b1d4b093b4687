"""What a bench found, as tables: plain data, which `formats` and the page of `board` write in their ways.

What is missing says why in a note below the table.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from flawtrace.comparison.numbers import ABOVE, BELOW, MISSING, ONE_SEED, Cell, cost, difference, share
from flawtrace.measures.bootstrap import Estimate
from flawtrace.measures.rows import COSTS, Row, Rows, grouped, of_type
from flawtrace.measures.statistics import MEAN, Section, across, estimate, sections

HEADLINE = "pixel_f1_max"
WIDEST = 10
"""Columns of a table that could also be turned."""
LABELS = {
    "pixel_f1_max": "pixel F1_max",
    "pixel_f1": "pixel F1",
    "f1_kept": "F1 / F1_max",
    "validation.pixel_f1_max": "validation F1_max",
    "pixel_ap": "pixel AP",
    "pixel_aupro": "AUPRO",
    "pixel_auroc": "pixel AUROC",
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "false_alarm_rate": "false alarms",
    "miss_rate": "misses",
    "unsure_rate": "UNSURE",
    "steadiness": "steadiness",
    "seconds": "training (s)",
    "predict_seconds": "per image (s)",
    "peak_memory_mb": "peak memory (MB)",
}
"""What a row is asked for, and how a column calls it."""


@dataclass(frozen=True)
class Table:
    section: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def turned(self) -> "Table":
        """Columns as lines."""
        names = [row[0].text for row in self.rows]
        rows = (
            (Cell(column), *(row[place] for row in self.rows))
            for place, column in enumerate(self.columns)
            if place
        )
        return replace(self, columns=("category", *names), rows=tuple(rows))


def summary_tables(rows: Rows, reference: str | None = None) -> list[Table]:
    """All tables of all sections; `reference` is the first method of the file unless named."""
    against = reference or first_method(rows)
    return [table for section in sections(rows) for table in section_tables(section, against)]


def first_method(rows: Rows) -> str:
    return str(rows[0]["method"]) if rows else ""


def section_tables(section: Section, reference: str) -> list[Table]:
    tables = [
        category_table(section, HEADLINE),
        methods_table(section),
        difference_table(section, reference, HEADLINE),
        types_table(section, HEADLINE),
    ]
    return [table for table in tables if table.rows]


def category_table(section: Section, metric: str) -> Table:
    """Methods by categories, and the mean over categories."""
    found = {method: section.estimates(method, metric) for method in section.methods}
    return _narrow(
        Table(
            section=section.name,
            title=f"{LABELS[metric]} by category",
            columns=("method", *section.categories, MEAN),
            rows=tuple(
                (Cell(method), *(share(estimates[name]) for name in (*section.categories, MEAN)))
                for method, estimates in found.items()
            ),
            notes=(*_reading(section, found.values()), *_gaps(section, found), _images(section)),
        )
    )


def _narrow(table: Table) -> Table:
    """Many categories stand below each other, so that a page holds the table."""
    too_wide = len(table.columns) > WIDEST and len(table.rows) < len(table.columns)
    return table.turned if too_wide else table


def methods_table(section: Section) -> Table:
    """Every metric and cost of each method, as means over categories; what no method has is left out."""
    found = {
        method: {name: across(section.groups(method), name) for name in LABELS} for method in section.methods
    }
    known = [name for name in LABELS if any(row[name] for row in found.values())]
    return Table(
        section=section.name,
        title="Methods, mean over categories",
        columns=("method", *(LABELS[name] for name in known)),
        rows=tuple(
            (Cell(method), *((cost if name in COSTS else share)(row[name]) for name in known))
            for method, row in found.items()
        ),
        notes=(*_reading(section, found.values()), *METHOD_NOTES),
    )


METHOD_NOTES = (
    "F1 is at the threshold that a method chose without any test image, F1_max at the best one for the test "
    "images; their quotient is what is left of it.",
    "Validation is the score on held-out training labels, by which a method's choices were made: where it is "
    "far above the test score, it flattered. Its interval covers the seeds alone.",
    "Training is processor time.",
    "Steadiness is the share of test images, spoilt as on another day, that get no wrong verdict.",
)


def difference_table(section: Section, reference: str, metric: str) -> Table:
    """Every other method minus `reference`, on the trials that both have."""
    others = [method for method in section.methods if method != reference]
    found = {method: section.differences(method, reference, metric) for method in others}
    return _narrow(
        Table(
            section=section.name,
            title=f"{LABELS[metric]}, difference to {reference}",
            columns=("method", *section.categories, MEAN),
            rows=tuple(
                (Cell(method), *(difference(row[name]) for name in (*section.categories, MEAN)))
                for method, row in found.items()
                if any(row.values())
            ),
            notes=(
                f"Paired: a method minus {reference} on the same labels, test images and resamples of them. "
                f"{ABOVE} the 95 % interval lies above zero, {BELOW} below; intervals are not corrected for "
                "their number.",
                *_one_seed(found.values()),
            ),
        )
    )


def types_table(section: Section, metric: str) -> Table:
    """Defect types by methods; where types were left out of training, each as it was left out."""
    lines = [(category, name) for category in section.categories for name in _types(section, category)]
    found = {
        line: [
            estimate(_rows_of_type(section.of(method, line[0]), line[1]), metric)
            for method in section.methods
        ]
        for line in lines
    }
    return Table(
        section=section.name,
        title=f"{LABELS[metric]} by defect type",
        columns=("category", "defect type", *section.methods),
        rows=tuple((Cell(line[0]), Cell(line[1]), *map(share, row)) for line, row in found.items()),
        notes=(
            "Defect images of one type with all normal test images. Intervals cover the seeds alone, "
            "so one seed has none.",
        ),
    )


def _types(section: Section, category: str) -> list[str]:
    rows = [row for row in section.rows if row["category"] == category]
    return sorted({name for row in rows for name in _tested_types(row)})


def _tested_types(row: Row) -> list[str]:
    """The types of a row, or of a row with a left-out type only this."""
    known, left_out = row.get("per_type") or {}, row.get("left_out")
    return [name for name in known if left_out in (None, name)]


def _rows_of_type(rows: Rows, name: str) -> list[Row]:
    return of_type([row for row in rows if name in _tested_types(row)], name)


def _reading(section: Section, found: Iterable[dict[str, Any]]) -> Iterator[str]:
    """How to read the numbers, and what the intervals cover."""
    seeds = section.seeds
    listed = (
        f"{len(seeds)} seeds ({', '.join(map(str, seeds))})" if len(seeds) > 1 else f"one seed ({seeds[0]})"
    )
    yield f"Over {listed}; in brackets the 95 % interval over the choice of seeds and of test images."
    yield from _one_seed(found)


def _one_seed(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    cells = [cell for row in found for cell in row.values()]
    if any(cell is not None and cell.bounded and cell.images_only for cell in cells):
        yield f"{ONE_SEED} One seed: the interval covers the choice of test images alone."


def _gaps(section: Section, found: dict[str, dict[str, Estimate | None]]) -> Iterator[str]:
    """What failed and why, what has not been run, and means that lack a category for it."""
    yield from (f"{MISSING} {line}" for line in failures(section.rows))
    trials = {row["trial"] for row in section.rows}
    for method, group in grouped(section.rows, "method").items():
        if absent := len(trials) - len({row["trial"] for row in group}):
            yield f"{method}: {absent} of {len(trials)} trials have not been run."
    for method, cells in found.items():
        without = [name for name in section.categories if cells[name] is None]
        if without and cells[MEAN] is not None:
            yield f"{method}: the mean lacks {', '.join(without)}; compare it by the paired differences."


def failures(rows: Rows) -> list[str]:
    """One line for each method, category and message of cells that could not be run."""
    failed: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if "error" in row:
            cell = (row["method"], row["category"], " ".join(str(row["error"]).split()))
            failed.setdefault(cell, []).append(str(row["seed"]))
    return [
        f"{method} on {category}, seed {', '.join(dict.fromkeys(seeds))}: {message}"
        for (method, category, message), seeds in failed.items()
    ]


def _images(section: Section) -> str:
    listed = [
        f"{category} {_range(rows, 'num_anomalous')} defective and {_range(rows, 'num_normal')} normal"
        for category in section.categories
        if (rows := [row for row in section.rows if row["category"] == category and "num_normal" in row])
    ]
    return f"Test images: {'; '.join(listed)}." if listed else "No trial has been run."


def _range(rows: Rows, key: str) -> str:
    low, high = min(row[key] for row in rows), max(row[key] for row in rows)
    return str(low) if low == high else f"{low} to {high}"
