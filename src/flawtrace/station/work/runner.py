"""Runs the jobs of a station one after the other, each training in a process of its own."""

import logging
import shutil
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event, Thread
from typing import Any

from flawtrace.ground.errors import FlawtraceError
from flawtrace.ground.files import read_json, read_jsonl
from flawtrace.ground.run_files import SETTINGS_NAME, SUMMARY_NAME
from flawtrace.pictures.errors import ImageError
from flawtrace.station.errors import BusyError, NoDetectorYetError, WorkerEndedError
from flawtrace.station.store.jobs import becomes, first_waiting, job_row, options_of, put_back
from flawtrace.station.store.shelf import cards, chosen, labelled
from flawtrace.station.store.tables import JobRow, State
from flawtrace.station.store.versions import at_work, register
from flawtrace.station.store.workspace import Workspace
from flawtrace.station.work.parts import lay_out
from flawtrace.station.work.teaching import Order, Told, teach

POLL = 0.5
"""Seconds between two looks at what waits."""
PAUSE = 5.0
"""Seconds after which a database is asked again that did not answer."""
QUICK: dict[str, Any] = {"cycles": 6, "predictor.steps": 300, "last_updates": 300}
"""What a quick training changes in `light`, as the demo does: two minutes, and less accurate."""
MOST_IMAGES = 100_000
"""That one job looks at."""
log = logging.getLogger(__name__)


class Runner:
    """A thread that starts the job that waits longest, and sees to its end."""

    def __init__(self, workspace: Workspace, inspect: Callable[[str], object]) -> None:
        """Jobs that ran when the station ended last time go on first; `inspect` looks at one image."""
        self._workspace, self._inspect = workspace, inspect
        self._closing, self._stopping = Event(), Event()
        with workspace.database.writing() as session:
            put_back(session)
        self._thread = Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, job: int) -> None:
        """Stop a job; a training that has begun can go on later from its last checkpoint."""
        with self._workspace.database.writing() as session:
            row = job_row(session, job)
            if row.state == "waiting":
                becomes(session, job, "stopped")
            elif row.state == "running":
                self._stopping.set()

    def resume(self, job: int) -> None:
        """Let a job that was stopped, or failed, wait its turn again."""
        with self._workspace.database.writing() as session:
            if job_row(session, job).state in ("stopped", "failed"):
                becomes(session, job, "waiting")

    def close(self) -> None:
        """What runs is cut short, and goes on when the station is opened again."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        """A database that is away for a while holds the jobs up, and ends none of them."""
        held_up = False
        while not self._closing.wait(PAUSE if held_up else POLL):
            try:
                if held_up:
                    with self._workspace.database.writing() as session:
                        put_back(session)
                held_up = False
                self._next()
            except Exception:
                log.exception("jobs are held up, and tried again in %g s", PAUSE)
                held_up = True

    def _next(self) -> None:
        with self._workspace.database.reading() as session:
            row = first_waiting(session)
        if row is not None:
            self._stopping.clear()
            self._become(row.id, "running")
            self._become(row.id, *self._outcome(row))

    def _become(self, job: int, state: State, message: str = "") -> None:
        with self._workspace.database.writing() as session:
            becomes(session, job, state, message)

    def _outcome(self, row: JobRow) -> tuple[State, str]:
        """Do a job, and say how it ended."""
        try:
            return self._done(row)
        except FlawtraceError as error:
            return "failed", str(error)
        except Exception as error:  # a fault of ours ends a job, never the queue
            log.exception("job %d", row.id)
            return "failed", f"Something went wrong here: {error}"

    def _done(self, row: JobRow) -> tuple[State, str]:
        if row.task == "look":
            return self._look_at(row)
        order = self._ordered(row)
        process = get_context("spawn").Process(target=teach, args=(order,), name=f"job {row.id}")
        process.start()
        while process.is_alive() and not (self._stopping.is_set() or self._closing.is_set()):
            process.join(POLL)
        if process.is_alive():
            process.terminate()
            process.join()
            return self._cut_short()
        return self._ended(row, order, process)

    def _look_at(self, row: JobRow) -> tuple[State, str]:
        """Let the detector at work look at the images that a filter lets through."""
        with self._workspace.database.reading() as session:
            images = [card.image.hash for card in cards(session, options_of(row)["show"], limit=MOST_IMAGES)]
        told = Told(self._workspace.progress_file(row.id))
        told.phase("looking at images")
        failed = []
        for done, image in enumerate(images):
            try:
                looked = self._inspect_in_turn(image)
            except ImageError as error:
                failed.append(str(error).split("\n")[0])
                looked = True
            if not looked:
                return self._cut_short(f"{done} images were looked at")
            told.count(done + 1, len(images))
        return "done", f"{len(images)} images were looked at" + "".join(f"; {one}" for one in failed[:3])

    def _inspect_in_turn(self, image: str) -> bool:
        """Look at an image as soon as there is room; machines come first. False if the job ends before."""
        while not (self._stopping.is_set() or self._closing.is_set()):
            try:
                self._inspect(image)
                return True
            except BusyError:
                self._closing.wait(POLL)
        return False

    def _cut_short(self, message: str = "") -> tuple[State, str]:
        """How a job ends that somebody stopped, or that goes on when the station is opened again."""
        return ("waiting", "") if self._closing.is_set() else ("stopped", message)

    def _ended(self, row: JobRow, order: Order, process: BaseProcess) -> tuple[State, str]:
        last = last_row(order.progress)
        if process.exitcode != 0:
            return "failed", last.get("error") or str(WorkerEndedError("training"))
        version = register(self._workspace, order.run, options_of(row).get("note", ""))
        return "done", f"Detector {version}"

    def _ordered(self, row: JobRow) -> Order:
        """What a job means, with its images laid out; a training that goes on keeps those it began with."""
        options, workspace, run = options_of(row), self._workspace, self._workspace.run_folder(row.id)
        with workspace.database.reading() as session:
            images, current = options.get("images"), at_work(session)
            rows = labelled(session) if images is None else chosen(session, images)
        before = None if current is None else workspace.root / current.folder
        if row.task == "refit" and before is None:
            raise NoDetectorYetError
        parts = workspace.root / "parts" / f"{row.id:04}"
        if not (run / SETTINGS_NAME).exists():
            shutil.rmtree(parts, ignore_errors=True)
            lay_out(workspace, rows, parts, options.get("types"))
            workspace.progress_file(row.id).unlink(missing_ok=True)
        return Order(
            task=row.task,
            parts=parts,
            run=run,
            progress=workspace.progress_file(row.id),
            at_work=before,
            preset=options.get("preset", "light"),
            labels=options.get("labels"),
            testing=tests_of(before) if before is not None else (),
            settings=(QUICK if options.get("quick") else {}) | options.get("settings", {}),
        )


def tests_of(run: Path) -> tuple[str, ...]:
    """Hashes of the images of defects that a detector has not learnt from: they test the next one, too."""
    summary = read_json(run / SUMMARY_NAME) if (run / SUMMARY_NAME).exists() else {}
    return tuple(Path(file).stem for file in summary.get("left_for_testing", []))


def last_row(progress: Path) -> dict[str, Any]:
    """The last line of a file of progress; empty if there is none."""
    rows = list(read_jsonl(progress))
    return rows[-1] if rows else {}
