"""Runs the cells of a benchmark on a cluster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flawtrace.cluster.connecting import Needs, refuse_if_nowhere
from flawtrace.cluster.tasks import Finished, as_they_finish, wait_until_free
from flawtrace.comparison import Desk, Method, Row, Task, Told, bench, run_cell
from flawtrace.data import Trial


@dataclass(frozen=True)
class Cells:
    """A `Runner` for `flawtrace.benchmark`, to be called while this process is `connected`."""

    memory: float = 4.0
    """GB that each cell occupies."""

    def __call__(
        self,
        tasks: Sequence[Task],
        folder: Path,
        rows_file: Path,
        jobs: int = 1,  # noqa: ARG002 (there is room for as many as the cluster has)
        *,
        threads: int | None = None,
        peers: Path | None = None,
        device: str = "cpu",
        spoil: bool = False,
    ) -> Iterator[Told | Row]:
        """Run the cells, each in a task of its own; yields progress, and rows that are in the file by then.

        Without `threads`, each cell has as many as those of the rows that are there, or one. A cell whose
        process dies again and again leaves a row that says so.

        Raises:
            NoRoomError: no node is large enough for a cell.
            OutputError: rows or cells cannot be written.
        """
        threads = threads or bench.threads_of(rows_file) or 1
        needs = Needs.of(threads, self.memory, device)
        refuse_if_nowhere(needs)
        cells = {
            (task.trial.name, method.name): (task.trial, method) for task in tasks for method in task.methods
        }
        work = partial(_cell, folder=folder, threads=threads, peers=peers, device=device, spoil=spoil)
        for message in as_they_finish(work, cells, needs, "cell"):
            if isinstance(message, Finished):
                row = message.result or _lost(*cells[message.key], threads, str(message.lost))
                bench.keep(row, folder, rows_file)
                yield row
            else:
                yield Told(*message.key, 0.0, f"on the cluster, with {message.left - 1} more")


def _cell(
    trial: Trial,
    method: Method,
    *,
    folder: Path,
    threads: int,
    peers: Path | None,
    device: str,
    spoil: bool,
) -> Row:
    """In a process of a node."""
    wait_until_free(folder / "runs" / trial.name / method.name)
    desk = Desk(trial, folder, peers, device, spoil, threads=threads)
    return run_cell(desk, method, lambda _share, _phase: None)


def _lost(trial: Trial, method: Method, threads: int, why: str) -> Row:
    """The row of a cell that nobody could finish; `--retry` runs it again."""
    facts = trial.facts | {"method": method.name, "settings": method.identity, "threads": threads}
    return facts | {"error": why}
