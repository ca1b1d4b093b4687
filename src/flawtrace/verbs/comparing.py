"""Comparing methods on the same held-out images."""

from collections.abc import Callable, Sequence
from pathlib import Path

from flawtrace.comparison import (
    DEFAULT,
    Benchmark,
    Runner,
    Told,
    bench,
    chosen,
    read_methods,
    workers,
    write_board,
)
from flawtrace.data import refuse_foreign
from flawtrace.ground.devices import ready
from flawtrace.ground.files import locked
from flawtrace.ground.groups import ProtocolName


def benchmark(
    folders: Sequence[Path | str],
    out: Path | str,
    *,
    methods: Path | None = None,
    names: Sequence[str] = (),
    protocols: Sequence[ProtocolName] = ("five-per-type",),
    seeds: Sequence[int] = (42, 43, 44, 45, 46),
    labels: Sequence[int] | None = None,
    jobs: int = 1,
    threads: int | None = None,
    rows: Path | None = None,
    peers: Path | None = None,
    retry: bool = False,
    reference: str | None = None,
    device: str = "cpu",
    spoil: bool = False,
    progress: Callable[[bench.Plan, Told | bench.Row], None] | None = None,
    runner: Runner | None = None,
) -> Benchmark:
    """Run every method on every trial that has no row yet, and compare all rows.

    `folders` are categories or hold categories; `rows` is the file of results, `out`/rows.jsonl unless
    named. Differences are to the method `reference`, the first of the rows unless named. `labels` are those
    per defect type under `k-per-type`, 1, 2, 5 and 10 unless named. With `spoil`, rows also have the verdicts
    of flawtrace's own methods on test images spoilt as another day's camera might, and their `steadiness`.

    With `threads`, that many belong to what a cell is, because the last bits of its numbers depend on them:
    rows name them, and a later call without `threads` goes on with those. `runner` runs the cells; by itself
    it is processes of this machine.

    Each trial runs in a process of its own, which imports the script that calls this: put the call below
    `if __name__ == "__main__":`.

    Raises:
        UnguardedScriptError: it does not.
        ThreadsChangedError: a row of these cells was made with another number of threads than `threads`.
        WorkerLostError: a process was killed, most likely because memory ran out.
    """
    workers.refuse_unguarded()
    ready(device)
    if not (Path(out) / "splits").is_dir():
        refuse_foreign(Path(out), own={"peers"})
    file = rows or Path(out) / bench.ROWS_NAME
    asked = chosen(read_methods(methods) if methods else DEFAULT, tuple(names))
    categories = bench.find_categories([Path(folder) for folder in folders])
    design = bench.Design(asked, tuple(protocols), tuple(seeds), tuple(labels) if labels else None, threads)
    plan = bench.plan(categories, design, file, retry)
    if reference:
        chosen(asked, (reference,))
    with locked(Path(out), "splits", "logs", "maps"):
        cells = (runner or workers.run)(
            plan.tasks, Path(out), file, jobs,
            threads=plan.threads, peers=peers, device=device, spoil=spoil,
        )  # fmt: skip
        for message in cells:
            if progress:
                progress(plan, message)
    known = bench.read_rows(file)
    board = write_board(Path(out), known, reference) if known else None
    return Benchmark(tuple(known), tuple(map(str, plan.skipped)), board)
