"""Alembic migrations of the room's database; run by :class:`isoalign.storage.database.Database`."""
