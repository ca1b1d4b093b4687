"""A benchmark: every trial with every method, cell by cell, and never the same cell twice."""

import itertools
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from flawtrace.comparison.errors import (
    MethodChangedError,
    NoCategoryError,
    SameNameError,
    ThreadsChangedError,
)
from flawtrace.comparison.methods import Method
from flawtrace.data import Category, MissingFolderError, Trial, products_in, read_category, trials
from flawtrace.ground.errors import DamagedFileError, FlawtraceError
from flawtrace.ground.files import append_json, read_jsonl
from flawtrace.ground.groups import ProtocolName

ROWS_NAME = "rows.jsonl"

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """The cells of one trial that are still to be run: they share its images, so one process runs them."""

    trial: Trial
    methods: tuple[Method, ...]


@dataclass(frozen=True)
class Told:
    """How far one cell is, from 0 to 1."""

    trial: str
    method: str
    share: float
    phase: str


@dataclass(frozen=True)
class Design:
    """What a benchmark asks for: every method under every protocol with every seed."""

    methods: tuple[Method, ...]
    protocols: tuple[ProtocolName, ...]
    seeds: tuple[int, ...]
    curve: tuple[int, ...] | None = None
    """Labels per defect type under `k-per-type`, and of all types together under `k-in-all`."""
    threads: int | None = None
    """Of each cell, and then a part of what it is; None for those that the rows state, if they do."""


@dataclass(frozen=True)
class Plan:
    """What is asked for, what of it is there already, and what is left."""

    rows: tuple[Row, ...]
    tasks: tuple[Task, ...]
    skipped: tuple[FlawtraceError, ...]
    """Categories that a protocol cannot be run on, with the reason."""
    threads: int | None = None
    """Of each cell that is left, where that is stated."""

    @property
    def num_left(self) -> int:
        return sum(len(task.methods) for task in self.tasks)


@dataclass(frozen=True)
class Benchmark:
    """All rows that a comparison has by now, and what could not be run."""

    rows: tuple[Row, ...]
    skipped: tuple[str, ...]
    board: Path | None
    """The page; None while no cell is finished."""


@runtime_checkable
class Runner(Protocol):
    """Runs cells somewhere."""

    def __call__(
        self,
        tasks: Sequence[Task],
        folder: Path,
        rows_file: Path,
        jobs: int,
        *,
        threads: int | None = None,
        peers: Path | None = None,
        device: str = "cpu",
        spoil: bool = False,
    ) -> Iterator[Told | Row]:
        """Yields progress, and rows that are in the file by then."""


def product_folders(root: Path) -> list[Path]:
    """Those that lie in `root`, or `root` itself.

    Raises:
        MissingFolderError, NoCategoryError: there is none.
    """
    if not root.is_dir():
        raise MissingFolderError(root)
    found = list(products_in(root))
    if not found:
        raise NoCategoryError(root)
    return found


def find_categories(roots: Iterable[Path]) -> list[Category]:
    """The categories that lie in `roots`, or are `roots`.

    Raises:
        MissingFolderError, NoCategoryError, SameNameError: nothing to compare on, or nothing to tell apart.
    """
    folders: dict[str, Path] = {}
    for root in roots:
        for folder in product_folders(root):
            other = folders.setdefault(folder.resolve().name, folder)
            if other.resolve() != folder.resolve():
                raise SameNameError(other, folder)
    return [read_category(folder) for folder in folders.values()]


def read_rows(file: Path) -> list[Row]:
    """The rows of a file, the last of each cell.

    Raises:
        DamagedFileError: a line is no row of a benchmark.
    """
    rows: dict[tuple[str, str], Row] = {}
    for row in read_jsonl(file):
        for name in ("trial", "method"):
            if not isinstance(row.get(name), str):
                raise DamagedFileError(file, f"a row has {row.get(name)!r:.40} where its {name} is named")
        rows[row["trial"], row["method"]] = row
    return list(rows.values())


def plan(categories: Sequence[Category], design: Design, rows_file: Path, retry: bool = False) -> Plan:
    """The cells that have no row yet; with `retry`, those too whose row is about an error.

    Raises:
        MethodChangedError: a row was made by a method of the same name with other settings.
        ThreadsChangedError: a row was made with another number of threads than the one that is stated.
    """
    rows = tuple(row for row in read_rows(rows_file) if not (retry and "error" in row))
    threads = design.threads or _only({row["threads"] for row in rows if "threads" in row})
    done = {(row["trial"], row["method"]): row for row in rows}
    tasks: list[Task] = []
    skipped: list[FlawtraceError] = []
    for protocol, category in itertools.product(design.protocols, categories):
        try:
            asked = list(trials(category, protocol, design.seeds, design.curve))
        except FlawtraceError as error:
            skipped.append(error)
            continue
        for trial in asked:
            left = tuple(m for m in design.methods if not _finished(done, trial, m, threads, rows_file))
            tasks += [Task(trial, left)] if left else []
    return Plan(rows, tuple(tasks), tuple(skipped), threads)


def threads_of(rows_file: Path) -> int | None:
    """With which all rows were made, stated or not; None if there are none, or if they differ.

    Raises:
        DamagedFileError: a line is no row of a benchmark.
    """
    rows = read_rows(rows_file)
    return _only({row.get("threads") or row.get("machine", {}).get("threads") for row in rows})


def keep(row: Row, folder: Path, rows_file: Path) -> None:
    """Put a finished cell's row into the file; its run is not needed any more.

    Raises:
        OutputError: the row cannot be written.
    """
    append_json(rows_file, row)
    shutil.rmtree(folder / "runs" / row["trial"] / row["method"], ignore_errors=True)


def _finished(
    done: dict[tuple[str, str], Row], trial: Trial, method: Method, threads: int | None, rows_file: Path
) -> bool:
    row = done.get((trial.name, method.name))
    if row is None:
        return False
    if row.get("settings") != method.identity:
        raise MethodChangedError(rows_file, trial.name, method.name)
    if row.get("threads", threads) != threads:
        raise ThreadsChangedError(rows_file, trial.name, method.name, row["threads"], threads)
    return True


def _only(found: set[int | None]) -> int | None:
    return found.pop() if len(found) == 1 else None
