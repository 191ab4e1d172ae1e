"""The device daemon: a process of its own that owns every device of the room and evaluates the interlocks.

``python -m isoalign.devices.daemon --config daemon.json`` prints one JSON line when it serves its socket and ends on
SIGTERM, or when its standard input ends, so that it never outlives the program that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import math
import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import structlog

from isoalign.clock import Clock, SystemClock
from isoalign.devices.clearance import ClearanceChecker
from isoalign.devices.clearance_config import parse_parts
from isoalign.devices.config import DaemonConfig, load_daemon_config
from isoalign.devices.controller import DeviceController
from isoalign.devices.errors import BadParameters, ClearanceNotKnown, NotPresent
from isoalign.devices.exposure import ExposureRunner
from isoalign.devices.fault_history import fault_history
from isoalign.devices.gantry_motion import GantryMotionRunner
from isoalign.devices.image_log import ImageTap
from isoalign.devices.ipc import IpcCall, IpcServer, JsonObject, Peer, Reply
from isoalign.devices.link_log import IMAGE_SCHEMA, LinkRecorder
from isoalign.devices.log import configure_logging
from isoalign.devices.motion import MotionRunner
from isoalign.devices.registry import registered
from isoalign.devices.status import DIRECT, position_from_wire
from isoalign.errors import IsoalignError, exit_code_of
from isoalign.interlocks import Beam
from isoalign.protocol.messages import DeviceKind, StopReason
from isoalign.records import Technique

_log = structlog.get_logger("isoalign.devices.daemon")

STATUS_PERIOD_S = 0.05
CONNECT_WAIT_S = 5.0
REALTIME_PRIORITY = 10
NICENESS = -10


class DeviceDaemon:
    """Serves the devices of one room on a Unix socket.

    Parameters
    ----------
    config : DaemonConfig
    clock : Clock
    """

    def __init__(self, config: DaemonConfig, clock: Clock) -> None:
        self.controller = DeviceController(config, clock)
        self._recorder = None if config.record is None else LinkRecorder(config.record, clock)
        if self._recorder is not None:
            for link in self.controller.links():
                link.tap = self._recorder.channel(link.name, link.session.kind)
            for imager in self.controller.imagers.values():
                channel = self._recorder.channel(f"image {imager.name}", DeviceKind.PANEL, schema=IMAGE_SCHEMA)
                imager.panel.image_tap = ImageTap(channel, pixels=self._recorder.pixels)
        self.clearance = None if config.clearance is None else ClearanceChecker(config.clearance)
        self._motion = MotionRunner(self.controller, self.clearance)
        self._gantry_motion = GantryMotionRunner(self.controller, self.clearance)
        self._exposure = ExposureRunner(self.controller)
        self.server = IpcServer(
            config.socket,
            {
                "hello": self._hello,
                "heartbeat": self._heartbeat,
                "status": self._status,
                "statuses": self._statuses,
                "place_patient": self._place_patient,
                "prepare": self._prepare,
                "execute": self._execute,
                "prepare_rotation": self._prepare_rotation,
                "prepare_cone_beam": self._prepare_cone_beam,
                "prepare_arm": self._prepare_arm,
                "execute_gantry": self._execute_gantry,
                "hold": self._hold,
                "beam_state": self._beam_state,
                "fault_record": self._fault_record,
                "clear": self._clear,
                "expose": self._expose,
                "read_dark": self._read_dark,
            },
            on_disconnect=self._gone,
        )

    async def start(self) -> None:
        """Connect to the devices and serve; returns when clients can connect.

        A device that does not answer within 5 s is reported by the interlocks; it does not keep the daemon from
        starting. Nor does a clearance worker that is slow or dies: motions are then refused.

        Raises
        ------
        BadDeviceConfig
            When the room of the clearance check makes no sense.
        """
        self.controller.start()
        await self._start_clearance()
        links = self.controller.links()
        await self.controller.changed.until(lambda: all(link.is_heard for link in links), CONNECT_WAIT_S)
        await self.server.start()

    async def _start_clearance(self) -> None:
        if self.clearance is None:
            return
        try:
            await self.clearance.start()
        except ClearanceNotKnown as error:
            _log.error("clearance.worker-failed", text=error.message)

    async def close(self) -> None:
        """Stop what moves, close everything."""
        await self._motion.close()
        await self._gantry_motion.close()
        await self.server.stop()
        await self.controller.close()
        if self.clearance is not None:
            await self.clearance.close()
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.close)

    def emergency(self) -> None:
        """Something unforeseen has happened in this process: stop what moves before anything else."""
        with contextlib.suppress(Exception):
            self.controller.stop_motion(StopReason.SHUTDOWN)
            for imager in self.controller.imagers.values():
                imager.abort()

    # handlers

    def _hello(self, call: IpcCall) -> None:
        _log.info("client.connected", client=call.require("client", str), peer=call.peer.number)

    def _gone(self, peer: Peer) -> None:
        _log.info("client.gone", peer=peer.number)
        self.controller.client_gone(peer.number)

    def _heartbeat(self, call: IpcCall) -> None:
        self.controller.heartbeat(call.peer.number, call.require("counter", int))

    def _status(self, _call: IpcCall) -> JsonObject:
        return self.controller.status().to_wire()

    async def _statuses(self, _call: IpcCall) -> AsyncGenerator[JsonObject, None]:
        while True:
            yield self.controller.status().to_wire()
            await asyncio.sleep(STATUS_PERIOD_S)
            await self.controller.changed.wait()

    async def _place_patient(self, call: IpcCall) -> None:
        self.controller.require_idle()
        if self.clearance is None:
            raise NotPresent("this room has no model of what stands in it: the clearance is not checked")
        parts = parse_parts(call.require("parts", list), "patient")
        self.controller.plan_epoch += 1  # what was planned without this patient does not hold any more
        self.controller.patient_epoch += 1
        await self.clearance.place_patient(parts)
        _log.info("clearance.patient-placed", parts=len(parts))

    async def _prepare(self, call: IpcCall) -> JsonObject:
        target = position_from_wire(call.params.get("target"))
        approach = call.params.get("approach", DIRECT)
        speed = call.params.get("speed")
        return (await self._motion.prepare(target, approach, speed=speed, dry_run=_dry_run(call))).to_wire()

    async def _execute(self, call: IpcCall) -> AsyncGenerator[JsonObject, None]:
        steps = self._motion.execute(call.require("plan_id", str), call.peer.number)
        async with contextlib.aclosing(steps) as progress:
            async for step in progress:
                yield step.to_wire()

    async def _prepare_rotation(self, call: IpcCall) -> JsonObject:
        target_deg, dry_run = _number(call, "target_deg"), _dry_run(call)
        return (await self._gantry_motion.prepare_rotation(target_deg, _speed(call), dry_run=dry_run)).to_wire()

    async def _prepare_cone_beam(self, call: IpcCall) -> JsonObject:
        from_deg, to_deg, spacing_deg = (_number(call, name) for name in ("from_deg", "to_deg", "trigger_spacing_deg"))
        plan = await self._gantry_motion.prepare_cone_beam(
            from_deg, to_deg, _speed(call), spacing_deg, dry_run=_dry_run(call)
        )
        return plan.to_wire()

    async def _prepare_arm(self, call: IpcCall) -> JsonObject:
        return (await self._gantry_motion.prepare_arm(call.require("end", str), dry_run=_dry_run(call))).to_wire()

    async def _execute_gantry(self, call: IpcCall) -> AsyncGenerator[JsonObject, None]:
        steps = self._gantry_motion.execute(call.require("plan_id", str), call.peer.number)
        async with contextlib.aclosing(steps) as progress:
            async for step in progress:
                yield step.to_wire()

    def _hold(self, call: IpcCall) -> None:
        self._motion.hold(call.require("reason", str))

    def _beam_state(self, call: IpcCall) -> None:
        try:
            state = Beam(call.require("state", str))
        except ValueError as error:
            raise BadParameters(f"beam_state: state must be one of {', '.join(one.value for one in Beam)}") from error
        self.controller.beam_state(call.peer.number, state, call.require("counter", int))

    def _fault_record(self, call: IpcCall) -> JsonObject:
        records = self.controller.monitor.fault_records
        return fault_history(records, call.require("number", int), self.controller.clock)

    async def _clear(self, call: IpcCall) -> list[str]:
        user, reason = call.require("user", str), call.require("reason", str)
        return list(await self.controller.clear(user=user, reason=reason))

    async def _expose(self, call: IpcCall) -> Reply:
        names = call.require("imagers", list)
        technique = _technique(call.require("technique", dict))
        images = await self._exposure.expose([str(name) for name in names], technique)
        return Reply([image.to_wire() for image in images], tuple(image.pixel_bytes() for image in images))

    async def _read_dark(self, call: IpcCall) -> Reply:
        frames = await self._exposure.read_dark([str(name) for name in call.require("imagers", list)])
        return Reply([frame.to_wire() for frame in frames], tuple(frame.pixel_bytes() for frame in frames))


def _number(call: IpcCall, name: str) -> float:
    value = call.params.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadParameters(f"{name} must be a number, not {value!r}")
    return float(value)


def _speed(call: IpcCall) -> float | None:
    return None if call.params.get("speed_deg_per_s") is None else _number(call, "speed_deg_per_s")


def _dry_run(call: IpcCall) -> bool:
    value = call.params.get("dry_run", False)
    if not isinstance(value, bool):
        raise BadParameters(f"dry_run must be true or false, not {value!r}")
    return value


def _technique(wire: dict[str, Any]) -> Technique:
    try:
        values = {key: float(wire[key]) for key in ("tube_voltage_kv", "tube_current_ma", "exposure_time_ms")}
    except (KeyError, TypeError, ValueError) as error:
        raise BadParameters(f"not a technique: {wire!r}") from error
    if not all(0 < value < 1e6 for value in values.values()):
        raise BadParameters(f"a technique has positive values, not {values}")
    return Technique(**values)


async def serve(config: DaemonConfig, *, stay: bool) -> int:
    """Run the daemon until SIGTERM, SIGINT, the end of standard input, or a defect; returns the exit code."""
    loop = asyncio.get_running_loop()
    daemon = DeviceDaemon(config, SystemClock())
    ending = asyncio.Event()
    failed = False

    def on_defect(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal failed
        daemon.emergency()
        failed = True
        ending.set()
        _log.critical("daemon.defect", text=context.get("message"), error=repr(context.get("exception")))

    loop.set_exception_handler(on_defect)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    if not stay:
        _end_with_stdin(loop, ending)
    try:
        await daemon.start()
        links = {link.name: link.state.value for link in daemon.controller.links()}
        ready = {"ready": True, "kind": "daemon", "socket": str(config.socket), "links": links}
        with registered(config.room, config.socket):
            sys.stdout.write(json.dumps(ready) + "\n")
            sys.stdout.flush()
            gc.collect()
            gc.freeze()
            await ending.wait()
    finally:
        await daemon.close()
    return 1 if failed else 0


def _end_with_stdin(loop: asyncio.AbstractEventLoop, ending: asyncio.Event) -> None:
    def readable() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            ending.set()

    try:
        loop.add_reader(0, readable)
    except (OSError, ValueError):  # a file or /dev/null cannot be waited for: it has ended already
        ending.set()


def _raise_priority(*, realtime: bool) -> None:
    """Come before programs that only compute, as far as the system allows."""
    try:
        if realtime:
            policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK  # for this loop alone, not for a worker that computes
            os.sched_setscheduler(0, policy, os.sched_param(REALTIME_PRIORITY))
        else:
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    except OSError as error:
        report = _log.warning if realtime else _log.debug
        report("daemon.priority-not-raised", error=str(error), hint="Needs CAP_SYS_NICE or an rtprio limit.")


def main(arguments: list[str] | None = None) -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m isoalign.devices.daemon", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON file with addresses, limits and times")
    parser.add_argument("--stay", action="store_true", help="do not end with standard input")
    parser.add_argument("--realtime", action="store_true", help="ask the kernel for SCHED_FIFO")
    options = parser.parse_args(arguments)
    configure_logging("daemon")
    try:
        config = load_daemon_config(options.config)
        _raise_priority(realtime=options.realtime)
        return asyncio.run(serve(config, stay=options.stay))
    except IsoalignError as error:
        sys.stderr.write(json.dumps({"level": "error", **error.to_dict()}) + "\n")
        return exit_code_of(error)


if __name__ == "__main__":
    sys.exit(main())
