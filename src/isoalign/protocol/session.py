"""What both ends of a session share: identities and the check of sequence numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from isoalign.protocol.messages import Capability, DeviceKind, SessionVerdict

SEQ_MODULUS = 2**16


class SessionState(Enum):
    """Where the host's end of a session stands."""

    CLOSED = "closed"
    GREETING = "waiting for HELLO_ACK"
    OPEN = "open"
    READ_ONLY = "read only"
    WRONG_DEVICE = "another kind of device answered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a device said about itself in HELLO_ACK."""

    kind: DeviceKind
    verdict: SessionVerdict
    capabilities: Capability
    firmware_build: str
    serial_number: str
    protocol: tuple[int, int]
    dictionary_hash: int
    heartbeat_expiry_s: float
    state_period_s: float


class SequenceCheck:
    """Accepts every sequence number once and in order, and counts what is missing or comes again.

    Attributes
    ----------
    latest : int
        Latest accepted number.
    lost, repeated : int
        Numbers never seen; frames dropped because their number was not new.
    """

    def __init__(self) -> None:
        self.latest = 0
        self.lost = 0
        self.repeated = 0
        self._started = False

    def restart(self, seq: int | None = None) -> None:
        """Take ``seq`` as the latest number, or with None the next that comes."""
        self._started = seq is not None
        self.latest = 0 if seq is None else seq

    def accept(self, seq: int) -> bool:
        """Whether a frame with this number is new."""
        ahead = (seq - self.latest) % SEQ_MODULUS
        if self._started and (ahead == 0 or ahead >= SEQ_MODULUS // 2):
            self.repeated += 1
            return False
        if self._started:
            self.lost += ahead - 1
        self._started = True
        self.latest = seq
        return True
