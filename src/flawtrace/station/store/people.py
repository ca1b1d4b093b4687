"""Names, roles and passwords of the people who use a station."""

from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import select

from flawtrace.station.errors import NoPersonError
from flawtrace.station.store.database import Database
from flawtrace.station.store.tables import Role, UserRow

_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash("nobody")
"""Checked where there is no such name, so that an answer takes as long."""


@dataclass(frozen=True)
class Person:
    """Somebody who may use the station."""

    name: str
    role: Role
    password: str = field(repr=False)
    """Its hash, another one whenever a password is set."""


def add_person(database: Database, name: str, role: Role, password: str) -> None:
    """Let somebody use the station, or give them another role or password."""
    with database.writing() as session:
        session.merge(UserRow(name=name, role=role, password=_HASHER.hash(password)))


def remove_person(database: Database, name: str) -> None:
    """Let somebody use the station no longer.

    Raises:
        NoPersonError: there is nobody of this name.
    """
    with database.writing() as session:
        if (row := session.get(UserRow, name)) is None:
            raise NoPersonError(name, session.scalars(select(UserRow.name).order_by(UserRow.name)).all())
        session.delete(row)


def people(database: Database) -> list[Person]:
    """Everybody with a password, by name."""
    with database.reading() as session:
        return [_person(row) for row in session.scalars(select(UserRow).order_by(UserRow.name))]


def person(database: Database, name: str) -> Person | None:
    """Who has this name now, if anybody has: one row, by its key."""
    with database.reading() as session:
        row = session.get(UserRow, name)
    return None if row is None else _person(row)


def checked(database: Database, name: str, password: str) -> Person | None:
    """Who says this name and password; None where they do not fit."""
    found = person(database, name)
    try:
        _HASHER.verify(found.password if found else _NOBODY, password)
    except (Argon2Error, InvalidHashError):
        return None
    return found


def _person(row: UserRow) -> Person:
    return Person(row.name, "engineer" if row.role == "engineer" else "inspector", row.password)
