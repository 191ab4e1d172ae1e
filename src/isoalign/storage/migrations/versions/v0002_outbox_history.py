"""What happened to each entry of the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "outbox_history",
        sa.Column("sequence", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("entry_id", sa.Integer, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("peer_status", sa.Integer, nullable=True),
        sa.Column("peer_comment", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_outbox_history"),
    )
    op.create_index("ix_outbox_history_entry_id", "outbox_history", ["entry_id"])


def downgrade() -> None:
    """Remove the table."""
    op.drop_table("outbox_history")
