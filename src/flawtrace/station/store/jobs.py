"""Jobs: pieces of work that take minutes, one of which runs at a time while the others wait."""

import json
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from sqlalchemy import select
from sqlalchemy.orm import Session

from flawtrace.station.errors import NoJobError
from flawtrace.station.store.tables import JobRow, State, now

Task: TypeAlias = Literal["train", "refit", "look"]


def ask(session: Session, task: Task, options: dict[str, Any]) -> JobRow:
    """Queue a job, inside `Database.writing`."""
    row = JobRow(task=task, options=json.dumps(options), state="waiting", message="", asked=now())
    session.add(row)
    session.flush()
    return row


def waiting_like(session: Session, task: Task, options: dict[str, Any]) -> JobRow | None:
    """A job that was asked for in the same words and is not over."""
    under_way = jobs(session, "waiting", "running")
    return next((row for row in under_way if row.task == task and options_of(row) == options), None)


def job_row(session: Session, job: int) -> JobRow:
    """A job's row.

    Raises:
        NoJobError: there is none.
    """
    if (row := session.get(JobRow, job)) is None:
        raise NoJobError(job)
    return row


def options_of(row: JobRow) -> dict[str, Any]:
    """What was asked for."""
    options: dict[str, Any] = json.loads(row.options)
    return options


def becomes(session: Session, job: int, state: State, message: str = "") -> None:
    """Change the state of a job, inside `Database.writing`."""
    row = job_row(session, job)
    row.state, row.message = state, message
    row.ended = now() if state in ("done", "failed", "stopped") else None


def first_waiting(session: Session) -> JobRow | None:
    """The job that is next."""
    query = select(JobRow).where(JobRow.state == "waiting").order_by(JobRow.id).limit(1)
    return session.scalars(query).first()


def jobs(session: Session, *states: State, limit: int = 50) -> Sequence[JobRow]:
    """The newest first; all of them, or those in some states."""
    query = select(JobRow).order_by(JobRow.id.desc()).limit(limit)
    return session.scalars(query.where(JobRow.state.in_(states)) if states else query).all()


def put_back(session: Session) -> int:
    """Let jobs that ran when the station ended wait again, inside `Database.writing`; returns how many."""
    cut_short = session.scalars(select(JobRow).where(JobRow.state == "running")).all()
    for row in cut_short:
        row.state = "waiting"
    return len(cut_short)
