"""When a couch last heard who it depends on, began to stop and came to rest, by its own clock: truth for tests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from isoalign.simulators.couch_firmware import CouchFirmware


class MotionTimes:
    """Follows a couch from tick to tick.

    Attributes
    ----------
    heartbeat_s, token_s : float or None
        When the host's heartbeat, and the enable token, had last advanced before the latest stop began.
    stop_began_s : float or None
        Of the present or latest motion; None while it has not been stopped.
    rest_s : float or None
        When the true speed of the last axis fell below what counts as standing; None while something moves.
    longest_tick_s : float
        The longest time between two ticks since the latest motion began.
    """

    def __init__(self) -> None:
        self.heartbeat_s: float | None = None
        self.token_s: float | None = None
        self.stop_began_s: float | None = None
        self.rest_s: float | None = None
        self.longest_tick_s = 0.0
        self._heartbeat_s: float | None = None
        self._token_s: float | None = None
        self._was_moving = False
        self._was_fast = False
        self._ticked_s = math.inf

    def heard(self, couch: CouchFirmware, now_s: float) -> None:
        """The couch has taken what arrived."""
        heartbeat_age_s, token_age_s = couch.session.host.age_s(now_s), couch.token.age_s(now_s)
        if math.isfinite(heartbeat_age_s):
            self._heartbeat_s = now_s - heartbeat_age_s
        if math.isfinite(token_age_s):
            self._token_s = now_s - token_age_s

    def passed(self, couch: CouchFirmware, now_s: float) -> None:
        """The couch has moved on to ``now_s``."""
        if couch.is_moving and not self._was_moving:
            self.stop_began_s = self.rest_s = None
            self.longest_tick_s = 0.0
        else:
            self.longest_tick_s = max(self.longest_tick_s, now_s - self._ticked_s)
        if couch.stop_begins_s is not None and self.stop_began_s is None:
            self.stop_began_s = couch.stop_begins_s
            self.heartbeat_s, self.token_s = self._heartbeat_s, self._token_s
        fast = bool((np.abs(couch.body.velocity) >= couch.settled_speed).any())
        if self._was_fast and not fast:
            self.rest_s = now_s
        self._was_moving, self._was_fast, self._ticked_s = couch.is_moving, fast, now_s

    def as_truth(self) -> dict[str, float | None]:
        """For the truth connection."""
        names = ("heartbeat_s", "token_s", "stop_began_s", "rest_s", "longest_tick_s")
        return {name: getattr(self, name) for name in names}
