"""How far the history is delivered to who wants to hear of it."""

from alembic import op
from sqlalchemy import Column, Integer, String

revision, down_revision = "a2", "a1"
branch_labels = depends_on = None


def upgrade() -> None:
    """Make a table for it."""
    op.create_table(
        "deliveries",
        Column("name", String(16), primary_key=True),
        Column("line", Integer, nullable=False),
    )


def downgrade() -> None:
    """Whoever hears of the history would begin anew."""
    op.drop_table("deliveries")
