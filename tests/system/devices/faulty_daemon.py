"""The device daemon, with faults of its host that cannot be played from outside. Signals begin and end them.

SIGUSR1: the wall clock steps a hundred years ahead. SIGUSR2: the event loop is blocked for 300 ms. SIGRTMIN: the disk
of its log is full. SIGRTMAX: clock and disk are as they were.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import datetime, timedelta
from types import FrameType

from isoalign.clock import SystemClock
from isoalign.devices import daemon

BLOCKED_S = 0.3
STEP = timedelta(days=36_525)


class SteppingClock(SystemClock):
    """The wall clock may step; the monotonic one does not."""

    step = timedelta(0)

    def utc(self) -> datetime:
        return super().utc() + self.step


def main() -> int:
    log = os.dup(2)
    full = os.open("/dev/full", os.O_WRONLY)

    def step(_number: int, _frame: FrameType | None) -> None:
        SteppingClock.step = STEP

    def block(_number: int, _frame: FrameType | None) -> None:
        time.sleep(BLOCKED_S)

    def fill(_number: int, _frame: FrameType | None) -> None:
        os.dup2(full, 2)

    def repair(_number: int, _frame: FrameType | None) -> None:
        SteppingClock.step = timedelta(0)
        os.dup2(log, 2)

    signal.signal(signal.SIGUSR1, step)
    signal.signal(signal.SIGUSR2, block)
    signal.signal(signal.SIGRTMIN, fill)
    signal.signal(signal.SIGRTMAX, repair)
    daemon.SystemClock = SteppingClock  # type: ignore[misc]
    return daemon.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
