"""How far a command is: a bar on a terminal, a line every few seconds elsewhere, on standard error."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flawtrace.cli.console import err_console
from flawtrace.ground.wording import counted

if TYPE_CHECKING:
    from flawtrace.comparison import Plan, Row, Told
    from flawtrace.data import Split
    from flawtrace.training import Event, Unused
    from flawtrace.verbs import Product

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def _bar() -> Iterator[Callable[[str, float, float, str], None]]:
    """A progress bar on a terminal, a line every few seconds elsewhere."""
    if not err_console.is_terminal:
        yield _lines()
        return
    bar = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    clocks = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    losses = TextColumn("[dim]{task.fields[losses]}")
    with Progress(*bar, *clocks, losses, console=err_console, transient=True) as bars:
        task = bars.add_task("starting", losses="")

        def show(phase: str, done: float, total: float, losses: str) -> None:
            bars.update(task, description=phase, completed=done, total=total, losses=losses)

        yield show


def _lines() -> Callable[[str, float, float, str], None]:
    begun = time.monotonic()
    last, before = begun - SECONDS_BETWEEN_LINES, -1.0

    def show(phase: str, done: float, total: float, losses: str) -> None:
        nonlocal last, before
        share = done / total
        if before < 0:
            before = share  # a run that goes on begins where it was stopped
        if (now := time.monotonic()) - last < SECONDS_BETWEEN_LINES:
            return
        last, gained = now, share - before
        left = f", {(now - begun) * (1 - share) / gained:.0f} s left" if gained > 0.02 else ""
        err_console.print(f"{share:4.0%} {phase}{left}  {losses}", soft_wrap=True)

    return show


@contextmanager
def events() -> "Iterator[Callable[[Event], None]]":
    with _bar() as show:

        def on_event(event: "Event") -> None:
            from flawtrace.training import Drawn, Unused  # noqa: PLC0415 (it loads torch, which is loaded)

            if isinstance(event, Unused):
                err_console.print(unused_in_words(event), markup=False)
                return
            if isinstance(event, Drawn):
                err_console.print(labels_in_words(event.split), markup=False)
                return
            losses = "  ".join(f"{name} {value:.4f}" for name, value in event.values.items())
            show(event.phase, event.done, event.total, losses)

        yield on_event


def unused_in_words(event: "Unused") -> str:
    """How many files of which kind nothing is learnt from."""
    words = ", ".join(counted(count, kind) for kind, count in event.kinds.items())
    return f"Not used: {words} (`flawtrace inspect {event.folder}` lists them)"


def labels_in_words(split: "Split") -> str:
    """How many labels are used, of how many, and which."""
    drawn: defaultdict[str, dict[Path, None]] = defaultdict(dict)
    for sample in split.labelled:
        drawn[str(sample.defect_type)][sample.image] = None
    used = sum(map(len, drawn.values()))
    all_there = used + sum(sample.anomalous for sample in split.test)
    if not all_there:
        return "Labels: none; the detector learns from normal images and made-up defects."
    listed = "; ".join(f"{name} {', '.join(told_apart(images))}" for name, images in drawn.items())
    return (
        f"Labels: {used} of {counted(all_there, 'image')} with a mask {'is' if used == 1 else 'are'} used"
        + (listed and f": {listed}")
    )


def told_apart(images: Collection[Path]) -> list[str]:
    """The names of images, with as many folders before them as tell all of them apart.

    >>> told_apart([Path("parts/a/1.png"), Path("parts/b/1.png")])
    ['a/1.png', 'b/1.png']
    """
    depth = 1
    while len({image.parts[-depth:] for image in images}) < len(images):
        depth += 1
    return [Path(*image.parts[-depth:]).as_posix() for image in images]


@contextmanager
def cells() -> "Iterator[Callable[[Plan, Told | Row], None]]":
    """The whole benchmark in one bar (or line), with the cell that reported last."""
    finished = 0
    with _bar() as show:

        def on_message(plan: "Plan", message: "Told | Row") -> None:
            nonlocal finished
            if isinstance(message, dict):
                finished += 1
                err_console.print(
                    f"{message['trial']} {message['method']}: {_outcome(message)}", markup=False
                )
                return
            cell = f"{message.trial} {message.method}: {message.phase}"
            show(f"{finished}/{plan.num_left} cells", finished + message.share, plan.num_left, cell)

        yield on_message


def _outcome(row: "Row") -> str:
    """In a few words."""
    if "error" in row:
        return str(row["error"]).partition("\n")[0]
    f1 = row["metrics"]["pixel_f1_max"]
    return f"F1_max {'-' if f1 is None else format(f1, '.3f')}"


@contextmanager
def products() -> "Iterator[Callable[[Product | str], None]]":
    """A line for each product that is over; what is waited for is told every few seconds."""
    last = time.monotonic()

    def on_message(message: "Product | str") -> None:
        nonlocal last
        if not isinstance(message, str):
            err_console.print(f"{message.name}: {message.state}", markup=False)
        elif (now := time.monotonic()) - last >= SECONDS_BETWEEN_LINES:
            last = now
            err_console.print(message, markup=False)

    yield on_message


def trained(trial: Any) -> None:
    """A line for each training of a search, which is a `flawtrace.cluster.Trial`."""
    chosen = ", ".join(f"{name} {value}" for name, value in trial.settings.items())
    score = trial.error or f"{trial.score:.3f} after {counted(trial.trainings, 'training')}"
    err_console.print(f"{chosen}: {score}", markup=False)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    with _bar() as show:
        yield lambda done, total: show(what, float(done), float(max(total, 1)), "")
