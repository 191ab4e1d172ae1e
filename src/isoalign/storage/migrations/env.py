"""Alembic's entry point; the caller hands over its connection."""

from __future__ import annotations

from alembic import context

from isoalign.storage.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
