"""Virtual time: an event loop whose clock jumps to what is due next as soon as nothing is left to be done now.

Bytes still go through real sockets and pseudo-terminals, which deliver within one machine at once; only waiting takes
no time. What happens, and in which order, does not depend on how busy the machine is.
"""

from __future__ import annotations

import asyncio
import math
import os
import selectors
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

from isoalign.clock import Clock, ManualClock, SystemClock

THREADS_POLL_S = 0.001
ADVANCE_MAX_S = 3600.0

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class LockstepLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time.

    While a thread of the loop's executor works, time stands still. A child process does not hold time up: what talks
    to one belongs into real time.

    Parameters
    ----------
    leave_s : float
        How far time may go until :meth:`advance` allows more, seconds; infinite by default.

    Attributes
    ----------
    clock : ManualClock
        The loop's time, for whatever takes a clock.
    """

    def __init__(self, leave_s: float = math.inf) -> None:
        self.clock = ManualClock()
        self._horizon_s = leave_s
        self._threads = 0
        super().__init__(_VirtualSelector(self._wait_s))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self.clock.monotonic_s()

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, beyond what is allowed already; returns when they have."""
        until_s = self.time() + seconds
        self._horizon_s = max(self._horizon_s, until_s)
        await asyncio.sleep(seconds)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """As the base class; time stands still meanwhile."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self._threads -= 1

    def _wait_s(self, timeout_s: float | None) -> float | None:
        """Nothing is to be done for ``timeout_s``: let that pass in virtual time; how long to wait in real time."""
        if self._threads:
            return THREADS_POLL_S
        if timeout_s is None:
            return None
        step_s = min(timeout_s, self._horizon_s - self.time())
        if step_s <= 0.0:
            return None
        self.clock.advance(step_s)
        return 0.0


class _VirtualSelector(selectors.BaseSelector):
    """Looks for input without waiting; when there is none, asks how time goes on."""

    def __init__(self, wait_s: Callable[[float | None], float | None]) -> None:
        self._real = selectors.DefaultSelector()
        self._wait_s = wait_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        os.sched_yield()  # the kernel hands the bytes of a pseudo-terminal on in a thread of its own
        return self._real.select(0) or self._real.select(self._wait_s(timeout))

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


def clock_of_the_loop() -> Clock:
    """The clock of the running loop: virtual in a :class:`LockstepLoop`, the machine's otherwise."""
    loop = asyncio.get_running_loop()
    return loop.clock if isinstance(loop, LockstepLoop) else SystemClock()
