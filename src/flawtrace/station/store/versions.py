"""Versions of the detector: each training makes one, and one at a time is at work."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from flawtrace.detector import detector_file
from flawtrace.station.errors import NoDetectorYetError
from flawtrace.station.store.tables import DetectorRow, PromotionRow, now
from flawtrace.station.store.workspace import Workspace, content_hash


def register(workspace: Workspace, run: Path, note: str) -> int:
    """Make the detector of a finished run a version; returns its number. Once for each run."""
    folder = run.relative_to(workspace.root).as_posix()
    with workspace.database.writing() as session:
        known = session.scalars(select(DetectorRow).where(DetectorRow.folder == folder)).first()
        if known is not None:
            return known.id
        checksum = content_hash(detector_file(run).read_bytes())
        row = DetectorRow(folder=folder, checksum=checksum, note=note, made=now())
        session.add(row)
        session.flush()
        return row.id


def promote(session: Session, version: int, who: str) -> None:
    """Put a version to work, inside `Database.writing`; an earlier one, to go back to it.

    Raises:
        NoDetectorYetError: there is no such version.
    """
    detector_row(session, version)
    session.add(PromotionRow(detector=version, moment=now(), who=who))


def detector_row(session: Session, version: int) -> DetectorRow:
    """A version's row.

    Raises:
        NoDetectorYetError: there is no such version.
    """
    if (row := session.get(DetectorRow, version)) is None:
        raise NoDetectorYetError(version)
    return row


def at_work(session: Session) -> DetectorRow | None:
    """The version that was put to work last, if any was."""
    last = session.scalars(select(PromotionRow).order_by(PromotionRow.id.desc()).limit(1)).first()
    return None if last is None else session.get(DetectorRow, last.detector)


def needed_at_work(session: Session) -> DetectorRow:
    """The same, where nothing can be done without it.

    Raises:
        NoDetectorYetError: none is at work.
    """
    if (row := at_work(session)) is None:
        raise NoDetectorYetError
    return row


def before_it(session: Session) -> DetectorRow | None:
    """The version that was at work before the one that is now."""
    now_id = None
    for promotion in session.scalars(select(PromotionRow).order_by(PromotionRow.id.desc())):
        if now_id is None:
            now_id = promotion.detector
        elif promotion.detector != now_id:
            return session.get(DetectorRow, promotion.detector)
    return None


def versions(session: Session) -> Sequence[DetectorRow]:
    """All of them, the newest first."""
    return session.scalars(select(DetectorRow).order_by(DetectorRow.id.desc())).all()
