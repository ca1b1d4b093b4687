"""Names, roles and passwords of the people who use a station."""

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from flawtrace.station.store.database import Database
from flawtrace.station.store.tables import Role, UserRow

_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash("nobody")
"""Checked where there is no such name, so that an answer takes as long."""


def add_person(database: Database, name: str, role: Role, password: str) -> None:
    """Let somebody use the station, or give them another role or password."""
    with database.writing() as session:
        session.merge(UserRow(name=name, role=role, password=_HASHER.hash(password)))


def anyone(database: Database) -> bool:
    """Whether there is anybody with a password."""
    with database.reading() as session:
        return session.query(UserRow).first() is not None


def checked(database: Database, name: str, password: str) -> Role | None:
    """The role of who says this name and password; None where they do not fit."""
    with database.reading() as session:
        row = session.get(UserRow, name)
    try:
        _HASHER.verify(row.password if row else _NOBODY, password)
    except (Argon2Error, InvalidHashError):
        return None
    if row is None:
        return None
    role: Role = "engineer" if row.role == "engineer" else "inspector"
    return role
