"""Injected time: monotonic seconds for ages and deadlines, UTC for records."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What a part may ask of time."""

    def monotonic_s(self) -> float:
        """Seconds that never go backwards; the origin means nothing."""
        ...

    def utc(self) -> datetime:
        """The time of day, aware, in UTC; for records only, never for ages."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic_s(self) -> float:
        """See :meth:`Clock.monotonic_s`."""
        return time.monotonic()

    def utc(self) -> datetime:
        """See :meth:`Clock.utc`."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that moves only when told to, for tests and lockstep simulation."""

    def __init__(self, start_utc: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start_utc = start_utc
        self._elapsed_s = 0.0

    def monotonic_s(self) -> float:
        """See :meth:`Clock.monotonic_s`."""
        return self._elapsed_s

    def utc(self) -> datetime:
        """See :meth:`Clock.utc`."""
        return self._start_utc + timedelta(seconds=self._elapsed_s)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass (never negative)."""
        if seconds < 0:
            raise ValueError(f"time does not run backwards: {seconds} s")
        self._elapsed_s += seconds
