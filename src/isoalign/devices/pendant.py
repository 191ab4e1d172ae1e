"""The pendant: the only source of the enable token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from isoalign.clock import Clock
from isoalign.devices.link import DeviceLink
from isoalign.devices.transport import Transport
from isoalign.interlocks import Observation
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import BarPosition, DeviceKind, PendantState
from isoalign.protocol.watchdog import is_newer


class Pendant:
    """Watches the enable bar. One press of the bar allows one motion.

    Parameters
    ----------
    open_line : callable
        Opens its TCP connection.
    clock : Clock
    on_state : callable
        Called at once with every state of the bar, to be forwarded unchanged.
    """

    def __init__(
        self,
        open_line: Callable[[], Awaitable[Transport]],
        clock: Clock,
        *,
        on_state: Callable[[PendantState], None],
    ) -> None:
        self.link = DeviceLink(
            "pendant", DeviceKind.PENDANT, open_line, clock, on_message=self._on_message, on_change=self._on_link_change
        )
        self.enable: Observation[bool] | None = None
        self._clock = clock
        self._on_state = on_state
        self._latest: PendantState | None = None
        self._used_press: int | None = None
        self._pressed_at_s: float | None = None
        self._heard_at_s: float | None = None

    @property
    def press_count(self) -> int | None:
        """The latest press of the bar; None before the first state."""
        return None if self._latest is None else self._latest.press_count

    def age_s(self) -> float | None:
        """Seconds since the last state; None before the first."""
        return None if self._heard_at_s is None else self._clock.monotonic_s() - self._heard_at_s

    def is_held(self, limit_s: float) -> bool:
        """Whether the bar is in its middle position and its token has advanced within ``limit_s``."""
        enable = self.enable
        return enable is not None and enable.value and enable.age_s(self._clock.monotonic_s()) <= limit_s

    def has_unused_press(self, *, limit_s: float, press_age_s: float) -> bool:
        """Whether the bar is held by a press that no motion has used yet and that is not older than ``press_age_s``."""
        if self._pressed_at_s is None or not self.is_held(limit_s):
            return False
        return self._clock.monotonic_s() - self._pressed_at_s <= press_age_s

    def use_press(self) -> None:
        """From now on only a press that begins later allows a motion."""
        self._pressed_at_s = None
        self._used_press = self.press_count

    def _on_message(self, message: Message, now_s: float) -> None:
        if not isinstance(message, PendantState):
            return
        before, self._latest = self._latest, message
        self._heard_at_s = now_s
        if self._used_press is None:
            self._used_press = message.press_count  # a bar that is held already when we come is no press
        elif is_newer(message.press_count, self._used_press) and (
            before is None or message.press_count != before.press_count
        ):
            self._pressed_at_s = now_s
        held = message.bar is BarPosition.ENABLED
        advanced = before is not None and is_newer(message.token_counter, before.token_counter)
        if advanced or not held:
            self.enable = Observation(held, now_s)
        elif self.enable is not None:
            self.enable = Observation(held, self.enable.at_s)
        self._on_state(message)

    def _on_link_change(self) -> None:
        if not self.link.is_heard:
            self._latest = None
            self._used_press = None
            self._pressed_at_s = None
            if self.enable is not None:
                self.enable = Observation(False, self.enable.at_s)
