"""Runs the cells of a benchmark in processes of this machine."""

import multiprocessing
import os
import queue
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TypeAlias

import torch

from flawtrace.comparison.bench import Row, Task, Told, keep
from flawtrace.comparison.cell import run_cell
from flawtrace.comparison.desk import Desk
from flawtrace.comparison.errors import UnguardedScriptError, WorkerLostError
from flawtrace.ground.devices import compute_with

Messages: TypeAlias = "multiprocessing.Queue[Told | Row]"


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
    threads: int | None = None,
    peers: Path | None = None,
    device: str = "cpu",
    spoil: bool = False,
) -> Iterator[Told | Row]:
    """Run the cells, `jobs` at a time; yields progress, and rows that are in the file by then.

    Each cell has so many `threads`, or its share of this machine's cores. With `spoil`, flawtrace's own
    methods are also asked about spoilt test images (`steadiness`).

    Whatever ends it early, workers stop at their next sign of life, and go on from there the next time.

    Raises:
        WorkerLostError: a process was killed, most likely because memory ran out.
        UnguardedScriptError: no process could start.
        OutputError, FolderInUseError: rows or cells cannot be written.
    """
    context = multiprocessing.get_context("spawn")
    share = max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) // jobs))
    messages: Messages = context.Queue()
    stop, begun = context.Event(), context.Event()
    pool = ProcessPoolExecutor(
        jobs,
        context,
        initializer=_begin,
        initargs=(threads or share, messages, stop, begun),
        max_tasks_per_child=1,  # so that the memory of an earlier trial does not count in a row
    )
    with pool:
        work = partial(_work, folder=folder, threads=threads, peers=peers, device=device, spoil=spoil)
        futures = [pool.submit(work, task) for task in tasks]
        try:
            for message in _until_done(futures, messages):
                if isinstance(message, dict):
                    keep(message, folder, rows_file)
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


def _work(
    task: Task, *, folder: Path, threads: int | None, peers: Path | None, device: str, spoil: bool
) -> int:
    """In a worker: the cells of one trial, one after the other; returns their number."""
    if threads:
        compute_with(threads)
    desk = Desk(task.trial, folder, peers, device, spoil, threads=threads)
    for method in task.methods:
        _messages.put(run_cell(desk, method, partial(_tell, task.trial.name, method.name)))
    return len(task.methods)


def _tell(trial: str, method: str, share: float, phase: str) -> None:
    """Also the moment at which a worker notices that nobody listens any more."""
    parent = multiprocessing.parent_process()
    if _stop.is_set() or (parent is not None and not parent.is_alive()):
        os._exit(1)
    _messages.put(Told(trial, method, share, phase))
