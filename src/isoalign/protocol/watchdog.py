"""Watchdogs over counters that must advance, and the enable token.

A counter that arrives again and again without advancing is as dead as one that does not arrive.
"""

from __future__ import annotations

import math
from typing import Final

from isoalign.protocol.messages import BarPosition

COUNTER_MODULUS: Final = 2**32 - 1
"""Counters run from 0 to 2**32 - 2; the last number means "not available" on the wire."""


def next_counter(counter: int) -> int:
    """The counter after ``counter``."""
    return (counter + 1) % COUNTER_MODULUS


def is_newer(counter: int, than: int) -> bool:
    """Whether ``counter`` lies ahead of ``than``, also across the wrap."""
    return 0 < (counter - than) % COUNTER_MODULUS < COUNTER_MODULUS // 2


class CounterWatchdog:
    """Says how long ago a counter last advanced.

    The first value is only a base line: two different values are needed before the counter counts as alive.

    Parameters
    ----------
    expiry_s : float
        The counter is fresh while it advanced less than this long ago.
    """

    def __init__(self, expiry_s: float) -> None:
        self.expiry_s = expiry_s
        self.counter: int | None = None
        self._advanced_s = -math.inf

    def arm(self, now_s: float) -> None:
        """Begin anew: fresh from now on without a counter, for one expiry time."""
        self.counter = None
        self._advanced_s = now_s

    def reset(self) -> None:
        """Begin anew, not fresh."""
        self.counter = None
        self._advanced_s = -math.inf

    def feed(self, counter: int, now_s: float) -> bool:
        """Take a received counter; True when it has advanced. A counter that went back is a new base line."""
        before, self.counter = self.counter, counter
        if before is not None and is_newer(counter, before):
            self._advanced_s = now_s
            return True
        return False

    def age_s(self, now_s: float) -> float:
        """Seconds since the counter advanced; infinite when it never has."""
        return now_s - self._advanced_s

    def is_fresh(self, now_s: float) -> bool:
        """Whether the counter advanced within the expiry time."""
        return self.age_s(now_s) < self.expiry_s


class EnableTokenWatch:
    """What the couch makes of the enable token.

    Enabled means: the switch is in its middle position, the counter advances, and the switch was pressed anew since
    the last :meth:`require_new_press`.
    """

    def __init__(self, expiry_s: float) -> None:
        self._watchdog = CounterWatchdog(expiry_s)
        self._base_press: int | None = None
        self.bar: BarPosition | None = None
        self.press_count: int | None = None
        self.press_is_new = False

    @property
    def counter(self) -> int | None:
        """Latest token counter."""
        return self._watchdog.counter

    def feed(self, bar: BarPosition, press_count: int, token_counter: int, now_s: float) -> None:
        """Take a received token."""
        if self.press_count is not None and press_count != self.press_count:
            self._watchdog.reset()
        self.bar, self.press_count = bar, press_count
        self._watchdog.feed(token_counter, now_s)
        if self._base_press is None:
            self._base_press = press_count
        elif is_newer(press_count, self._base_press):
            self.press_is_new = True

    def require_new_press(self) -> None:
        """From now on only a press that begins later enables."""
        self._base_press = self.press_count
        self.press_is_new = False

    def forget(self) -> None:
        """Forget everything, as after a new session: the first token is only a base line."""
        self._watchdog.reset()
        self.bar = self.press_count = self._base_press = None
        self.press_is_new = False

    def age_s(self, now_s: float) -> float:
        """Seconds since the token advanced."""
        return self._watchdog.age_s(now_s)

    def is_fresh(self, now_s: float) -> bool:
        """Whether the switch is held and the token advances."""
        return self.bar is BarPosition.ENABLED and self._watchdog.is_fresh(now_s)

    def is_enabled(self, now_s: float) -> bool:
        """Whether motion may begin."""
        return self.press_is_new and self.is_fresh(now_s)
