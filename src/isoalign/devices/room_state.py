"""What the daemon is told by the room and by its configuration, besides what devices report: beam and calibration."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from isoalign.clock import Clock
from isoalign.devices.errors import BadParameters
from isoalign.interlocks import Beam, Observation
from isoalign.protocol.watchdog import is_newer


class BeamWatch:
    """The latest state of the treatment beam; it stays fresh only while the counter of whoever tells it advances."""

    def __init__(self) -> None:
        self.latest: Observation[Beam] | None = None
        self._counter: int | None = None
        self._peer: int | None = None

    def take(self, peer: int, state: Beam, counter: int, now_s: float) -> None:
        """Somebody tells it; a counter that does not advance can make it worse, never fresher.

        Parameters
        ----------
        peer : int
            Who.
        state : Beam
        counter : int
            Of whoever tells it; 32 bits that wrap around.
        now_s : float
            Monotonic seconds.

        Raises
        ------
        BadParameters
            When another client tells it already: nobody could say which of the two is right.
        """
        if self._peer not in {None, peer}:
            raise BadParameters("another client tells the state of the treatment beam")
        self._peer = peer
        if self.latest is None or self._counter is None or is_newer(counter, self._counter):
            self.latest, self._counter = Observation(state, now_s), counter
        elif state is not Beam.OFF:
            self.latest = Observation(state, self.latest.at_s)

    def client_gone(self, peer: int) -> None:
        """A client is gone; when it told the beam, nothing is known until the next one does."""
        if peer == self._peer:
            self.latest = self._counter = self._peer = None


class CalibrationExpiry:
    """Whether the calibration is still valid, by two clocks.

    The end is also kept on the monotonic clock from the start on, so that setting the wall clock back makes no
    calibration valid again.

    Parameters
    ----------
    valid_until : datetime or None
        UTC; None when the configuration does not say.
    clock : Clock
    """

    def __init__(self, valid_until: datetime | None, clock: Clock) -> None:
        self._clock = clock
        self._until = valid_until
        self._until_s = (
            None if valid_until is None else clock.monotonic_s() + (valid_until - clock.utc()).total_seconds()
        )

    def is_valid(self) -> bool | None:
        """None when the configuration does not say until when."""
        if self._until is None or self._until_s is None:
            return None
        return self._clock.monotonic_s() < self._until_s and self._clock.utc() < self._until


class RecentLoads:
    """Least and greatest load of the table top over the last seconds.

    A couch that allows for its load measures it with a filter of its own, so that the position that it tells follows
    what gets on or off only slowly.
    """

    KEPT_S = 5.0
    _BIN_S = 0.5

    def __init__(self) -> None:
        self._bins: deque[tuple[float, float, float]] = deque()

    def recent(self, load_kg: float | None, now_s: float) -> tuple[float, float] | None:
        """The range, with the load of now; None when that is not known."""
        if load_kg is None:
            return None
        bins = self._bins
        if bins and now_s - bins[-1][0] < self._BIN_S:
            begun_s, least, greatest = bins.pop()
            bins.append((begun_s, min(least, load_kg), max(greatest, load_kg)))
        else:
            bins.append((now_s, load_kg, load_kg))
        while now_s - bins[0][0] > self.KEPT_S:
            bins.popleft()
        return min(least for _, least, _ in bins), max(greatest for _, _, greatest in bins)
