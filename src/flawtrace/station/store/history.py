"""The history of verdicts: lines are added, never changed, and each carries the hash of the one before."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC

from sqlalchemy import select
from sqlalchemy.orm import Session

from flawtrace.station.errors import BrokenHistoryError
from flawtrace.station.store.tables import EntryRow, now

START = "0" * 64
"""What the first line carries."""
TOGETHER = 1000
"""Lines that `verified` reads at once."""


def append(session: Session, entry: EntryRow) -> EntryRow:
    """Add a line, inside `Database.writing`; its number, moment and hashes are set here."""
    last = session.scalars(select(EntryRow).order_by(EntryRow.id.desc()).limit(1)).first()
    entry.id = 1 if last is None else last.id + 1
    entry.moment = now()
    entry.before = START if last is None else last.hash
    entry.hash = sealed(entry)
    session.add(entry)
    return entry


def last_about(session: Session, image: str) -> EntryRow | None:
    """The last line about an image, if there is any."""
    query = select(EntryRow).where(EntryRow.image == image).order_by(EntryRow.id.desc()).limit(1)
    return session.scalars(query).first()


def sealed(entry: EntryRow) -> str:
    """SHA-256, as 64 hex digits, of everything that a line says, the hash of the line before among it."""
    said = {column.name: getattr(entry, column.name) for column in EntryRow.__table__.columns}
    del said["hash"]
    said["moment"] = entry.moment.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def verified(session: Session) -> int:
    """The number of lines, if none was changed, taken out or put in.

    That lines were cut off at the end cannot be seen here: compare the number and the last hash with a copy
    kept elsewhere.

    Raises:
        BrokenHistoryError: a line is not what it was, or not where it was.
    """
    before, count = START, 0
    rows: Iterable[EntryRow] = session.scalars(
        select(EntryRow).order_by(EntryRow.id).execution_options(yield_per=TOGETHER)
    )
    for count, entry in enumerate(rows, start=1):
        if entry.id != count:
            raise BrokenHistoryError(count, "is missing")
        if entry.before != before:
            raise BrokenHistoryError(count, "does not follow the line before it")
        if entry.hash != sealed(entry):
            raise BrokenHistoryError(count, "says something else than when it was written")
        before = entry.hash
    return count
