"""Errors of the storage room (exit code 8)."""

from __future__ import annotations

from isoalign.errors import StorageError


class DatabaseUnavailable(StorageError):
    """The database cannot be opened, read or written."""

    code = "storage.unavailable"
    default_hint = "Check the database URL, the disk space and the permissions of the folder."


class DatabaseTooNew(StorageError):
    """The database was made by a newer version of this package."""

    code = "storage.too-new"
    default_hint = "Update isoalign, or use another database."


class JournalBroken(StorageError):
    """The audit journal was changed after it was written."""

    code = "storage.journal-broken"
    default_hint = "Keep the database as evidence, restore a backup, and find out who had access."


class UnknownEntry(StorageError):
    """An outbox entry does not exist or is not in the state that the change needs."""

    code = "storage.unknown-entry"
    default_hint = "Read the outbox again."
