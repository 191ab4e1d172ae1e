"""The couch and a host that does everything right, on one clock that nobody waits for.

Real bytes go both ways between a :class:`~isoalign.protocol.HostSession` and the firmware; the time between them is
zero. Hours of motion pass in minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isoalign.protocol import HostSession, Message, micro_from_axes
from isoalign.protocol.messages import (
    BarPosition,
    CommandStatus,
    CouchSafety,
    CouchState,
    DeviceKind,
    EnableToken,
    Move,
    SpeedClass,
    StopReason,
)
from isoalign.simulators.couch_firmware import CouchFirmware

TICK_S = 0.01
BEAT_S = 0.04
_HEARS_WITHIN_S = 3 * BEAT_S
_GREETS_WITHIN_S = 0.3


class VirtualCouch:
    """A couch and its host; the enable bar is released at first.

    Parameters
    ----------
    firmware : CouchFirmware
        Booted at ``now_s`` 0.
    on_state : callable, optional
        Called with every state that the host receives and the time; ``firmware.body`` is the truth at that time.
    on_tick : callable, optional
        Called with the time after every tick.
    on_safety : callable, optional
        Called with every report of circuits and sensors and the time.

    Attributes
    ----------
    now_s : float
    beat : int
        Counter of the client and of the enable token.
    """

    def __init__(
        self,
        firmware: CouchFirmware,
        *,
        on_state: Callable[[CouchState, float], None] = lambda _state, _now_s: None,
        on_tick: Callable[[float], None] = lambda _now_s: None,
        on_safety: Callable[[CouchSafety, float], None] = lambda _report, _now_s: None,
    ) -> None:
        self.firmware = firmware
        self.host = HostSession(DeviceKind.COUCH)
        self.now_s = 0.0
        self.beat = 0
        self._on_state = on_state
        self._on_tick = on_tick
        self._on_safety = on_safety
        self._bar = BarPosition.RELEASED
        self._presses = 0
        self._next_beat_s = 0.0
        self.host.connect(0.0)
        self.run_for(_GREETS_WITHIN_S)

    def run_for(self, duration_s: float) -> None:
        """Let time pass."""
        end_s = self.now_s + duration_s
        while self.now_s < end_s:
            self.now_s = min(self.now_s + TICK_S, end_s)
            self.exchange()

    def run_until_rest(self) -> None:
        """Let time pass until the motion is over."""
        while self.firmware.is_moving or not self.firmware.is_standing:
            self.run_for(TICK_S)

    def press(self) -> None:
        """Press the bar anew, until the couch has heard it."""
        self.release()
        self._bar = BarPosition.ENABLED
        self._presses += 1
        self.run_for(_HEARS_WITHIN_S)

    def release(self) -> None:
        """Let the bar go, until the couch has heard it."""
        self._bar = BarPosition.RELEASED
        self.run_for(_HEARS_WITHIN_S)

    def begin_move(self, target: Sequence[float], *, speed_permille: int = 1000) -> bool:
        """Send MOVE; whether the couch carries it out.

        Parameters
        ----------
        target : sequence of six floats
            IEC 61217, mm and degrees.
        speed_permille : int
            Of the full speed.
        """
        command = Move(
            command_id=1,
            valid_until_us=0,
            speed_class=SpeedClass.NORMAL,
            speed_permille=speed_permille,
            target_micro=micro_from_axes(target),
            expected_start_micro=(None,) * 6,
        )
        number = self.host.issue(command, self.now_s)
        self.exchange()
        progress = self.host.progress(number)
        return progress is not None and progress.status is CommandStatus.STARTED

    def stop(self) -> None:
        """STOP arrives now."""
        self.host.stop(StopReason.HOLD, self.now_s)
        self.exchange()

    def exchange(self) -> None:
        """Both sides say now what is due and hear it."""
        now_s = self.now_s
        if now_s >= self._next_beat_s and self.host.is_open:
            self._next_beat_s = now_s + BEAT_S
            self.beat += 1
            self.host.client_counter = self.beat
            self.host.send(EnableToken(bar=self._bar, press_count=self._presses, token_counter=self.beat), now_s)
            self.host.heartbeat(now_s)
        self.host.poll(now_s)
        self.firmware.receive(self.host.take_output(), now_s)
        self.firmware.step(now_s)
        messages: list[Message] = self.host.feed(self.firmware.take_output(), now_s)
        for message in messages:
            if isinstance(message, CouchState):
                self._on_state(message, now_s)
            elif isinstance(message, CouchSafety):
                self._on_safety(message, now_s)
        self._on_tick(now_s)
