"""The gantry simulator process: firmware and body on a TCP port, truth on a connection of its own."""

from __future__ import annotations

import argparse

import structlog

from isoalign.clock import Clock
from isoalign.protocol.messages import GantryLatch
from isoalign.simulators.errors import InvalidTruthRequest, UnknownFault
from isoalign.simulators.fault_table import FaultParameters
from isoalign.simulators.gantry_firmware import GantryFirmware
from isoalign.simulators.gantry_physics import GantryBody, GantryPhysicsParameters
from isoalign.simulators.lockstep import clock_of_the_loop
from isoalign.simulators.process import Request, Simulation, run
from isoalign.simulators.tcp_device import TcpDevice

_log = structlog.get_logger("isoalign.simulators.gantry")

FAULTS = {
    "freeze": FaultParameters("says nothing more, but listens and moves"),
    "link_drop": FaultParameters("the line is cut both ways"),
    "stuck": FaultParameters("the drive does not move"),
    "runaway": FaultParameters("the drive runs at a speed of its own", {"speed": 5.0}, is_signed=True),
    "creep": FaultParameters("the closed brakes let it creep", {"speed": 0.5}, is_signed=True),
    "secondary_drift": FaultParameters("the secondary encoder drifts", {"rate_per_s": 0.05}, is_signed=True),
    "encoder_invalid": FaultParameters("an encoder (1 primary, 2 secondary) gives no value", {"channel": 1.0}),
    "arm_unknown": FaultParameters("the switches at the ends of the imager arm's way are dead"),
    "trigger_missing": FaultParameters("every so manieth trigger is lost, and its event with it", {"every": 10.0}),
    "trigger_late": FaultParameters("triggers come later than they should", {"seconds": 0.02}),
}
_SILENT = frozenset({"freeze", "link_drop"})


class GantrySimulator:
    """The gantry with its faults and its truth; a firmware to the line that carries its bytes.

    Attributes
    ----------
    faults : set of str
        Those that play now.
    """

    def __init__(self, firmware: GantryFirmware, clock: Clock) -> None:
        self.firmware = firmware
        self.faults: set[str] = set()
        self._clock = clock

    def receive(self, data: bytes, now_s: float) -> None:
        """Take received bytes, unless the line is cut."""
        if "link_drop" not in self.faults:
            self.firmware.receive(data, now_s)

    def step(self, now_s: float) -> None:
        """Let time pass."""
        self.firmware.step(now_s)

    def take_output(self) -> bytes:
        """The bytes to be sent."""
        data = self.firmware.take_output()
        return b"" if self.faults & _SILENT else data

    def connection_lost(self, now_s: float) -> None:
        """The host went away."""
        self.firmware.connection_lost(now_s)

    def answer(self, request: Request) -> Request:
        """One request on the truth connection: ``truth``, ``triggers``, ``fault`` or ``clear``."""
        action = request["do"]
        if action == "truth":
            self.step(self._clock.monotonic_s())
            return self.truth()
        if action == "triggers":
            return self.triggers()
        if action == "fault":
            self._begin(request)
        elif action == "clear":
            self._end(request)
        else:
            raise InvalidTruthRequest(f"unknown request {action!r}; known are truth, triggers, fault and clear")
        _log.info("gantry.fault", action=action, fault=request.get("name"))
        return {"ok": True}

    def truth(self) -> Request:
        """The true state; degrees, IEC 61217. ``arm`` is 0 stowed, 1 extended."""
        firmware = self.firmware
        now_s = self._clock.monotonic_s()
        return {
            "angle_deg": firmware.body.true_deg,
            "speed_deg_per_s": firmware.body.speed_deg_per_s,
            "standstill": firmware.is_standing,
            "brakes_engaged": firmware.body.brakes_engaged,
            "mode": firmware.mode(now_s).name,
            "stop_cause": None if firmware.latch is GantryLatch.NONE else firmware.latch.name,
            "arm": firmware.body.arm,
            "arm_state": firmware.arm_state.name,
            "scan_id": firmware.scan_id,
            "trigger_count": firmware.trigger_count,
            "faults": sorted(self.faults),
            "t_s": now_s,
        }

    def triggers(self) -> Request:
        """The triggers of the latest rotation that were made, with the true angle of each."""
        made = [{"index": one.index, "angle_deg": one.true_deg, "at_s": one.at_s} for one in self.firmware.triggers]
        return {"scan_id": self.firmware.scan_id, "triggers": made}

    def _begin(self, request: Request) -> None:
        name = self._known(request.get("name"))
        given = {key: value for key, value in request.items() if key not in {"do", "name"}}
        values = FAULTS[name].resolve(name, given)
        self._play(name, values)
        self.faults.add(name)

    def _end(self, request: Request) -> None:
        """End one fault, or every fault when none is named."""
        name = request.get("name")
        for one in sorted(self.faults) if name is None else [self._known(name)]:
            self._rest(one)
            self.faults.discard(one)

    @staticmethod
    def _known(name: object) -> str:
        if not isinstance(name, str) or name not in FAULTS:
            raise UnknownFault(f"the gantry cannot play the fault {name!r}; it can: {', '.join(FAULTS)}")
        return name

    def _play(self, name: str, values: dict[str, float]) -> None:
        body = self.firmware.body
        if name == "stuck":
            body.stuck.add(0)
        elif name == "runaway":
            body.runaway[0] = values["speed"]
        elif name == "creep":
            body.creep[0] = values["speed"]
        elif name == "secondary_drift":
            body.secondary_fault_rate[0] = values["rate_per_s"]
        elif name == "encoder_invalid":
            if values["channel"] not in (1.0, 2.0):
                raise InvalidTruthRequest(f"{name}: channel is 1 or 2, not {values['channel']:g}")
            body.primary_invalid = {0} if values["channel"] == 1.0 else set()
            body.secondary_invalid = values["channel"] == 2.0
        elif name == "arm_unknown":
            body.arm_unknown = True
        elif name == "trigger_missing":
            if values["every"] < 1 or values["every"] != round(values["every"]):
                raise InvalidTruthRequest(f"{name}: every is a whole number from 1, not {values['every']:g}")
            body.trigger_missing_every = round(values["every"])
        elif name == "trigger_late":
            body.trigger_late_s = values["seconds"]

    def _rest(self, name: str) -> None:
        body = self.firmware.body
        if name == "stuck":
            body.stuck.clear()
        elif name == "runaway":
            body.runaway.clear()
        elif name == "creep":
            body.creep.clear()
        elif name == "secondary_drift":
            body.secondary_fault_rate[0] = body.secondary_fault[0] = 0.0
        elif name == "encoder_invalid":
            body.primary_invalid.clear()
            body.secondary_invalid = False
        elif name == "arm_unknown":
            body.arm_unknown = False
        elif name == "trigger_missing":
            body.trigger_missing_every = 0
        elif name == "trigger_late":
            body.trigger_late_s = 0.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command-line arguments of this simulator."""
    parser.add_argument("--seed", type=int, default=0, help="of encoder noise, scale errors and trigger jitter")
    parser.add_argument("--start", type=float, default=0.0, metavar="DEG", help="gantry angle, IEC 61217")
    parser.add_argument("--arm-extended", action="store_true", help="the imager arm is at its outer end")
    parser.add_argument("--arm-travel-s", type=float, default=4.0, help="time of the imager arm from end to end")
    parser.add_argument("--trigger-jitter-s", type=float, default=0.0002, help="how much later than its angle at most")


async def start(options: argparse.Namespace) -> Simulation:
    """Start it on the running loop."""
    clock = clock_of_the_loop()
    now_s = clock.monotonic_s()
    parameters = GantryPhysicsParameters(arm_travel_s=options.arm_travel_s, trigger_jitter_s=options.trigger_jitter_s)
    arm = 1.0 if options.arm_extended else 0.0
    body = GantryBody(options.start, seed=options.seed, now_s=now_s, parameters=parameters, arm=arm)
    simulator = GantrySimulator(GantryFirmware(body, now_s=now_s), clock)
    device = TcpDevice(simulator, clock)
    await device.start()
    return Simulation({"kind": "gantry", "gantry": device.address}, simulator.answer, device.close)


def main(options: argparse.Namespace) -> int:
    """Run until told to end; returns the exit code."""
    return run("gantry", start, options)
