"""The pendant simulator: a three-position enabling switch, pressed by a control connection."""

from __future__ import annotations

import argparse

from isoalign.clock import Clock
from isoalign.protocol import DeviceIdentity, DeviceSession, next_counter
from isoalign.protocol.host_session import random_u32
from isoalign.protocol.messages import (
    PENDANT_HEARTBEAT_EXPIRY_US,
    PENDANT_STATE_PERIOD_US,
    TOKEN_PERIOD_US,
    BarPosition,
    Capability,
    DeviceKind,
    Hello,
    PendantState,
)
from isoalign.simulators.errors import InvalidTruthRequest, UnknownFault
from isoalign.simulators.lockstep import clock_of_the_loop
from isoalign.simulators.process import Request, Simulation, run
from isoalign.simulators.tcp_device import TcpDevice

FAULTS = ("freeze", "token_stuck", "bar_stuck")


class PendantFirmware:
    """The enabling switch and its token.

    The token counter advances 20 times a second while the switch is in its middle position. From fully squeezed it
    leads back to the middle only by way of released, as IEC 60204-1 asks of a three-position device.

    Faults: ``freeze`` (says nothing more), ``token_stuck`` (the counter stops although the switch is held),
    ``bar_stuck`` (the switch stays where it is, whatever the hand does).
    """

    def __init__(self, *, now_s: float, press_count: int | None = None) -> None:
        self.session = DeviceSession(
            DeviceIdentity(
                kind=DeviceKind.PENDANT,
                capabilities=Capability.ENABLE_TOKEN,
                serial_number="SIM-PENDANT",
                heartbeat_expiry_us=PENDANT_HEARTBEAT_EXPIRY_US,
                state_period_us=PENDANT_STATE_PERIOD_US,
            ),
            boot_s=now_s,
        )
        self.bar = BarPosition.RELEASED
        self.press_count = next_counter(random_u32()) if press_count is None else press_count
        self.token_counter = next_counter(random_u32())
        self.faults: set[str] = set()
        self._state_count = 0
        self._next_state_s = self._next_token_s = now_s

    def press(self, now_s: float) -> None:
        """Press to the middle position. From fully squeezed this does nothing: release first."""
        if self.bar is BarPosition.RELEASED and "bar_stuck" not in self.faults:
            self.bar = BarPosition.ENABLED
            self.press_count = next_counter(self.press_count)
            self._next_token_s = self._next_state_s = now_s

    def release(self, now_s: float) -> None:
        """Let go."""
        self._put(BarPosition.RELEASED, now_s)

    def squeeze(self, now_s: float) -> None:
        """Press all the way, as one does in fright."""
        self._put(BarPosition.SQUEEZED, now_s)

    def _put(self, bar: BarPosition, now_s: float) -> None:
        if "bar_stuck" not in self.faults:
            self.bar = bar
            self._next_state_s = now_s

    def receive(self, data: bytes, now_s: float) -> None:
        """Take received bytes."""
        for message in self.session.feed(data, now_s):
            if isinstance(message, Hello):
                self._next_state_s = now_s

    def step(self, now_s: float) -> None:
        """Let time pass: count, tell."""
        self.session.poll(now_s)
        if self.bar is BarPosition.ENABLED and now_s >= self._next_token_s and "token_stuck" not in self.faults:
            self._next_token_s = now_s + TOKEN_PERIOD_US * 1e-6 * 0.9
            self.token_counter = next_counter(self.token_counter)
        if now_s >= self._next_state_s:
            self._next_state_s = now_s + PENDANT_STATE_PERIOD_US * 1e-6
            self._state_count = next_counter(self._state_count)
            self.session.send(
                PendantState(
                    device_time_us=self.session.device_time_us(now_s),
                    state_count=self._state_count,
                    bar=self.bar,
                    press_count=self.press_count,
                    token_counter=self.token_counter,
                ),
                now_s,
            )

    def take_output(self) -> bytes:
        """The bytes to be sent."""
        data = self.session.take_output()
        return b"" if "freeze" in self.faults else data

    def connection_lost(self, now_s: float) -> None:  # noqa: ARG002
        """The host went away."""
        self.session.connection_lost()


class PendantControl:
    """Hands and eyes on the pendant: ``press``, ``release``, ``squeeze``, ``state``, ``fault``, ``clear``."""

    def __init__(self, firmware: PendantFirmware, device: TcpDevice, clock: Clock) -> None:
        self._firmware = firmware
        self._device = device
        self._clock = clock

    def answer(self, request: Request) -> Request:
        """One request on the control connection; answers with the state."""
        now_s = self._clock.monotonic_s()
        action = request["do"]
        if action == "press":
            self._firmware.press(now_s)
        elif action == "release":
            self._firmware.release(now_s)
        elif action == "squeeze":
            self._firmware.squeeze(now_s)
        elif action in {"fault", "clear"}:
            self._set_fault(request, active=action == "fault")
        elif action != "state":
            raise InvalidTruthRequest(
                f"unknown request {action!r}; known are press, release, squeeze, state, fault and clear"
            )
        self._device.run_once()
        return {
            "bar": self._firmware.bar.name,
            "press_count": self._firmware.press_count,
            "token_counter": self._firmware.token_counter,
            "connected": self._firmware.session.is_open,
            "faults": sorted(self._firmware.faults),
        }

    def _set_fault(self, request: Request, *, active: bool) -> None:
        """Begin or end a fault; every one ends when none is named."""
        name = request.get("name")
        unknown = sorted(request.keys() - {"do", "name"})
        if name not in FAULTS and (active or name is not None):
            raise UnknownFault(f"the pendant cannot play the fault {name!r}; it can: {', '.join(FAULTS)}")
        if active and unknown:
            raise InvalidTruthRequest(f"{name} has no parameter {', '.join(unknown)}")
        if active:
            self._firmware.faults.add(str(name))
        else:
            self._firmware.faults -= set(FAULTS) if name is None else {name}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command-line arguments of this simulator."""
    parser.add_argument("--name", default="pendant", help="for the log")


async def start(_options: argparse.Namespace) -> Simulation:
    """Start it on the running loop."""
    clock = clock_of_the_loop()
    firmware = PendantFirmware(now_s=clock.monotonic_s())
    device = TcpDevice(firmware, clock)
    await device.start()
    facts: Request = {"kind": "pendant", "pendant": device.address}
    return Simulation(facts, PendantControl(firmware, device, clock).answer, device.close, door="control")


def main(options: argparse.Namespace) -> int:
    """Run until told to end; returns the exit code."""
    return run(options.name, start, options)
