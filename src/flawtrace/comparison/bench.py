"""A benchmark: every trial with every method, cell by cell, and never the same cell twice."""

import itertools
import multiprocessing
import os
import queue
import shutil
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, TypeAlias

import torch

from flawtrace.comparison.cell import run_cell
from flawtrace.comparison.desk import Desk
from flawtrace.comparison.errors import (
    MethodChangedError,
    NoCategoryError,
    SameNameError,
    UnguardedScriptError,
    WorkerLostError,
)
from flawtrace.comparison.methods import Method
from flawtrace.data import Category, MissingFolderError, Trial, holds_product, read_category, trials
from flawtrace.ground.errors import DamagedFileError, FlawtraceError
from flawtrace.ground.files import append_json, read_jsonl
from flawtrace.ground.groups import ProtocolName

ROWS_NAME = "rows.jsonl"

DEPTH = 3
"""How many folders down categories are looked for."""

Row: TypeAlias = dict[str, Any]
Messages: TypeAlias = "multiprocessing.Queue[Told | Row]"


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


@dataclass(frozen=True)
class Plan:
    """What is asked for, what of it is there already, and what is left."""

    rows: tuple[Row, ...]
    tasks: tuple[Task, ...]
    skipped: tuple[FlawtraceError, ...]
    """Categories that a protocol cannot be run on, with the reason."""

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


def find_categories(roots: Iterable[Path]) -> list[Category]:
    """The categories that lie in `roots`, or are `roots`.

    Raises:
        MissingFolderError, NoCategoryError, SameNameError: nothing to compare on, or nothing to tell apart.
    """
    folders: dict[str, Path] = {}
    for root in roots:
        if not root.is_dir():
            raise MissingFolderError(root)
        found = [folder for folder in _folders(root, DEPTH) if holds_product(folder)]
        if not found:
            raise NoCategoryError(root)
        for folder in found:
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
    """
    rows = tuple(row for row in read_rows(rows_file) if not (retry and "error" in row))
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
            left = tuple(m for m in design.methods if not _finished(done, trial, m, rows_file))
            tasks += [Task(trial, left)] if left else []
    return Plan(rows, tuple(tasks), tuple(skipped))


def refuse_unguarded() -> None:
    """Before anything is read: whether this is a worker that imports the script which started it.

    Raises:
        UnguardedScriptError: the script calls the benchmark while it is imported.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UnguardedScriptError


def run(
    tasks: Sequence[Task],
    folder: Path,
    rows_file: Path,
    jobs: int,
    *,
    peers: Path | None = None,
    device: str = "cpu",
    spoil: bool = False,
) -> Iterator[Told | Row]:
    """Run the cells, `jobs` at a time; yields progress, and rows that are in the file by then.

    With `spoil`, flawtrace's own methods are also asked about spoilt test images (`steadiness`).

    Whatever ends it early, workers stop at their next sign of life, and go on from there the next time.

    Raises:
        WorkerLostError: a process was killed, most likely because memory ran out.
        UnguardedScriptError: no process could start.
        OutputError, FolderInUseError: rows or cells cannot be written.
    """
    context = multiprocessing.get_context("spawn")
    threads = max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) // jobs))
    messages: Messages = context.Queue()
    stop, begun = context.Event(), context.Event()
    pool = ProcessPoolExecutor(
        jobs,
        context,
        initializer=_begin,
        initargs=(threads, messages, stop, begun),
        max_tasks_per_child=1,  # so that the memory of an earlier trial does not count in a row
    )
    with pool:
        futures = [pool.submit(_work, task, folder, peers, device, spoil) for task in tasks]
        try:
            for message in _until_done(futures, messages):
                if isinstance(message, dict):
                    append_json(rows_file, message)
                    shutil.rmtree(folder / "runs" / message["trial"] / message["method"], ignore_errors=True)
                yield message
        except BrokenProcessPool as error:
            raise (WorkerLostError if begun.is_set() else UnguardedScriptError) from error
        finally:
            stop.set()
            for future in futures:  # the pool's own shutdown can fail while it replaces a worker
                future.cancel()
            _drain(futures, messages)


def _until_done(futures: "Sequence[Future[int]]", messages: "Messages") -> Iterator[Told | Row]:
    """What the workers tell, until all of them are done and every row has arrived."""
    num_rows = 0
    while not all(future.done() for future in futures) or num_rows < _finished_rows(futures):
        try:
            message = messages.get(timeout=0.5)
        except queue.Empty:
            _finished_rows(futures)
            continue
        num_rows += isinstance(message, dict)
        yield message


def _drain(futures: "Sequence[Future[int]]", messages: "Messages") -> None:
    """Read on until no worker is left: one that nobody listens to could not end."""
    while not all(future.done() for future in futures):
        with suppress(queue.Empty):
            messages.get(timeout=0.2)


def _finished_rows(futures: "Sequence[Future[int]]") -> int:
    """Rows of the tasks that are over; what went wrong in a worker is raised here."""
    return sum(future.result() for future in futures if future.done())


_messages: "Messages"
"""In a worker: the way to the process that collects rows."""
_stop: Event
"""In a worker: whether nobody wants its rows any more."""


def _begin(threads: int, messages: "Messages", stop: Event, begun: Event) -> None:
    """Each worker has its share of the cores: threads that wait for a core lose more than they win.

    Ctrl-C reaches all processes; only the one that collects rows acts on it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    global _messages, _stop
    _messages, _stop = messages, stop
    begun.set()
    torch.set_num_threads(threads)


def _work(task: Task, folder: Path, peers: Path | None, device: str, spoil: bool) -> int:
    """In a worker: the cells of one trial, one after the other; returns their number."""
    desk = Desk(task.trial, folder, peers, device, spoil)
    for method in task.methods:
        _messages.put(run_cell(desk, method, partial(_tell, task.trial.name, method.name)))
    return len(task.methods)


def _tell(trial: str, method: str, share: float, phase: str) -> None:
    """Also the moment at which a worker notices that nobody listens any more."""
    parent = multiprocessing.parent_process()
    if _stop.is_set() or (parent is not None and not parent.is_alive()):
        os._exit(1)
    _messages.put(Told(trial, method, share, phase))


def _finished(done: dict[tuple[str, str], Row], trial: Trial, method: Method, rows_file: Path) -> bool:
    row = done.get((trial.name, method.name))
    if row is not None and row.get("settings") != method.identity:
        raise MethodChangedError(rows_file, trial.name, method.name)
    return row is not None


def _folders(root: Path, depth: int) -> Iterator[Path]:
    yield root
    if depth and not holds_product(root):
        for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != "."):
            yield from _folders(folder, depth - 1)
