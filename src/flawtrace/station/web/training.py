"""Jobs: ask for a training, watch it, stop it, let it go on."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from anyio import sleep
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sse_starlette import EventSourceResponse
from starlette.concurrency import run_in_threadpool

from flawtrace.ground.files import read_jsonl
from flawtrace.station.store.jobs import ask, job_row, jobs, options_of
from flawtrace.station.store.shelf import counts, types
from flawtrace.station.store.tables import JobRow, State
from flawtrace.station.store.versions import at_work
from flawtrace.station.web.pages import AtWork, back, page
from flawtrace.station.work.station import Station

router = APIRouter(include_in_schema=False)
ENDED: tuple[State, ...] = ("done", "failed", "stopped")
POLL = 0.5
"""Seconds between two looks at a job that runs."""
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
    return page(request, "train", jobs=shown, counts=there, types=kinds, working=working)


@router.post("/jobs")
def add(
    *,
    station: AtWork,
    task: Annotated[Literal["train", "refit"], Form()],
    effort: Annotated[Literal["quick", "light", "paper"], Form()] = "light",
    labels: Annotated[int, Form(ge=0, le=10_000)] = 5,
    types: Annotated[list[str], Form()] = [],  # noqa: B006 (FastAPI copies it)
    note: Annotated[str, Form(max_length=200)] = "",
) -> RedirectResponse:
    """Queue a training or a refit."""
    preset = "paper" if effort == "paper" else "light"
    options = {"preset": preset, "quick": effort == "quick", "labels": labels, "note": note}
    if types:
        options["types"] = types
    with station.workspace.database.writing() as session:
        job = ask(session, task, options).id
    return back(f"/jobs/{job}")


@router.get("/jobs/{job}")
def show(request: Request, station: AtWork, job: int) -> HTMLResponse:
    """How one job is going."""
    with station.workspace.database.reading() as session:
        row = job_row(session, job)
        waiting = len(jobs(session, "waiting", "running"))
    return page(request, "job", job=Shown(row, options_of(row)), waiting=waiting)


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
    sent = 0
    while True:
        row = await run_in_threadpool(_row, station, job)
        rows = await run_in_threadpool(_progress, station, job)
        for said in rows[sent:]:
            yield {"event": "progress", "data": json.dumps(said)}
        sent = len(rows)
        if row.state in ENDED:
            yield {"event": "end", "data": json.dumps({"state": row.state, "message": row.message})}
            return
        yield {"event": "state", "data": row.state}
        await sleep(POLL)


def _row(station: Station, job: int) -> JobRow:
    with station.workspace.database.reading() as session:
        return job_row(session, job)


def _progress(station: Station, job: int) -> list[dict[str, Any]]:
    return list(read_jsonl(station.workspace.progress_file(job)))
