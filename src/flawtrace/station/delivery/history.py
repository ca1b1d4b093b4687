"""The history of a station as lines for a receiver: verdicts, and what people put in their place."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from flawtrace.station.delivery.webhook import Line
from flawtrace.station.errors import DatabaseError
from flawtrace.station.store.database import Database
from flawtrace.station.store.tables import DeliveryRow, EntryRow, ImageRow

NAME = "webhook"
"""Of the row that keeps how far the history is delivered."""
TOGETHER = 100
"""Lines that are read at once."""


class History:
    """The lines of a station's history that are not delivered yet.

    How far they are is kept in the database, and not in a file beside it: a backup that is put back brings
    both back as they were together, so that no line is passed over. One place for all addresses: a receiver
    that has moved hears of what the old address missed.
    """

    def __init__(self, database: Database) -> None:
        """Where nothing was delivered before, it begins with what is written from now on: who begins to
        listen wants to hear of new parts, and the history of a year would keep these waiting for hours.

        Raises:
            DatabaseError: the database does not answer.
        """
        self._database = database
        with self._explained(), database.writing() as session:
            if session.get(DeliveryRow, NAME) is None:
                end = session.scalar(select(func.max(EntryRow.id))) or 0
                session.add(DeliveryRow(name=NAME, line=end))

    def waiting(self) -> Iterator[Line]:
        """Lines that are not delivered, in order; between two of them the database is free.

        Raises:
            DatabaseError: it does not answer.
        """
        with self._explained(), self._database.reading() as session:
            end = session.get_one(DeliveryRow, NAME).line
        while lines := self._after(end):
            yield from lines
            end = lines[-1].end

    def delivered(self, line: Line) -> None:
        """Keep that all lines up to this one are delivered.

        Raises:
            DatabaseError: it cannot be kept.
        """
        with self._explained(), self._database.writing() as session:
            session.get_one(DeliveryRow, NAME).line = line.end

    def _after(self, end: int) -> list[Line]:
        query = (
            select(EntryRow, ImageRow.name)
            .outerjoin(ImageRow, ImageRow.hash == EntryRow.image)
            .where(EntryRow.id > end)
            .order_by(EntryRow.id)
            .limit(TOGETHER)
        )
        with self._explained(), self._database.reading() as session:
            return [_line(entry, name) for entry, name in session.execute(query)]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            url = self._database.engine.url.render_as_string(hide_password=True)
            raise DatabaseError(url, str(error).splitlines()[0]) from error


def _line(entry: EntryRow, name: str | None) -> Line:
    """What a receiver is told of one line of the history; `name` is that of the image."""
    by_person = entry.who != ""
    said = {
        "entry": entry.id,
        "entry_hash": entry.hash,
        "moment": entry.moment.astimezone(UTC).isoformat(timespec="microseconds"),
        "image": entry.image,
        "name": name,
        "verdict": entry.verdict,
        "score": entry.score,
        "doubt": None if by_person else entry.why or None,
        "who": entry.who or None,
        "why": entry.why if by_person else None,
        "overrules": entry.overrules,
        "detector": entry.detector,
        "checksum": entry.checksum,
        "thresholds": json.loads(entry.thresholds),
    }
    return Line(json.dumps(said).encode(), entry.hash, entry.id)
