"""The comparison of methods: tables in four formats and one page, from rows alone."""

import csv
import io
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flawtrace.comparison.board import verdict, write_board
from flawtrace.comparison.formats import to_csv, to_latex, to_markdown
from flawtrace.comparison.numbers import ABOVE, BELOW
from flawtrace.comparison.tables import Table, summary_tables
from flawtrace.measures.bootstrap import Difference
from flawtrace.measures.rows import Row
from flawtrace.measures.statistics import estimate, sections

METRICS = ["pixel_auroc", "pixel_ap", "pixel_f1_max", "pixel_aupro", "image_auroc", "image_ap", "pixel_f1"]
LEVEL = {"grid": 0.45, "leather": 0.62, "tile": 0.78, "wood": 0.58}
GAIN = {
    "learned": 0.0,
    "uniform": -0.01,
    "edge_guided": 0.004,
    "random_walk": -0.03,
    "pixels": -0.2,
    "padim": -0.11,
}
SECONDS = {"learned": 182.4, "uniform": 121.7, "edge_guided": 130.2, "pixels": 95.1, "padim": 8.2}
TYPES = {"grid": ["bent", "broken", "glue"], "leather": ["cut", "fold"], "tile": ["crack"], "wood": ["hole"]}


def cell(category: str, seed: int, method: str, **more: Any) -> dict[str, Any]:
    """What a finished cell leaves, with numbers that methods share chance in."""
    labels, protocol = more.get("labels", 5), more.get("protocol", "five-per-type")
    shared = np.random.default_rng([sum(map(ord, category)), seed])
    luck, noise = shared.normal(0, 0.02), shared.normal(0, 0.03, 100)
    own = np.random.default_rng([sum(map(ord, category + method)), seed, labels]).normal(0, 0.008)
    f1 = LEVEL[category] + GAIN[method] + luck + own + 0.06 * np.log2(labels / 5)
    metrics = dict(zip(METRICS, f1 + np.array([0.35, 0.02, 0, 0.2, 0.3, 0.33, -0.06]), strict=True))
    metrics = {name: round(float(np.clip(found, 0, 0.9999)), 5) for name, found in metrics.items()}
    row = {
        "trial": f"{category}-{protocol}-{labels}-{more.get('left_out')}-{seed}",
        "category": category,
        "protocol": protocol,
        "labels": labels,
        "left_out": None,
        "seed": seed,
        "method": method,
        "settings": {"preset": "light", "sampler.kind": method},
        "metrics": metrics | ({"pixel_f1": None} if method == "padim" else {}),
        "validation": None if method == "padim" else {"pixel_f1_max": round(f1 + 0.04, 4)},
        "per_type": dict.fromkeys(TYPES[category], metrics),
        "threshold": None if method == "padim" else 0.61,
        "num_normal": 21,
        "num_anomalous": 53,
        "num_labelled": 25,
        "replicates": {
            name: [round(float(value), 4) for value in found + noise] for name, found in metrics.items()
        },
        "seconds": SECONDS.get(method, 150.0) * (1 + 0.02 * seed % 5),
        "predict_seconds": 0.2134 if method != "padim" else 0.048,
        "peak_memory_mb": 2134,
        "commit": "abc1234",
        "versions": {"flawtrace": "0.2.0", "torch": "2.10.0"},
        "machine": {"processor": "x86_64", "threads": 1, "device": "cpu"},
        "finished": f"2026-11-{20 + seed % 7}T03:00:00Z",
    }
    return row | more


def failed(row: Row, message: str) -> dict[str, Any]:
    measured = ("metrics", "validation", "per_type", "threshold", "replicates", "seconds", "predict_seconds")
    return {name: fact for name, fact in row.items() if name not in measured} | {"error": message}


def bench(
    methods: Sequence[str] = tuple(GAIN), categories: Sequence[str] = tuple(LEVEL), num_seeds: int = 5
) -> list[dict[str, Any]]:
    seeds = range(42, 42 + num_seeds)
    return [cell(category, seed, name) for category in categories for seed in seeds for name in methods]


def whole_bench() -> list[dict[str, Any]]:
    """Three protocols; padim fails on wood, edge_guided once, pixels has not been run on all of tile."""
    rows = []
    for row in bench():
        where = (row["method"], row["category"])
        lost = where == ("padim", "wood") or (*where, row["seed"]) == ("edge_guided", "grid", 44)
        if where != ("pixels", "tile") or row["seed"] < 44:
            rows.append(failed(row, "The process was killed: out of memory.") if lost else row)
    rows += [
        cell(category, seed, method, protocol="k-per-type", labels=labels)
        for labels in (1, 5)
        for category in ("grid", "tile")
        for seed in (42, 43, 44)
        for method in ("learned", "uniform", "padim")
    ]
    rows += [
        cell("grid", seed, method, protocol="unseen-type", left_out=left_out)
        for left_out in TYPES["grid"]
        for seed in (42, 43)
        for method in ("learned", "uniform")
    ]
    return rows


def titled(tables: Sequence[Table], words: str) -> Table:
    return next(table for table in tables if words in table.title)


def cells_of(table: Table, method: str) -> dict[str, str]:
    """Column to text, with the mark before and the interval after."""
    row = next(row for row in table.rows if row[0].text == method)
    written = [f"{part.mark} {part.text} {part.interval}".strip() for part in row]
    return dict(zip(table.columns, written, strict=True))


def test_a_cell_holds_the_mean_and_its_interval() -> None:
    rows = bench()
    mine = [row for row in rows if (row["method"], row["category"]) == ("uniform", "wood")]
    found = estimate(mine, "pixel_f1_max")
    assert found is not None
    table = titled(summary_tables(rows), "by category")
    assert cells_of(table, "uniform")["wood"] == f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"
    assert table.columns == ("method", *sorted(LEVEL), "mean")
    assert [row[0].text for row in table.rows] == list(GAIN)


def test_a_difference_is_marked_by_a_sign_when_its_interval_leaves_zero_out() -> None:
    cells = cells_of(titled(summary_tables(bench()), "difference"), "random_walk")
    assert cells["mean"].startswith(f"{BELOW} −0.0")
    against_pixels = titled(summary_tables(bench(), "pixels"), "difference to pixels")
    assert cells_of(against_pixels, "learned")["mean"].startswith(f"{ABOVE} +0.199")
    alike = [*bench(["learned"]), *[row | {"method": "same"} for row in bench(["learned"])]]
    assert cells_of(titled(summary_tables(alike), "difference"), "same")["grid"] == "0.000 [0.000, 0.000]"


def test_a_missing_cell_is_a_dash_and_says_why() -> None:
    table = titled(summary_tables(whole_bench()), "by category")
    assert cells_of(table, "padim")["wood"] == "–"
    assert "– padim on wood, seed 42, 43, 44, 45, 46: The process was killed: out of memory." in table.notes
    assert "– edge_guided on grid, seed 44: The process was killed: out of memory." in table.notes
    assert "pixels: 3 of 20 trials have not been run." in table.notes
    assert "padim: the mean lacks wood; compare it by the paired differences." in table.notes


def test_notes_say_how_many_seeds_and_images() -> None:
    notes = " ".join(titled(summary_tables(bench(categories=["grid"], num_seeds=2)), "by category").notes)
    assert "2 seeds (42, 43)" in notes
    assert "Test images: grid 53 defective and 21 normal." in notes


def test_one_seed_is_marked_and_explained() -> None:
    table = titled(summary_tables(bench(num_seeds=1)), "by category")
    assert "† [" in cells_of(table, "learned")["grid"]
    assert "† One seed: the interval covers the choice of test images alone." in table.notes
    assert (
        "["
        not in cells_of(titled(summary_tables(bench(["learned"], num_seeds=1)), "type"), "grid")["learned"]
    )


def test_the_methods_table_holds_what_any_method_has() -> None:
    cells = cells_of(titled(summary_tables(bench()), "Methods"), "padim")
    assert cells["pixel F1"] == cells["F1 / F1_max"] == cells["validation F1_max"] == "–"
    assert cells["per image (s)"] == "0.048"
    assert cells["peak memory (MB)"] == "2,134"
    alone = titled(summary_tables(bench(["padim"])), "Methods")
    assert "pixel F1" not in alone.columns


def test_each_number_of_labels_is_a_section_of_its_own() -> None:
    names = list(dict.fromkeys(table.section for table in summary_tables(whole_bench())))
    numbers = ["k-per-type, 1 label per defect type", "k-per-type, 5 labels per defect type"]
    assert names == ["five-per-type", *numbers, "unseen-type"]


def test_an_unseen_type_is_shown_by_the_trials_that_left_it_out() -> None:
    unseen = [
        cell("grid", 42, "learned", protocol="unseen-type", left_out=left_out)
        | {"per_type": {name: {"pixel_f1_max": float(name == left_out)} for name in TYPES["grid"]}}
        for left_out in TYPES["grid"]
    ]
    table = titled(summary_tables(unseen), "by defect type")
    assert [[part.text for part in row] for row in table.rows] == [
        ["grid", name, "1.000"] for name in TYPES["grid"]
    ]


def test_many_categories_stand_below_each_other() -> None:
    names = [f"category{number:02}" for number in range(15)]
    rows = [
        cell("grid", 42, name) | {"category": category, "trial": category}
        for category in names
        for name in GAIN
    ]
    table = titled(summary_tables(rows), "by category")
    assert table.columns == ("category", *GAIN)
    assert [row[0].text for row in table.rows] == [*names, "mean"]


def test_nothing_but_errors_still_makes_tables_and_a_page(tmp_path: Path) -> None:
    rows = [failed(row, "no") for row in bench(["learned"], ["grid"], 1)]
    table = titled(summary_tables(rows), "by category")
    assert cells_of(table, "learned")["mean"] == "–"
    assert "have no result" in Page(write_board(tmp_path, rows, None)).text


@pytest.mark.parametrize("name", ["a_b|c*d", "<b>&amp;", "50 % \\cmd{x}$^~#", "[x](y)"])
def test_names_are_text_in_every_format(name: str) -> None:
    tables = summary_tables([row | {"method": name} for row in bench(["learned"], ["grid"], 2)])
    markdown, latex = to_markdown(tables), to_latex(tables)
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines[:3]}) == 1
    assert not re.search(r"(?<!\\)[<*_#$~]", "".join(lines).replace(name, ""))
    assert r"\cmd" not in latex
    assert not re.search(r"(?<!\\)[%#_]", "".join(re.findall(r"^.*toprule.*$|^.*\\\\$", latex, re.M)))


def test_the_csv_holds_every_digit_of_every_estimate() -> None:
    rows = bench(["learned", "uniform"], ["grid"], 2)
    found = list(csv.DictReader(io.StringIO(to_csv(rows))))
    (section,) = sections(rows)
    expected = section.estimates("uniform", "pixel_ap")["grid"]
    difference = section.differences("uniform", "learned", "pixel_ap")["grid"]
    assert expected is not None
    assert difference is not None
    wanted = {"protocol": "five-per-type", "category": "grid", "method": "uniform", "metric": "pixel_ap"}
    lines = {line["against"]: line for line in found if wanted.items() <= line.items()}
    assert [float(lines[""][name]) for name in ("mean", "low", "high")] == [
        expected.mean, expected.low, expected.high,
    ]  # fmt: skip
    assert float(lines["learned"]["mean"]) == difference.mean
    assert lines[""]["num"] == "2"


def test_an_unknown_bound_is_empty_in_the_csv() -> None:
    rows = [row | {"replicates": {}} for row in bench(["learned"], ["grid"], 1)]
    lines = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert {(line["low"], line["high"]) for line in lines} == {("", "")}


class Page(HTMLParser):
    """What a browser would make of the file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags = [""]
        self.sections: list[str] = []
        self.sources: list[str] = []
        self.words = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.sections += [str(values["id"])] if tag == "section" else []
        self.sources += [str(values[name]) for name in ("src", "href") if name in values]

    def handle_data(self, data: str) -> None:
        self.words += f" {data.strip()}" if self.tags[-1] != "style" else ""

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", self.words)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_board(tmp_path_factory.mktemp("board"), whole_bench(), None)


def test_the_page_needs_no_other_file(board: Path) -> None:
    page = Page(board)
    assert "http" not in board.read_text()
    assert "url(" not in board.read_text()
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)
    assert not {"script", "link", "iframe"} & set(page.tags)


def test_the_page_has_a_section_per_protocol_and_says_what_is_missing(board: Path) -> None:
    page = Page(board)
    protocols = ["protocol-1", "protocol-2", "protocol-3"]
    assert page.sections == [*protocols, "settings", "missing", "reproduce"]
    assert "padim on wood, seed 42, 43, 44, 45, 46: The process was killed" in page.text
    assert "sampler.kind edge_guided" in page.text
    assert "abc1234" in page.text
    assert "--seeds 42,43,44,45,46" in page.text


def test_no_number_on_the_page_has_more_than_four_decimals(board: Path) -> None:
    assert not re.search(r"\d\.\d{5}", Page(board).text)


def test_the_same_rows_give_the_same_four_files(tmp_path: Path) -> None:
    rows = bench(["learned", "uniform"], ["grid"], 2)
    first, second = write_board(tmp_path / "first", rows, None), write_board(tmp_path / "second", rows, None)
    names = ["board.html", "table.csv", "table.md", "table.tex"]
    assert sorted(path.name for path in first.parent.iterdir()) == names
    assert all((first.parent / name).read_bytes() == (second.parent / name).read_bytes() for name in names)


def test_names_are_never_markup(tmp_path: Path) -> None:
    rows = [
        row | {"method": "<script>$x$_\udcff", "category": "<i>grid"}
        for row in bench(["learned"], ["grid"], 2)
    ]
    path = write_board(tmp_path, [*rows, *bench(["uniform"], ["grid"], 2)], None)
    assert "<script" not in path.read_text()
    assert "<i>" not in path.read_text()


def test_a_reference_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'uniform'"):
        write_board(tmp_path, bench(["learned"], ["grid"], 1), "uniform")
    with pytest.raises(ValueError, match="no rows"):
        write_board(tmp_path, [], None)


def test_the_verdict_names_who_is_above_below_and_undecided() -> None:
    differing = {
        "better": Difference(0.1, 0.05, 0.2, 5, 20),
        "worse": Difference(-0.1, -0.2, -0.05, 5, 20),
        "alike": Difference(0.01, -0.1, 0.1, 5, 20),
        "absent": None,
    }
    told = "better above it; worse below it; alike not significantly different from it on these trials"
    assert verdict(differing, "learned") == f"Compared with learned: {told}."
    assert verdict({}, "learned") == ""
