"""The first tables; the history refuses to be changed."""

from alembic import op
from sqlalchemy import Column, Float, ForeignKey, Integer, String, Text

from flawtrace.station.store.tables import HASH, Moment

revision, down_revision = "a1", None
branch_labels = depends_on = None

SQLITE = """
CREATE TRIGGER history_{what} BEFORE {what} ON history
BEGIN SELECT RAISE(ABORT, 'the history of verdicts is append-only'); END
"""
FUNCTION = """
CREATE FUNCTION history_is_append_only() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION 'the history of verdicts is append-only'; END $$ LANGUAGE plpgsql
"""
POSTGRESQL = """
CREATE TRIGGER history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON history
FOR EACH STATEMENT EXECUTE FUNCTION history_is_append_only()
"""


def upgrade() -> None:
    """Make everything."""
    op.create_table(
        "images",
        Column("hash", String(HASH), primary_key=True),
        Column("name", Text, nullable=False),
        Column("suffix", String(8), nullable=False),
        Column("width", Integer, nullable=False),
        Column("height", Integer, nullable=False),
        Column("kind", String(16), nullable=False, index=True),
        Column("defect_type", Text),
        Column("mask", String(HASH)),
        Column("added", Moment, nullable=False, index=True),
    )
    op.create_table(
        "detectors",
        Column("id", Integer, primary_key=True),
        Column("folder", Text, nullable=False),
        Column("checksum", String(HASH), nullable=False),
        Column("note", Text, nullable=False),
        Column("made", Moment, nullable=False),
    )
    op.create_table(
        "promotions",
        Column("id", Integer, primary_key=True),
        Column("detector", Integer, ForeignKey("detectors.id"), nullable=False),
        Column("moment", Moment, nullable=False),
        Column("who", Text, nullable=False),
    )
    op.create_table(
        "history",
        Column("id", Integer, primary_key=True),
        Column("image", String(HASH), nullable=False),
        Column("verdict", String(16), nullable=False),
        Column("who", Text, nullable=False),
        Column("why", Text, nullable=False),
        Column("detector", Integer, ForeignKey("detectors.id")),
        Column("checksum", String(HASH), nullable=False),
        Column("thresholds", Text, nullable=False),
        Column("traits", Text, nullable=False),
        Column("score", Float),
        Column("moment", Moment, nullable=False),
        Column("overrules", Integer, ForeignKey("history.id")),
        Column("before", String(HASH), nullable=False),
        Column("hash", String(HASH), nullable=False),
    )
    op.create_index("ix_history_image_id", "history", ["image", "id"])
    op.create_index("ix_history_moment", "history", ["moment"])
    op.create_table(
        "jobs",
        Column("id", Integer, primary_key=True),
        Column("task", String(16), nullable=False),
        Column("options", Text, nullable=False),
        Column("state", String(16), nullable=False, index=True),
        Column("message", Text, nullable=False),
        Column("asked", Moment, nullable=False),
        Column("ended", Moment),
    )
    op.create_table(
        "users",
        Column("name", String(64), primary_key=True),
        Column("role", String(16), nullable=False),
        Column("password", Text, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for what in ("UPDATE", "DELETE"):
            op.execute(SQLITE.format(what=what))
    elif op.get_bind().dialect.name == "postgresql":
        op.execute(FUNCTION)
        op.execute(POSTGRESQL)


def downgrade() -> None:
    """There is nothing before it."""
    raise NotImplementedError("the first tables have no earlier form")
