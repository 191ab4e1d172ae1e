"""The one door to the devices: a typed, asynchronous client of the device daemon."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from isoalign.devices.errors import IpcError
from isoalign.devices.gantry_status import GantryPlan, GantryProgress
from isoalign.devices.ipc import IpcClient, JsonObject
from isoalign.devices.status import (
    DIRECT,
    DarkImage,
    MotionPlan,
    MotionProgress,
    RawImage,
    RoomDeviceStatus,
    position_to_wire,
)
from isoalign.geometry import TableTopPosition
from isoalign.records import Technique

HEARTBEAT_PERIOD_S = 0.05


class DeviceClient:
    """A connection to the device daemon.

    While it is open, a task of the caller's own event loop sends a heartbeat. The daemon forwards its counter to the
    couch unchanged, so a program that dies, hangs or blocks its loop for more than 250 ms stops its own motion.
    Never feed it from a thread: that would keep the couch moving for a program that no longer thinks.

    Errors that the daemon reports arrive as :class:`~isoalign.errors.RemoteError` with the daemon's code, hint and
    facts; a daemon that is gone is :class:`~isoalign.devices.errors.PeerGone`.
    """

    def __init__(self, ipc: IpcClient) -> None:
        self._ipc = ipc
        self._counter = 0
        self._beating = asyncio.get_running_loop().create_task(self._beat(), name="device-client-heartbeat")

    @classmethod
    async def connect(cls, path: Path | str, *, client: str, timeout_s: float = 5.0) -> Self:
        """Connect to the daemon's socket; ``client`` is the name that its logs show.

        Raises
        ------
        PeerGone
        """
        ipc = await IpcClient.connect(path, timeout_s=timeout_s)
        try:
            await ipc.call("hello", client=client)
        except BaseException:
            await ipc.close()
            raise
        return cls(ipc)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; a motion of this client is stopped."""
        self._beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._beating
        await self._ipc.close()

    @property
    def is_connected(self) -> bool:
        """Whether the daemon has not been seen to go."""
        return self._ipc.is_connected

    async def status(self) -> RoomDeviceStatus:
        """The devices now."""
        return RoomDeviceStatus.from_wire(await self._ipc.call("status"))

    async def statuses(self) -> AsyncGenerator[RoomDeviceStatus, None]:
        """The devices now and after every change, at most 20 times a second, latest wins."""
        async with contextlib.aclosing(self._ipc.stream("statuses")) as events:
            async for event in events:
                yield RoomDeviceStatus.from_wire(event)

    async def place_patient(self, parts: Sequence[JsonObject]) -> None:
        """Tell who lies on the table top, for the clearance of motions; plans made before are void.

        Parameters
        ----------
        parts : sequence of JSON objects
            As :func:`isoalign.devices.clearance_room.parts_description` makes them of a patient's hull; empty for
            nobody.

        Raises
        ------
        RemoteError
            config.daemon when the parts make no sense, device.not-present in a room without a model.
        """
        await self._ipc.call("place_patient", parts=list(parts))

    async def prepare(
        self, target: TableTopPosition, approach: str = DIRECT, *, speed: str | None = None, dry_run: bool = False
    ) -> MotionPlan:
        """Check a motion from where the couch stands to ``target`` (either representation). Nothing moves yet.

        Parameters
        ----------
        target : TableTopPosition
        approach : str
            "direct", or "unidirectional": the last part of every axis' way goes in the direction in which the couch was
            calibrated. Such a motion may have two parts; it needs one press of the enable bar, held throughout.
        speed : str, optional
            "service", "normal" or "fast"; that of the daemon's configuration by default.
        dry_run : bool
            Made and watched in the room, slowly; afterwards the same path may be moved from outside.

        Raises
        ------
        RemoteError
            device.out-of-limits, device.clearance-too-small, device.clearance-unknown, device.clearance-timeout,
            device.stale-state, device.busy, device.not-present, device.speed-not-allowed.
        """
        wire = await self._ipc.call(
            "prepare", target=position_to_wire(target), approach=approach, speed=speed, dry_run=dry_run
        )
        return MotionPlan.from_wire(wire)

    async def execute(self, plan: MotionPlan) -> AsyncGenerator[MotionProgress, None]:
        """Carry out a prepared motion once; ends when the couch has arrived.

        The first phase waits for the enable bar to be pressed. Leaving the iterator early
        (``contextlib.aclosing``), or cancelling the task, stops the couch.

        Raises
        ------
        RemoteError
            Whenever the motion ends in any other way: device.interlock-open, device.plan-expired, device.hold,
            device.enable-not-pressed, device.enable-released, device.dry-run-missing, device.link-lost,
            device.couch-fault, device.motion-timeout, device.channel-disagreement, ...
        PeerGone
            When the daemon dies; the couch stops by its own watchdog.
        """
        async with contextlib.aclosing(self._ipc.stream("execute", plan_id=plan.plan_id)) as events:
            async for event in events:
                yield MotionProgress.from_wire(event)

    async def prepare_rotation(
        self, target_deg: float, *, speed_deg_per_s: float | None = None, dry_run: bool = False
    ) -> GantryPlan:
        """Check a rotation of the gantry from where it stands to ``target_deg``; nothing moves yet.

        Parameters
        ----------
        target_deg : float
            IEC 61217 gantry rotation, continuous over the travel.
        speed_deg_per_s : float, optional
            As fast as the gantry can by default; a dry run 1 degree/s.
        dry_run : bool
            Made and watched in the room, slowly; afterwards the same path may be moved from outside.

        Raises
        ------
        RemoteError
            device.out-of-limits, device.interlock-open (the imager arm is not stowed, something moves),
            device.clearance-too-small, device.clearance-unknown, device.clearance-timeout,
            device.stale-state, device.busy, device.not-present, device.speed-not-allowed.
        """
        wire = await self._ipc.call(
            "prepare_rotation", target_deg=target_deg, speed_deg_per_s=speed_deg_per_s, dry_run=dry_run
        )
        return GantryPlan.from_wire(wire)

    async def prepare_cone_beam(
        self,
        from_deg: float,
        to_deg: float,
        *,
        trigger_spacing_deg: float,
        speed_deg_per_s: float | None = None,
        dry_run: bool = False,
    ) -> GantryPlan:
        """Check a rotation that triggers a projection at ``from_deg`` and then at every spacing; nothing moves yet.

        Raises
        ------
        RemoteError
            As :meth:`prepare_rotation`; device.interlock-open unless the imager arm is extended.
        """
        wire = await self._ipc.call(
            "prepare_cone_beam",
            from_deg=from_deg,
            to_deg=to_deg,
            trigger_spacing_deg=trigger_spacing_deg,
            speed_deg_per_s=speed_deg_per_s,
            dry_run=dry_run,
        )
        return GantryPlan.from_wire(wire)

    async def prepare_arm(self, end: str, *, dry_run: bool = False) -> GantryPlan:
        """Check a move of the imager arm to "stowed" or "extended"; nothing moves yet.

        Raises
        ------
        RemoteError
            device.interlock-open, device.clearance-too-small, device.clearance-unknown, device.clearance-timeout,
            device.stale-state, device.busy, device.not-present, ipc.bad-parameters.
        """
        return GantryPlan.from_wire(await self._ipc.call("prepare_arm", end=end, dry_run=dry_run))

    async def execute_gantry(self, plan: GantryPlan) -> AsyncGenerator[GantryProgress, None]:
        """Carry out a prepared motion of gantry or imager arm once, as :meth:`execute` does that of the couch.

        The triggers of a cone-beam rotation come with the progress, each once and in order, also before an error.

        Raises
        ------
        RemoteError
            As :meth:`execute`, with device.gantry-fault; and device.projections-missing when a rotation has arrived
            and not every projection has its angle.
        PeerGone
            When the daemon dies; the gantry stops by its own watchdog.
        """
        async with contextlib.aclosing(self._ipc.stream("execute_gantry", plan_id=plan.plan_id)) as events:
            async for event in events:
                yield GantryProgress.from_wire(event)

    async def hold(self, reason: str) -> None:
        """Stop all motion, now, always. The next motion needs :meth:`clear` and a new press of the enable bar."""
        await self._ipc.call("hold", reason=reason)

    async def beam_state(self, state: str, counter: int) -> None:
        """Tell the state of the treatment beam; to be renewed several times in each half second.

        Parameters
        ----------
        state : str
            "off", "ready" or "on".
        counter : int
            Advances with every call: 32 bits that wrap around.

        Raises
        ------
        RemoteError
            device.not-present in a room that is configured without a beam.
        """
        await self._ipc.call("beam_state", state=state, counter=counter)

    async def fault_record(self, number: int = 0) -> JsonObject:
        """The latest faults (``faults``), and what was seen around one of them (``samples``), as JSON types.

        Parameters
        ----------
        number : int
            Of the fault whose samples are wanted; 0 is the latest.
        """
        return dict(await self._ipc.call("fault_record", number=number))

    async def clear(self, reason: str, user: str) -> tuple[str, ...]:
        """Clear every latch whose cause is gone; returns the rules that were cleared.

        Raises
        ------
        RemoteError
            interlock.clear-refused when a cause is still there.
        """
        return tuple(await self._ipc.call("clear", reason=reason, user=user))

    async def expose(self, imagers: Iterable[str], technique: Technique) -> tuple[RawImage, ...]:
        """One image of every imager named, one exposure after the other, with the couch at rest.

        Raises
        ------
        RemoteError
            device.imager-silent, device.exposure-failed, device.image-incomplete, device.unknown-imager,
            device.busy, device.interlock-open.
        """
        params = {"imagers": list(imagers), "technique": asdict(technique)}
        reply = await self._ipc.call_with_attachments("expose", params)
        pairs = zip(reply.result, reply.attachments, strict=True)
        return tuple(RawImage.from_wire(wire, bytes(attachment)) for wire, attachment in pairs)

    async def read_dark(self, imagers: Iterable[str]) -> tuple[DarkImage, ...]:
        """One frame without X-rays of every panel named.

        Raises
        ------
        RemoteError
            device.imager-silent, device.exposure-failed (a panel that cannot do it), device.image-incomplete,
            device.unknown-imager, device.busy.
        """
        reply = await self._ipc.call_with_attachments("read_dark", {"imagers": list(imagers)})
        pairs = zip(reply.result, reply.attachments, strict=True)
        return tuple(DarkImage.from_wire(wire, bytes(attachment)) for wire, attachment in pairs)

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        with contextlib.suppress(IpcError):
            while True:
                self._counter += 1
                await self._ipc.notify("heartbeat", counter=self._counter)
                due = max(due + HEARTBEAT_PERIOD_S, loop.time())
                await asyncio.sleep(due - loop.time())
