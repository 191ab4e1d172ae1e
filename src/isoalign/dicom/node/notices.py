"""What the node tells a person while it receives: refusals, conflicts, oddities, commitments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class NoticeKind(Enum):
    """What a notice is about."""

    STORED = "stored"
    ODD = "stored with a warning"
    REFUSED = "refused"
    CONFLICT = "conflict"
    DISK = "not written"
    COMMITTED = "storage commitment"
    NOT_COMMITTED = "storage commitment failed"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message. It names UIDs and attributes, never a person.

    Attributes
    ----------
    status : int
        What the peer was answered.
    """

    kind: NoticeKind
    message: str
    sop_instance_uid: str
    status: int


NoticeTaker = Callable[[Notice], None]


def ignore(_: Notice) -> None:
    """Takes a notice and does nothing."""
