"""What the DICOM room needs of storage. ``isoalign.storage`` implements these structurally; the room joins them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

__all__ = ["IndexEntry", "InstanceIndex", "Outbox", "OutboxEntry"]


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What the index says about one file."""

    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    file_name: str
    sha256: str
    size_bytes: int


class InstanceIndex(Protocol):
    """Remembers which instances are on disk. An instance is acknowledged only after it is in here."""

    def add_instances(self, entries: Sequence[IndexEntry]) -> None:
        """Remember instances, in one transaction; adding the same one again changes nothing."""
        ...

    def instance_uids(self) -> set[str]:
        """All that are remembered."""
        ...

    def reconcile(self, *, add: Sequence[IndexEntry], forget: Sequence[str]) -> None:
        """Bring the index in line with the folder, in one transaction."""
        ...


class OutboxEntry(Protocol):
    """One object that has to reach a peer."""

    @property
    def entry_id(self) -> int:
        """Key in the outbox."""
        ...

    @property
    def peer(self) -> str:
        """Name of the destination."""
        ...

    @property
    def sop_instance_uid(self) -> str:
        """The instance."""
        ...

    @property
    def file_name(self) -> str:
        """Path of its DICOM file."""
        ...

    @property
    def attempts(self) -> int:
        """How often it was tried, this time included."""
        ...


class Outbox(Protocol):
    """Objects that have to reach a peer, kept across restarts."""

    def claim_due(self, peer: str, now: datetime, limit: int) -> Sequence[OutboxEntry]:
        """Mark due entries for ``peer`` (its AE title) as being sent and return them, oldest first."""
        ...

    def mark_sent(self, entry_id: int, *, status: int, comment: str, at: datetime) -> None:
        """The peer has it."""
        ...

    def mark_retry(
        self, entry_id: int, *, status: int | None, comment: str, at: datetime, next_try_at: datetime
    ) -> None:
        """Not yet; try again at ``next_try_at``. ``status`` is None when the peer did not answer."""
        ...

    def mark_failed(self, entry_id: int, *, status: int | None, comment: str, at: datetime) -> None:
        """Given up; a person has to look."""
        ...
