"""Jobs: ask for a training, watch it, stop it, let it go on."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from anyio import sleep
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sse_starlette import EventSourceResponse
from starlette.concurrency import run_in_threadpool

from flawtrace.station.store.jobs import ask, job_row, jobs, options_of
from flawtrace.station.store.shelf import chosen, counts, painted, types
from flawtrace.station.store.tables import JobRow, State
from flawtrace.station.store.versions import at_work
from flawtrace.station.web.pages import AtWork, back, page
from flawtrace.station.work.runner import tests_of
from flawtrace.station.work.station import Station

router = APIRouter(include_in_schema=False)
ENDED: tuple[State, ...] = ("done", "failed", "stopped")
POLL = 0.5
"""Seconds between two looks at a job that runs."""
MOST_AT_ONCE = 400
"""Lines of progress that somebody gets who comes late."""
NAMES = {"train": "Training", "refit": "Refit", "look": "Looking at images"}


@dataclass(frozen=True)
class Shown:
    """A job as the page shows it."""

    row: JobRow
    options: dict[str, Any]

    @property
    def name(self) -> str:
        return NAMES.get(self.row.task, self.row.task)

    @property
    def over(self) -> bool:
        return self.row.state in ENDED


@router.get("/train")
def train(request: Request, station: AtWork) -> HTMLResponse:
    """Ask for a training, and see how the last ones went."""
    with station.workspace.database.reading() as session:
        there, kinds, working = counts(session), types(session), at_work(session)
        shown = [Shown(row, options_of(row)) for row in jobs(session)]
        tests = painted(session, tests_of(station.run_of(working))) if working else 0
    return page(request, "train", jobs=shown, counts=there, types=kinds, working=working, tests=tests)


@router.post("/jobs")
def add(
    *,
    station: AtWork,
    task: Annotated[Literal["train", "refit"], Form()],
    effort: Annotated[Literal["quick", "light", "paper"], Form()] = "light",
    labels: Annotated[int, Form(ge=0, le=10_000)] = 5,
    types: Annotated[list[str], Form()] = [],  # noqa: B006 (FastAPI copies it)
    images: Annotated[str, Form()] = "",
    note: Annotated[str, Form(max_length=200)] = "",
) -> RedirectResponse:
    """Queue a training or a refit, on all labelled images or on those of `images`, hashes with spaces."""
    preset = "paper" if effort == "paper" else "light"
    options = {"preset": preset, "quick": effort == "quick", "labels": labels, "note": note}
    if types:
        options["types"] = types
    with station.workspace.database.writing() as session:
        if images:
            options["images"] = [row.hash for row in chosen(session, images.split())]
        job = ask(session, task, options).id
    return back(f"/jobs/{job}")


@router.get("/jobs/{job}")
def show(request: Request, station: AtWork, job: int) -> HTMLResponse:
    """How one job is going."""
    with station.workspace.database.reading() as session:
        row = job_row(session, job)
    return page(request, "job", job=Shown(row, options_of(row)))


@router.post("/jobs/{job}/stop")
def stop(station: AtWork, job: int) -> RedirectResponse:
    """Stop it; a training keeps its last checkpoint."""
    station.runner.stop(job)
    return back(f"/jobs/{job}")


@router.post("/jobs/{job}/resume")
def resume(station: AtWork, job: int) -> RedirectResponse:
    """Let it go on."""
    station.runner.resume(job)
    return back(f"/jobs/{job}")


@router.get("/jobs/{job}/events")
async def events(station: AtWork, job: int) -> Response:
    """What happens, as server-sent events: `progress` for each line, `end` with the state it ended in."""
    await run_in_threadpool(_row, station, job)  # a wrong number is an error, not an empty stream
    return EventSourceResponse(_events(station, job))


async def _events(station: Station, job: int) -> AsyncIterator[dict[str, str]]:
    file, read = station.workspace.progress_file(job), 0
    while True:
        row = await run_in_threadpool(_row, station, job)
        lines, read = await run_in_threadpool(_added, file, read)
        for line in thinned(lines, MOST_AT_ONCE):
            yield {"event": "progress", "data": line}
        if row.state in ENDED:
            yield {"event": "end", "data": json.dumps({"state": row.state, "message": row.message})}
            return
        yield {"event": "state", "data": row.state}
        await sleep(POLL)


def _row(station: Station, job: int) -> JobRow:
    with station.workspace.database.reading() as session:
        return job_row(session, job)


def _added(file: Path, start: int) -> tuple[list[str], int]:
    """The whole lines of a file behind so many bytes, and how many bytes that makes."""
    if not file.exists() or file.stat().st_size <= start:
        return [], start
    with file.open("rb") as opened:
        opened.seek(start)
        whole = opened.read().rpartition(b"\n")[0]
    return whole.decode().splitlines(), start + len(whole) + 1 if whole else start


def thinned(lines: Sequence[str], most: int) -> list[str]:
    """Evenly chosen lines of progress, the last among them, and all others, as notes and errors.

    >>> thinned(['{"phase": 1}', '{"phase": 2}', '{"note": ""}', '{"phase": 3}', '{"phase": 4}'], 2)
    ['{"phase": 2}', '{"note": ""}', '{"phase": 4}']
    """
    step, last = max(1, -(-len(lines) // most)), len(lines) - 1
    return [
        line
        for place, line in enumerate(lines)
        if (last - place) % step == 0 or not line.startswith('{"phase"')
    ]
