"""A station's database: opened, brought up to date, read, and written by one at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from alembic import command
from alembic.config import Config as Alembic
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from flawtrace.station.errors import DatabaseError

WRITER = 7_305_120_267
"""Number of the lock that a writer holds in PostgreSQL."""
PATIENCE = 30
"""Seconds that a writer waits for the one before it."""
WRITES = "writes"
_MIGRATING = Lock()
"""Alembic keeps what it works on in its modules, for all threads."""


class Database:
    """Two ways in: `reading`, by any number at once, and `writing`, by one at a time.

    A writer that reads before it writes sees the work of all writers before it, in SQLite (whose default
    would let two of them read first and then write, and so lose one's work) as well as in PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        """Of an address such as `sqlite:///station.db`; tables are made or brought up to date.

        Raises:
            DatabaseError: there is no such database, or it cannot be used.
        """
        try:
            self.engine = _engine(url)
            _migrate(self.engine)
        except (SQLAlchemyError, ImportError) as error:
            raise DatabaseError(_without_password(url), str(error).splitlines()[0]) from error

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent view; nothing is kept of what is changed inside."""
        with Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """All that is done inside is kept when it ends, or none of it if it raises."""
        with _alone(self.engine) as connection, Session(connection) as session:
            yield session
            session.flush()

    def close(self) -> None:
        self.engine.dispose()


def file_url(path: Path) -> str:
    """The address of a database of SQLite in a file."""
    return f"sqlite:///{path}"


def _engine(url: str) -> Engine:
    engine = create_engine(url, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _connected)
        event.listen(engine, "begin", _begun)
    return engine


def _connected(connection: Any, _: object) -> None:
    connection.isolation_level = None  # or sqlite3 begins transactions itself, and later than asked
    for setting in (
        "journal_mode = WAL",
        "synchronous = FULL",
        f"busy_timeout = {1000 * PATIENCE}",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {setting}")


def _begun(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction while which nobody else writes."""
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({WRITER})"))
        yield connection


def _migrate(engine: Engine) -> None:
    """Bring the tables to the newest form, whatever version of the station made them."""
    alembic = Alembic()
    alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    try:
        with _MIGRATING, _alone(engine) as connection:
            alembic.attributes["connection"] = connection
            command.upgrade(alembic, "head")
    except BaseException:
        engine.dispose()
        raise


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, NoSuchModuleError):
        return "the database's address"
