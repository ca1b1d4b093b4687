"""The database loses nothing, in SQLite as in PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, StatementError

from flawtrace.station.errors import BrokenHistoryError, DatabaseError
from flawtrace.station.store.database import Database
from flawtrace.station.store.history import append, verified
from flawtrace.station.store.jobs import ask, becomes, first_waiting, job_row, put_back
from flawtrace.station.store.tables import DeliveryRow, EntryRow, ImageRow

WRITERS, TURNS = 4, 25


def entry(verdict: str = "OK", **changes: object) -> EntryRow:
    said = {"image": "a" * 64, "verdict": verdict, "who": "", "why": "", "checksum": "", "thresholds": "{}"}
    return EntryRow(**{**said, "traits": "{}", "score": 0.1, **changes})


def test_four_writers_lose_no_update(url: str) -> None:
    database = Database(url)
    with database.writing() as session:
        session.add(
            ImageRow(
                hash="a" * 64,
                name="0",
                suffix=".png",
                width=0,
                height=1,
                kind="normal",
                added=datetime.now(UTC),
            )
        )

    def count_up(_: int) -> None:
        mine = Database(url)
        for _ in range(TURNS):
            with mine.writing() as session:
                row = session.scalars(select(ImageRow)).one()
                row.width += 1
        mine.close()

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(count_up, range(WRITERS)))
    with database.reading() as session:
        assert session.scalars(select(ImageRow)).one().width == WRITERS * TURNS
    database.close()


def test_four_writers_make_one_chain(url: str) -> None:
    database = Database(url)

    def write(number: int) -> None:
        for _ in range(TURNS):
            with database.writing() as session:
                append(session, entry(why=str(number)))

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    with database.reading() as session:
        assert verified(session) == WRITERS * TURNS
    database.close()


def test_a_moment_keeps_its_time_zone(url: str) -> None:
    database = Database(url)
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2)))
    row = ImageRow(hash="b" * 64, name="x", suffix=".png", width=1, height=1, kind="normal", added=moment)
    with database.writing() as session:
        session.add(row)
    with database.reading() as session:
        found = session.scalars(select(ImageRow.added)).one()
    assert found == moment
    assert found.tzinfo is UTC
    database.close()


def test_a_moment_without_a_time_zone_is_refused(url: str) -> None:
    database = Database(url)
    naive = datetime(2026, 1, 2)
    row = ImageRow(hash="b" * 64, name="x", suffix=".png", width=1, height=1, kind="normal", added=naive)
    with pytest.raises(StatementError, match="no time zone"), database.writing() as session:
        session.add(row)
    database.close()


@pytest.mark.parametrize("statement", ["UPDATE history SET verdict = 'DEFECT'", "DELETE FROM history"])
def test_the_database_itself_refuses_to_change_the_history(url: str, statement: str) -> None:
    database = Database(url)
    with database.writing() as session:
        append(session, entry())
    with pytest.raises(DBAPIError, match="append-only"), database.writing() as session:
        session.execute(text(statement))
    with database.reading() as session:
        assert verified(session) == 1
    database.close()


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE history SET verdict = 'OK' WHERE id = 2", "line 2 says something else"),
        ("UPDATE history SET score = 0.2 WHERE id = 1", "line 1 says something else"),
        ("DELETE FROM history WHERE id = 2", "line 2 is missing"),
        ("UPDATE history SET id = 9 WHERE id = 3", "line 3 is missing"),
    ],
)
def test_who_changes_it_all_the_same_is_found_out(tmp_path: Path, statement: str, reason: str) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    for verdict in ("OK", "DEFECT", "UNSURE"):
        with database.writing() as session:
            append(session, entry(verdict))
    with database.writing() as session:
        for what in ("UPDATE", "DELETE"):
            session.execute(text(f"DROP TRIGGER history_{what}"))
        session.execute(text(statement))
    with database.reading() as session, pytest.raises(BrokenHistoryError, match=reason):
        verified(session)
    database.close()


def test_what_is_raised_inside_keeps_nothing(url: str) -> None:
    database = Database(url)
    with pytest.raises(RuntimeError), database.writing() as session:
        append(session, entry())
        raise RuntimeError
    with database.reading() as session:
        assert verified(session) == 0
    database.close()


def test_jobs_that_a_restart_cut_short_wait_again(url: str) -> None:
    database = Database(url)
    with database.writing() as session:
        first, second = ask(session, "train", {"labels": 5}).id, ask(session, "refit", {}).id
        becomes(session, first, "running")
    database.close()
    database = Database(url)
    with database.writing() as session:
        assert put_back(session) == 1
    with database.reading() as session:
        waiting = first_waiting(session)
        assert waiting is not None and waiting.id == first
        assert job_row(session, second).state == "waiting"
    database.close()


def test_tables_of_an_earlier_version_are_brought_up_to_date(url: str) -> None:
    database = Database(url)
    with database.writing() as session:
        append(session, entry())
        session.execute(text("DROP TABLE deliveries"))
        session.execute(text("UPDATE alembic_version SET version_num = 'a1'"))
    database.close()
    database = Database(url)
    with database.reading() as session:
        assert verified(session) == 1
        assert session.get(DeliveryRow, "webhook") is None
    database.close()


def test_a_wrong_address_is_told_without_its_password() -> None:
    with pytest.raises(DatabaseError) as told:
        Database("postgresql+psycopg://me:secret@127.0.0.1:1/none")
    assert "secret" not in str(told.value)
    assert "127.0.0.1" in str(told.value)
