"""Jobs run one after the other, can be stopped and go on, and a restart loses none."""

import time
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from flawtrace.ground.files import read_jsonl
from flawtrace.station.errors import ForeignWorkspaceError, NoneLabelledError, WorkerEndedError
from flawtrace.station.store.intake import take_folder
from flawtrace.station.store.jobs import ask, job_row
from flawtrace.station.store.shelf import chosen, labelled
from flawtrace.station.store.tables import JobRow
from flawtrace.station.work import runner
from flawtrace.station.work.inspector import Inspector
from flawtrace.station.work.station import Station

TINY = tomllib.loads((Path(__file__).parents[1] / "tiny.toml").read_text())
LONG = {"cycles": 100_000}
"""So that a training is never over before a test has stopped it."""


def asked(station: Station, **settings: Any) -> int:
    with station.workspace.database.writing() as session:
        return ask(session, "train", {"settings": TINY | settings}).id


def state(station: Station, job: int) -> str:
    with station.workspace.database.reading() as session:
        return job_row(session, job).state


def wait_for(true: Callable[[], bool]) -> None:
    """Until something is true; whoever runs the tests ends what never is."""
    while not true():
        time.sleep(0.1)


def under_way(station: Station, job: int) -> Callable[[], bool]:
    """Whether a training has told of its cycles."""
    file = station.workspace.progress_file(job)
    return lambda: any("cycle" in row.get("phase", "") for row in read_jsonl(file))


@pytest.mark.slow
def test_a_job_is_stopped_goes_on_and_survives_a_restart(tmp_path: Path, photos: Path) -> None:
    station = Station(tmp_path / "station")
    list(take_folder(station.workspace, photos))
    first, second = asked(station, **LONG), asked(station, **LONG)
    wait_for(under_way(station, first))
    assert state(station, second) == "waiting"
    station.close()

    station = Station(tmp_path / "station")
    told = len(list(read_jsonl(station.workspace.progress_file(first))))
    wait_for(lambda: len(list(read_jsonl(station.workspace.progress_file(first)))) > told)
    assert (state(station, first), state(station, second)) == ("running", "waiting")
    station.runner.stop(first)
    wait_for(lambda: state(station, first) == "stopped")
    wait_for(lambda: state(station, second) == "running")
    station.runner.resume(first)
    assert state(station, first) == "waiting"
    station.close()


def test_a_job_that_waits_is_stopped_at_once(station: Station) -> None:
    station.runner.close()
    job = asked(station)
    station.runner.stop(job)
    assert state(station, job) == "stopped"
    station.runner.resume(job)
    assert state(station, job) == "waiting"


@pytest.mark.slow
def test_a_job_that_cannot_work_says_why(station: Station) -> None:
    job = asked(station)
    wait_for(lambda: state(station, job) == "failed")
    with station.workspace.database.reading() as session:
        message = job_row(session, job).message
    assert "Expected" in message


def test_a_training_learns_from_the_images_that_were_chosen(station: Station, photos: Path) -> None:
    list(take_folder(station.workspace, photos))
    station.runner.close()
    with station.workspace.database.writing() as session:
        rows = labelled(session)
        wanted = [rows[0].hash, rows[1].hash, rows[-1].hash]
        images = [row.hash for row in chosen(session, [*wanted, "f" * 64])]
        job = ask(session, "train", {"images": images})
        session.flush()
        with pytest.raises(NoneLabelledError, match="None of the 1 selected"):
            chosen(session, ["f" * 64])
    order = station.runner._ordered(job)
    given = {path.stem for path in order.parts.rglob("*") if path.is_file()}
    assert given == set(wanted)


def test_a_database_that_is_away_for_a_while_ends_no_queue(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "PAUSE", 0.1)
    away = iter([OperationalError("select", {}, Exception("server closed the connection"))] * 3)
    first_waiting = runner.first_waiting

    def asked_once(session: Session) -> JobRow | None:
        for error in away:
            raise error
        return first_waiting(session)

    monkeypatch.setattr(runner, "first_waiting", asked_once)
    with station.workspace.database.writing() as session:
        job = ask(session, "refit", {}).id
    wait_for(lambda: state(station, job) == "failed")
    assert next(away, None) is None


def test_a_refit_wants_a_detector_at_work(station: Station) -> None:
    with station.workspace.database.writing() as session:
        job = ask(session, "refit", {}).id
    wait_for(lambda: state(station, job) == "failed")
    with station.workspace.database.reading() as session:
        assert "No detector is at work yet" in job_row(session, job).message


def test_closing_waits_for_nothing_that_is_looked_at() -> None:
    inspector = Inspector()
    with ThreadPoolExecutor() as pool:
        long = pool.submit(inspector.ask, time.sleep, 3600)
        wait_for(lambda: inspector.begun)
        inspector.close()
        with pytest.raises(WorkerEndedError):
            long.result()


def test_a_folder_with_other_things_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ForeignWorkspaceError, match="not empty"):
        Station(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.tex"]
