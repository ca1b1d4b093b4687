"""The tables of a station's database; `migrations` makes them."""

from datetime import UTC, datetime
from typing import Literal, TypeAlias

from sqlalchemy import DateTime, Dialect, Float, ForeignKey, Index, MetaData, String, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Kind: TypeAlias = Literal["unlabelled", "normal", "defect", "aside"]
State: TypeAlias = Literal["waiting", "running", "done", "failed", "stopped"]
Role: TypeAlias = Literal["inspector", "engineer"]

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
"""Of constraints, so that a later migration can find them in any database."""
HASH = 64
"""Hex digits of a SHA-256."""


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC; SQLite, which keeps no time zone, gives it back with one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What is stored.

        Raises:
            ValueError: the moment has no time zone, so nobody knows which moment it is.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """What comes back, always in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class ImageRow(Table):
    """An image, told by content, and what people say it shows."""

    __tablename__ = "images"
    hash: Mapped[str] = mapped_column(String(HASH), primary_key=True)
    """SHA-256 of the file."""
    name: Mapped[str] = mapped_column(Text)
    """What its owner called the file; shown, and never a path."""
    suffix: Mapped[str] = mapped_column(String(8))
    width: Mapped[int]
    height: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16), index=True)
    defect_type: Mapped[str | None] = mapped_column(Text)
    mask: Mapped[str | None] = mapped_column(String(HASH))
    """SHA-256 of the file of its mask."""
    added: Mapped[datetime] = mapped_column(Moment, index=True)


class DetectorRow(Table):
    """A version of the detector; its number is the version."""

    __tablename__ = "detectors"
    id: Mapped[int] = mapped_column(primary_key=True)
    folder: Mapped[str] = mapped_column(Text)
    """Of its run, below the workspace."""
    checksum: Mapped[str] = mapped_column(String(HASH))
    """SHA-256 of its file as it was trained."""
    note: Mapped[str] = mapped_column(Text)
    made: Mapped[datetime] = mapped_column(Moment)


class PromotionRow(Table):
    """That a version was put to work; the last one is at work now."""

    __tablename__ = "promotions"
    id: Mapped[int] = mapped_column(primary_key=True)
    detector: Mapped[int] = mapped_column(ForeignKey("detectors.id"))
    moment: Mapped[datetime] = mapped_column(Moment)
    who: Mapped[str] = mapped_column(Text)


class EntryRow(Table):
    """One line of the history: a verdict, or what a person put in its place. Never changed."""

    __tablename__ = "history"
    id: Mapped[int] = mapped_column(primary_key=True)
    image: Mapped[str] = mapped_column(String(HASH))
    verdict: Mapped[str] = mapped_column(String(16))
    """OK, UNSURE or DEFECT."""
    who: Mapped[str] = mapped_column(Text)
    """Empty where the detector said it."""
    why: Mapped[str] = mapped_column(Text)
    detector: Mapped[int | None] = mapped_column(ForeignKey("detectors.id"))
    checksum: Mapped[str] = mapped_column(String(HASH))
    """Of the detector's weights."""
    thresholds: Mapped[str] = mapped_column(Text)
    """As JSON."""
    traits: Mapped[str] = mapped_column(Text)
    """What the image looked like from afar, as JSON."""
    score: Mapped[float | None] = mapped_column(Float)
    moment: Mapped[datetime] = mapped_column(Moment)
    overrules: Mapped[int | None] = mapped_column(ForeignKey("history.id"))
    """The line whose verdict a person overruled."""
    before: Mapped[str] = mapped_column(String(HASH))
    """`hash` of the line before."""
    hash: Mapped[str] = mapped_column(String(HASH))
    """SHA-256 of all of the above."""

    __table_args__ = (Index("ix_history_image_id", "image", "id"), Index("ix_history_moment", "moment"))


class DeliveryRow(Table):
    """How far the history is delivered to who wants to hear of it."""

    __tablename__ = "deliveries"
    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    line: Mapped[int]
    """The last one that was received; 0 where none was."""


class JobRow(Table):
    """A piece of work that takes minutes, one at a time."""

    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    task: Mapped[str] = mapped_column(String(16))
    options: Mapped[str] = mapped_column(Text)
    """As JSON."""
    state: Mapped[str] = mapped_column(String(16), index=True)
    message: Mapped[str] = mapped_column(Text)
    """Why it failed, or what came out."""
    asked: Mapped[datetime] = mapped_column(Moment)
    ended: Mapped[datetime | None] = mapped_column(Moment)


class UserRow(Table):
    """Who may use a station that others can reach."""

    __tablename__ = "users"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    password: Mapped[str] = mapped_column(Text)
    """Its Argon2 hash."""
