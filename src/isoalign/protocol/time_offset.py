"""Offset between host time and device time from request and reply, trusting the quickest exchange.

The bound is honest: half the round trip of the exchange that is used, plus what the clocks may have drifted since.
A delay that differs between the two directions stays within it.

Source: D. Mills, RFC 5905 section 8 (offset and delay from four time stamps).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

DRIFT_PPM: Final = 200.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange: ``offset_us`` = device time minus host time, µs."""

    host_us: int
    offset_us: float
    round_trip_us: float


class TimeOffset:
    """Keeps the latest exchanges and uses the best of them.

    Parameters
    ----------
    window : int
        Number of exchanges kept.
    """

    def __init__(self, window: int = 16) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=window)

    def add(self, host_send_us: int, device_receive_us: int, device_send_us: int, host_receive_us: int) -> None:
        """Take one exchange; a reply that arrives before its request was sent is ignored."""
        round_trip = (host_receive_us - host_send_us) - (device_send_us - device_receive_us)
        if round_trip < 0 or device_send_us < device_receive_us:
            return
        offset = ((device_receive_us - host_send_us) + (device_send_us - host_receive_us)) / 2
        self._exchanges.append(Exchange(host_receive_us, offset, round_trip))

    def clear(self) -> None:
        """Forget everything, as after a new session."""
        self._exchanges.clear()

    @property
    def is_known(self) -> bool:
        """Whether there was an exchange."""
        return bool(self._exchanges)

    def bound_us(self, host_us: int) -> float:
        """Largest error of the offset, µs; infinite before the first exchange."""
        return min((self._bound(exchange, host_us) for exchange in self._exchanges), default=float("inf"))

    def offset_us(self, host_us: int) -> float:
        """Device time minus host time, µs; 0 before the first exchange."""
        if not self._exchanges:
            return 0.0
        return min(self._exchanges, key=lambda exchange: self._bound(exchange, host_us)).offset_us

    def device_us(self, host_us: int) -> int:
        """Device time at a host time, µs."""
        return max(0, round(host_us + self.offset_us(host_us)))

    def host_us(self, device_us: int, now_host_us: int) -> int:
        """Host time at a device time, µs."""
        return round(device_us - self.offset_us(now_host_us))

    @staticmethod
    def _bound(exchange: Exchange, host_us: int) -> float:
        return exchange.round_trip_us / 2 + abs(host_us - exchange.host_us) * DRIFT_PPM * 1e-6
