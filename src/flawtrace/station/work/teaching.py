"""What the process does that trains: images enter, and a checked and compared detector leaves."""

import os
import shutil
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flawtrace import verbs
from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.files import append_json, write_json
from flawtrace.ground.run_files import SUMMARY_NAME
from flawtrace.measures import NothingToEvaluateError
from flawtrace.station.work.orphans import end_with_parent
from flawtrace.training import Event

COMPARED_NAME = "compared.json"
"""In a run: what `compare` said of it and of the detector that was at work."""
CHECKED_NAME = "checked.json"
"""In a run: how far the exported detector is from the original."""
EVERY = 0.25
"""Seconds between two lines of progress."""
VISITS_EVERY = 2.0
"""Seconds between two pictures of where the sampler has been."""
VISITS_SIDE = 32
POLITE = 5
"""How far a training stands back behind the process that looks at images."""


@dataclass(frozen=True)
class Order:
    """What is to be trained, in plain values."""

    task: str
    """`train` or `refit`."""
    parts: Path
    run: Path
    progress: Path
    at_work: Path | None
    """The run of the detector that is at work: what is refitted, and compared with."""
    preset: str = "light"
    labels: int | None = None
    testing: tuple[str, ...] = ()
    """Hashes of images that a refit does not learn from, so that they can test."""
    settings: dict[str, Any] = field(default_factory=dict)


def teach(order: Order) -> None:
    """Carry out an order; what happens is written to its file of progress, an error as its last line."""
    end_with_parent()
    os.nice(POLITE)
    told = Told(order.progress)
    warnings.showwarning = lambda message, *_, **__: told.note(str(message))
    try:
        _made(order, told)
        told.phase("checking the exported detector")
        exported = verbs.export(order.run)
        checked = {"images": exported.num_images, "largest_difference": exported.largest_difference}
        write_json(order.run / CHECKED_NAME, checked)
        told.phase("looking at images that were held out")
        _tested(order, told)
    except FlawtraceError as error:
        told.error(error)
        raise SystemExit(1) from error


def _made(order: Order, told: "Told") -> None:
    if order.task == "refit" and order.at_work is not None:
        if not (order.run / SUMMARY_NAME).exists():
            shutil.rmtree(order.run, ignore_errors=True)  # a refit that was stopped begins again
            apart, defects = frozenset(order.testing), (order.parts / "defects").rglob("*")
            testing = [path for path in defects if path.stem in apart]
            verbs.refit(order.at_work, order.parts, order.run, testing=testing, progress=told.event)
        return
    settings = order.settings | ({} if order.labels is None else {"labels": order.labels})
    verbs.train(
        order.parts, order.run, preset=order.preset, settings=settings, resume=True, progress=told.event
    )


def _tested(order: Order, told: "Told") -> None:
    """Complete the report, and compare with the detector at work, if there is one."""
    try:
        verbs.evaluate(order.run, order.parts, progress=told.count)
        if order.at_work is not None:
            found = verbs.compare(order.at_work, order.run, order.parts, progress=told.count)
            write_json(order.run / COMPARED_NAME, found.to_json())
    except NothingToEvaluateError as error:
        told.note(str(error))


class Told:
    """Writes down how far a training is, a few times each second."""

    def __init__(self, file: Path) -> None:
        self._file, self._phase = file, ""
        self._last = self._last_visits = 0.0
        file.parent.mkdir(parents=True, exist_ok=True)

    def phase(self, phase: str) -> None:
        self._phase = phase
        self._write({"phase": phase, "done": 0, "total": 1})

    def note(self, text: str) -> None:
        """What a person should know."""
        self._write({"note": text})

    def error(self, error: FlawtraceError) -> None:
        """Why it ended."""
        self._write({"error": str(error)})

    def count(self, done: int, total: int) -> None:
        if time.monotonic() - self._last >= EVERY:
            self._write({"phase": self._phase, "done": done, "total": total})

    def event(self, event: Event) -> None:
        if time.monotonic() - self._last < EVERY:
            return
        row = {"phase": event.phase, "done": round(event.done, 2), "total": round(event.total, 2)}
        row["values"] = {name: round(value, 6) for name, value in event.values.items()}
        if event.visits is not None and time.monotonic() - self._last_visits >= VISITS_EVERY:
            row["visits"] = shrunk(event.visits(), VISITS_SIDE)
            self._last_visits = time.monotonic()
        self._write(row)

    def _write(self, row: dict[str, Any]) -> None:
        append_json(self._file, row)
        self._last = time.monotonic()


def shrunk(visits: Any, side: int) -> list[list[int]]:
    """Visits per cell, as shares of the highest in 256 steps, on a grid of at most `side` x `side`."""
    counts = np.asarray(visits, dtype=np.float64)
    step = max(1, counts.shape[0] // side)
    rows, columns = counts.shape[0] // step * step, counts.shape[1] // step * step
    blocks = counts[:rows, :columns].reshape(rows // step, step, columns // step, step).mean(axis=(1, 3))
    return np.round(255 * blocks / max(float(blocks.max()), 1e-12)).astype(int).tolist()  # type: ignore[no-any-return]
