"""The tables of a comparison as files: Markdown and LaTeX for people, CSV with all digits for machines."""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flawtrace.comparison.numbers import ABOVE, BELOW, Cell
from flawtrace.comparison.tables import LABELS, Table, first_method
from flawtrace.measures.bootstrap import Estimate
from flawtrace.measures.rows import COSTS, Rows
from flawtrace.measures.statistics import Section, sections

CSV_COLUMNS = (
    *("protocol", "labels", "category", "method", "metric", "against"),
    *("mean", "low", "high", "num"),
)


def to_markdown(tables: Iterable[Table]) -> str:
    """GitHub's Markdown: a heading per section, a table with its notes below."""
    return "".join(_with_headings(tables, lambda name: f"# {_markdown(name)}\n\n", _markdown_table))


def to_latex(tables: Iterable[Table]) -> str:
    r"""`table` environments to `\input`, for the packages booktabs and amssymb."""
    head = "% Needs \\usepackage{booktabs,amssymb}. Wide tables: put tabular into \\resizebox.\n\n"
    return head + "".join(
        _with_headings(tables, lambda name: f"% {' '.join(name.split())}\n\n", _latex_table)
    )


def to_csv(rows: Rows, reference: str | None = None) -> str:
    """Every estimate and every difference with all its digits, one per line; no bound is an empty field."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for section in sections(rows):
        writer.writerows(_long(section, reference or first_method(rows)))
    return buffer.getvalue()


def _long(section: Section, reference: str) -> Iterator[tuple[Any, ...]]:
    for method in section.methods:
        for metric in LABELS:
            head = (section.protocol, section.labels)
            for category, found in section.estimates(method, metric).items():
                if found:
                    yield (*head, category, method, metric, "", *_numbers(found))
            if method == reference or metric in COSTS:
                continue
            for category, found in section.differences(method, reference, metric).items():
                if found:
                    yield (*head, category, method, metric, reference, *_numbers(found))


def _numbers(found: Estimate) -> tuple[Any, ...]:
    bounds = ("" if math.isnan(bound) else bound for bound in (found.low, found.high))
    return (found.mean, *bounds, found.num)


def _with_headings(
    tables: Iterable[Table], heading: Callable[[str], str], write: Callable[[Table], str]
) -> Iterator[str]:
    section = None
    for table in tables:
        if table.section != section:
            section = table.section
            yield heading(section)
        yield write(table)


def _markdown_table(table: Table) -> str:
    lines = [[_markdown(name) for name in table.columns]]
    lines += [["---", *["---:"] * (len(table.columns) - 1)]]
    lines += [[_markdown_cell(cell) for cell in row] for row in table.rows]
    body = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    notes = "".join(f"- {_markdown(note)}\n" for note in table.notes)
    return f"## {_markdown(table.title)}\n\n{body}\n{notes}\n"


def _markdown_cell(cell: Cell) -> str:
    text = _markdown(cell.text)
    strong = f"**{cell.mark} {text}**" if cell.mark else text
    return f"{strong} {cell.interval}".strip()


def _markdown(text: str) -> str:
    r"""As text that holds no markup.

    >>> _markdown("a_b|<i>")
    'a\\_b\\|\\<i\\>'
    """
    return re.sub(r"([\\`*_{}\[\]<>|#&~$])", r"\\\1", " ".join(text.split()))


def _latex_table(table: Table) -> str:
    head = " & ".join(_latex(name) for name in table.columns)
    body = "".join(f"{' & '.join(map(_latex_cell, row))} \\\\\n" for row in table.rows)
    notes = "".join(f"\\par {_latex(note)}\n" for note in table.notes)
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{_latex(f'{table.title} ({table.section})')}}}\n"
        f"\\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}\n\\toprule\n{head} \\\\\n\\midrule\n"
        f"{body}\\bottomrule\n\\end{{tabular}}\n\\par\\medskip\\footnotesize\n{notes}\\end{{table}}\n\n"
    )


def _latex_cell(cell: Cell) -> str:
    text = _latex(cell.text)
    strong = f"{_latex(cell.mark)} \\textbf{{{text}}}" if cell.mark else text
    return f"{strong} {{\\scriptsize {_latex(cell.interval)}}}" if cell.interval else strong


LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "{}$&#_%"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
    **{"−": "$-$", "–": "--", "†": r"\dag{}", ABOVE: r"$\blacktriangle$", BELOW: r"$\blacktriangledown$"},
}


def _latex(text: str) -> str:
    r"""As text that holds no commands.

    >>> print(_latex("random_walk 50 %"))
    random\_walk 50 \%
    """
    return "".join(LATEX.get(character, character) for character in " ".join(text.split()))
