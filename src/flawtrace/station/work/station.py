"""A station at work: what it keeps, and the processes that compute for it."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from flawtrace.ground.shapes import AnomalyMap, Mask
from flawtrace.station.errors import NotSeenError, NoVerdictError
from flawtrace.station.store.history import append, last_about
from flawtrace.station.store.shelf import image_row, label
from flawtrace.station.store.tables import DetectorRow, EntryRow
from flawtrace.station.store.versions import detector_row, needed_at_work
from flawtrace.station.store.workspace import Workspace
from flawtrace.station.work.inspector import Inspector
from flawtrace.station.work.looking import Found, look, read_found
from flawtrace.station.work.runner import Runner


class Station:
    """What it keeps, who looks at images, and who trains."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        """The station of a workspace, which is made where there is none.

        Raises:
            ForeignWorkspaceError, OpenElsewhereError, DatabaseError: as `Workspace`.
        """
        self.workspace = Workspace(folder, url)
        self.inspector = Inspector()
        self.told_seconds: list[Callable[[float], None]] = []
        """Who is told how long each image took, from asking to a verdict in the history."""
        self.runner = Runner(self.workspace, self.inspect)
        self.runner.start()

    def close(self) -> None:
        """Finish what is being looked at; a training is cut short, and goes on next time."""
        self.runner.close()
        self.inspector.close()
        self.workspace.close()

    def run_of(self, detector: DetectorRow) -> Path:
        return self.workspace.root / detector.folder

    def inspect(self, image: str) -> tuple[EntryRow, Found]:
        """Look at an image with the detector at work; the verdict is in the history when this returns.

        Raises:
            NoDetectorYetError: none is.
            NoImageError: the image was never added.
            BusyError, WorkerEndedError: as `Inspector.ask`.
        """
        began = time.perf_counter()
        with self.workspace.database.reading() as session:
            row, detector = image_row(session, image), needed_at_work(session)
        place = self.workspace.found_file(detector.id, image)
        found = self.inspector.ask(look, self.run_of(detector), self.workspace.image_file(row), place)
        entry = EntryRow(
            image=image,
            verdict=found.verdict,
            who="",
            why=found.doubt or "",
            detector=detector.id,
            checksum=detector.checksum,
            thresholds=json.dumps(found.thresholds, sort_keys=True),
            traits=json.dumps(found.traits, sort_keys=True),
            score=found.score,
            overrules=None,
        )
        with self.workspace.database.writing() as session:
            append(session, entry)
        for tell in self.told_seconds:
            tell(time.perf_counter() - began)
        return entry, found

    def found(self, image: str, version: int | None = None) -> tuple[AnomalyMap, Mask, DetectorRow]:
        """Map and mask of an image by one version, or by the one at work, at the image's size.

        Raises:
            NoImageError, NoDetectorYetError: there is no such image, or no such version.
            NotSeenError: that version has not looked at it.
        """
        with self.workspace.database.reading() as session:
            image_row(session, image)
            detector = needed_at_work(session) if version is None else detector_row(session, version)
        file = self.workspace.found_file(detector.id, image)
        if not file.exists():
            raise NotSeenError(detector.id)
        return *read_found(file), detector


def overrule(session: Session, image: str, verdict: str, *, who: str, why: str) -> None:
    """Put a person's verdict in the place of the last one, inside `Database.writing`; it labels the image.

    Raises:
        NoImageError: the image was never added.
        NoVerdictError: there is nothing to overrule.
    """
    label(session, image, "normal" if verdict == "OK" else "defect")
    if (last := last_about(session, image)) is None:
        raise NoVerdictError
    entry = EntryRow(
        image=image,
        verdict=verdict,
        who=who,
        why=why,
        detector=last.detector,
        checksum=last.checksum,
        thresholds=last.thresholds,
        traits=last.traits,
        score=last.score,
        overrules=last.id,
    )
    append(session, entry)
