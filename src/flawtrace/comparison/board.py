"""One page that compares methods: what each reaches, how sure that is, what it costs, how to repeat it.

Everything comes from the rows alone, so the same rows give the same files. The page holds all its plots and
needs no network; its text lives in `templates/board.html.jinja`, its tables are those of `tables`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flawtrace.comparison import charts
from flawtrace.comparison.charts import Look
from flawtrace.comparison.formats import to_csv, to_latex, to_markdown
from flawtrace.comparison.tables import (
    HEADLINE,
    LABELS,
    failures,
    first_method,
    section_tables,
    summary_tables,
)
from flawtrace.ground.files import write_text
from flawtrace.ground.wording import counted
from flawtrace.measures.bootstrap import Difference
from flawtrace.measures.rows import Rows, grouped
from flawtrace.measures.statistics import MEAN, Section, across, labels_curve, of_what, sections
from flawtrace.report import style, template

BOARD_NAME = "board.html"
DENSE = 9
"""Columns from which on a table is set smaller."""
PACKED = 14
"""Columns from which on an interval takes two lines."""
LONG = 25
"""Lines from which on a table is folded."""


def write_board(out: Path, rows: Rows, reference: str | None) -> Path:
    """Write `board.html`, `table.md`, `table.csv` and `table.tex` in the folder `out`; return the first.

    Differences are to `reference`, the first method of the rows unless named.

    Raises:
        ValueError: there are no rows, or none of them is of `reference`.
        OutputError: the folder cannot be written.
    """
    methods = list(grouped(rows, "method"))
    against = reference or first_method(rows)
    if against not in methods:
        raise ValueError(
            f"No row is of the reference {against!r}; there are {', '.join(methods) or 'no rows'}."
        )
    tables = summary_tables(rows, against)
    write_text(out / "table.md", _encodable(to_markdown(tables)))
    write_text(out / "table.tex", _encodable(to_latex(tables)))
    write_text(out / "table.csv", _encodable(to_csv(rows, against)))
    write_text(out / BOARD_NAME, _encodable(_page(rows, against)))
    return out / BOARD_NAME


def _encodable(text: str) -> str:
    """A folder's name can hold what UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _page(rows: Rows, reference: str) -> str:
    methods = list(grouped(rows, "method"))
    looks = charts.looks_of(methods)
    return template("board.html.jinja").render(
        reference=reference,
        methods=methods,
        categories=sorted(grouped(rows, "category")),
        seeds=sorted(grouped(rows, "seed")),
        num_cells=len(rows),
        protocols=[
            _protocol(name, group, reference, looks) for name, group in grouped(rows, "protocol").items()
        ],
        settings={method: _settings(group) for method, group in grouped(rows, "method").items()},
        missing=failures(rows),
        facts=dict(_facts(rows)),
        colours={name: getattr(style, name) for name in ("NORMAL", "DEFECTIVE", "PREDICTED", "INK")},
        dense=DENSE,
        packed=PACKED,
        long=LONG,
    )


PROTOCOLS = {
    "five-per-type": "five images of every defect type are labelled, drawn by seed; the rest is tested",
    "k-in-all": "a few images of all defect types together are labelled, one of each type in turn, from none "
    "on; all are tested on the same images",
    "k-per-type": "a few images of every defect type are labelled, drawn by seed, in varying numbers; a "
    "smaller draw is part of a larger one; the rest is tested",
    "one-third": "the first third of every defect type is labelled, whatever the seed; the rest is tested",
    "unseen-type": "each defect type in turn has no labels, and is then the only defect type tested",
}
"""What is labelled and what is tested."""


def _protocol(name: str, rows: Rows, reference: str, looks: Mapping[str, Look]) -> dict[str, Any]:
    return {
        "name": name,
        "meaning": PROTOCOLS.get(name, "see the program's help"),
        "curves": _curves(rows, looks, f"labelled images {of_what(name)}"),
        "sections": [_section(section, reference, looks) for section in sections(rows)],
    }


def _section(section: Section, reference: str, looks: Mapping[str, Look]) -> dict[str, Any]:
    """Everything the page says about rows that may be compared with each other."""
    headline, *others = section_tables(section, reference)
    found = {method: section.estimates(method, HEADLINE) for method in section.methods}
    differing = {
        method: section.differences(method, reference, HEADLINE)
        for method in section.methods
        if method != reference
    }
    return {
        "name": section.name,
        "headline": headline,
        "tables": others,
        "verdict": verdict({method: row[MEAN] for method, row in differing.items()}, reference),
        "intervals": charts.intervals(found, looks, LABELS[HEADLINE]),
        "differences": _difference_plot(differing, looks, reference),
        "costs": _cost_plot(section, looks),
    }


def verdict(differing: Mapping[str, Difference | None], reference: str) -> str:
    """Which methods lie surely above or below the reference, in a sentence or two."""
    known = {method: found for method, found in differing.items() if found is not None}
    above = [method for method, found in known.items() if found.exceeds_zero]
    below = [method for method, found in known.items() if found.falls_below_zero]
    unsure = [method for method in known if method not in (*above, *below)]
    told = {
        "above it": above,
        "below it": below,
        "not significantly different from it on these trials": unsure,
    }
    parts = [f"{_listed(methods)} {where}" for where, methods in told.items() if methods]
    return f"Compared with {reference}: {'; '.join(parts)}." if parts else ""


def _listed(names: Sequence[str]) -> str:
    """With commas, and an "and" before the last.

    >>> _listed(["a"]), _listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _difference_plot(
    differing: Mapping[str, Mapping[str, Difference | None]], looks: Mapping[str, Look], reference: str
) -> str | None:
    known = {method: row for method, row in differing.items() if any(row.values())}
    return charts.differences(known, looks, reference, LABELS[HEADLINE]) if known else None


def _cost_plot(section: Section, looks: Mapping[str, Look]) -> str | None:
    """What is reached over what training takes."""
    points = {
        method: (cost.mean, found)
        for method in section.methods
        if (found := across(section.groups(method), HEADLINE)) is not None
        and (cost := across(section.groups(method), "seconds")) is not None
        and cost.mean > 0
    }
    return charts.costs(points, looks, "training time in seconds", LABELS[HEADLINE]) if points else None


def _curves(rows: Rows, looks: Mapping[str, Look], xlabel: str) -> str | None:
    """For each category a curve per method, where there are several numbers of labels."""
    panels = {
        category: {
            method: labels_curve(part, HEADLINE) for method, part in grouped(of_category, "method").items()
        }
        for category, of_category in grouped(rows, "category").items()
    }
    known = {
        category: curves
        for category, curves in panels.items()
        if any(len(curve) > 1 for curve in curves.values())
    }
    return charts.labels_curves(known, looks, xlabel, LABELS[HEADLINE]) if known else None


def _settings(rows: Rows) -> dict[str, str]:
    """What a method was set to; where it varies, all that it was."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, setting in (*_flat(row.get("settings") or {}), *_flat(row.get("described") or {})):
            found.setdefault(name, {})[setting] = None
    return {name: " or ".join(settings) for name, settings in found.items()}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names, and values as text."""
    for name, setting in settings.items():
        if isinstance(setting, Mapping):
            yield from _flat(setting, f"{prefix}{name}.")
        else:
            parts = setting if isinstance(setting, list | tuple) else [setting]
            yield f"{prefix}{name}", " ".join(map(str, parts))


def _facts(rows: Rows) -> Iterator[tuple[str, str]]:
    """Where the numbers come from; what differs between rows is listed."""
    yield "Cells", f"{len(rows)}, {sum('error' in row for row in rows)} of them with an error"
    if finished := sorted(str(row["finished"]) for row in rows if row.get("finished")):
        yield "Finished", " to ".join(dict.fromkeys([finished[0][:10], finished[-1][:10]]))
    for name, key in (("Commit", "commit"), ("Machine", "machine"), ("Versions", "versions")):
        counts = Counter(_told(row[key]) for row in rows if row.get(key))
        if counts:
            yield name, _counted(counts)


def _counted(counts: Counter[str]) -> str:
    """The one that there is, or each with the number of its cells."""
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{told} ({counted(count, 'cell')})" for told, count in counts.most_common())


def _told(fact: Any) -> str:
    parts = dict(_flat(fact)) if isinstance(fact, Mapping) else {}
    return ", ".join(f"{name} {part}" for name, part in parts.items()) or str(fact)
