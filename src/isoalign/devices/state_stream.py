"""What couch and gantry have in common on the host's side of a link.

How old the states of a device are, whether its session was lost, and the proof that it has taken everything sent.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TypeVar

import structlog

from isoalign.clock import Clock
from isoalign.devices.errors import LinkLost, StaleState
from isoalign.devices.link import DeviceLink, LinkState, SessionLoss
from isoalign.errors import DeviceError
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import CommandStatus, TimeReply, TimeRequest
from isoalign.protocol.units import s_from_us, us_from_s

_log = structlog.get_logger("isoalign.devices.state_stream")

MICRO_PER_S = 1e6
FUTURE_S = 0.05
"""A state that claims to be made this much later than now comes from a clock that jumped."""

NO_FAULT = ("NONE", "STOP_COMMAND")
"""What latches of couch and gantry are called that are none."""

L = TypeVar("L", bound=IntEnum)


def is_new_fault_in_motion(latch: IntEnum, before: IntEnum | None, *, moves: bool) -> bool:
    """Whether a device tells of a fault that it did not tell of before, while it moves.

    The latch of a STOP that was sent to it is no fault.
    """
    return moves and latch is not before and latch.name not in NO_FAULT


class StateStream:
    """The states of one device that moves, as they arrive over its link.

    Parameters
    ----------
    link : DeviceLink
        Its name is the device's in messages and logs.
    clock : Clock

    Attributes
    ----------
    session_lost : SessionLoss or None
        How the latest session that was lost has ended, until a user takes note.
    """

    def __init__(self, link: DeviceLink, clock: Clock) -> None:
        self.session_lost: SessionLoss | None = None
        self._link = link
        self._clock = clock
        self._was_heard = False
        self._answered_us = 0
        self._state_after_answer = False
        self._state_count: int | None = None
        self._counted_at_s = 0.0

    @property
    def session_ok(self) -> bool | None:
        """Input of the chain: True while up; False when lost or read only; None when there was none, or only a stall.

        A stall is a pause of this computer that the device noticed while at rest: the session comes back by itself,
        nothing has moved, and the enable bar must be pressed anew anyway. In motion the device latches it.
        """
        if self.session_lost is SessionLoss.BROKEN or self._link.state is LinkState.READ_ONLY:
            return False
        return True if self._link.is_up else None

    def acknowledge_loss(self) -> None:
        """A named user has taken note that the session was lost."""
        self.session_lost = None

    def take_state(self, state_count: int, now_s: float) -> float:
        """A state has arrived; returns for how long its counter has stood still, seconds."""
        if state_count != self._state_count:
            self._state_count, self._counted_at_s = state_count, now_s
        self._state_after_answer = True
        return now_s - self._counted_at_s

    def take_answer(self, reply: TimeReply) -> None:
        """The device has answered: what was sent before has been taken, and the next state shows it."""
        self._answered_us = reply.host_send_us
        self._state_after_answer = False

    def made_at_s(self, device_time_us: int, now_s: float) -> float:
        """When the device made a frame, by our clock: frames that waited in a buffer are as old as they are."""
        offset = self._link.session.clock
        if not offset.is_known:
            return now_s
        now_us = us_from_s(now_s)
        made_at_s = s_from_us(offset.host_us(device_time_us, now_us))
        if made_at_s > now_s + FUTURE_S + offset.bound_us(now_us) / MICRO_PER_S:
            return 2 * now_s - made_at_s  # a clock that jumped: as old as it claims to be young
        return min(now_s, made_at_s)

    async def round_trip(self, timeout_s: float = 1.0) -> None:
        """Wait for a state that was made after the device had taken everything sent so far, a stop for example.

        Raises
        ------
        LinkLost, StaleState
        """
        name = self._link.name
        if not self._link.is_up:
            raise StaleState(f"the {name} is not connected ({self._link.state.value})")
        sent_us = us_from_s(self._clock.monotonic_s())
        self._link.send(TimeRequest(host_send_us=sent_us))
        if not await self._link.changed.until(
            lambda: self._answered_us >= sent_us and self._state_after_answer, timeout_s
        ):
            raise LinkLost(f"the {name} did not answer in time", device=name)

    async def clear_latch(
        self,
        latch: Callable[[], L],
        command: Callable[[L], Message],
        *,
        fault: type[DeviceError],
        timeout_s: float,
    ) -> None:
        """Clear what stopped the device, if anything did.

        Parameters
        ----------
        latch : callable
            What is latched by the latest state; its member of value 0 is none.
        command : callable
            Makes the command that clears a latch.
        fault : type of DeviceError
            Raised when the device does not come back to a cleared state.
        timeout_s : float

        Raises
        ------
        StaleState, LinkLost, DeviceRefused
        """
        name = self._link.name
        await self.round_trip(timeout_s)
        before = latch()
        if not before:
            return
        clear = command(before)
        try:
            await self._link.command(clear, until=frozenset({CommandStatus.DONE}), timeout_s=timeout_s)
        except TimeoutError as error:
            raise LinkLost(f"the {name} did not carry out {clear.NAME} in time", device=name) from error
        if not await self._link.changed.until(lambda: not latch(), timeout_s):
            raise fault(f"the {name} took the clearing of {before.name} but still reports it")

    def follow_link(self) -> bool:
        """The link's state has changed; whether its session was lost by that."""
        heard = self._link.is_heard
        was_lost = self._was_heard and not heard
        if was_lost:
            loss = self._link.last_loss or SessionLoss.BROKEN
            if self.session_lost is not SessionLoss.BROKEN:
                self.session_lost = loss
            _log.warning(f"{self._link.name}.session-lost", loss=loss.value)
        self._was_heard = heard
        return was_lost
