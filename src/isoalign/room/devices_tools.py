"""What the command line does with a device daemon that runs, and with the records of its links.

Every function blocks and talks to the daemon through its socket; errors of the daemon arrive as
:class:`~isoalign.errors.RemoteError` with the daemon's code and hint.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from isoalign.devices.client import DeviceClient
from isoalign.devices.errors import IpcError, NoDaemonFound, NotPresent, PeerGone, SeveralDaemons
from isoalign.devices.gantry_status import GantryPlan, GantryProgress, GantrySummary
from isoalign.devices.image_log import decode_image_records
from isoalign.devices.ipc import answers
from isoalign.devices.link_decode import LinkLine, decode_records, line_in_words
from isoalign.devices.link_log import read_log
from isoalign.devices.registry import RunningDaemon, running_daemons
from isoalign.devices.replay_summary import ReplaySummary, replay_summary
from isoalign.devices.status import WAITING_FOR_ENABLE, MotionPlan, MotionProgress, RawImage, RoomDeviceStatus
from isoalign.geometry import TableTopPosition
from isoalign.records import Technique

__all__ = [
    "WAITING_FOR_ENABLE",
    "DecodedLog",
    "GantryPlan",
    "GantryProgress",
    "GantrySummary",
    "LinkLine",
    "MotionPlan",
    "MotionProgress",
    "RawImage",
    "ReplaySummary",
    "RoomDeviceStatus",
    "carry_out",
    "carry_out_gantry",
    "clear",
    "decode_log",
    "expose",
    "find_socket",
    "hold",
    "line_in_words",
    "prepare_arm",
    "prepare_move",
    "prepare_rotation",
    "read_gantry_status",
    "read_status",
    "replay_summary",
]

T = TypeVar("T")

CONNECT_S = 2.0


def find_socket(given: Path | None, room: str | None = None) -> Path:
    """The socket of the device daemon: the one that was named, that of the room that was named, or of the only one.

    Raises
    ------
    NoDaemonFound, SeveralDaemons, RuntimeFolderUnsafe
    """
    if given is not None:
        if not answers(given):
            raise NoDaemonFound(f"no device daemon answers at {given}")
        return given
    running = running_daemons()
    wanted = [one for one in running if room is None or one.room.casefold() == room.casefold()]
    if not wanted:
        missing = "no room of this user runs on this computer" if room is None else f"no room {room!r} runs here"
        others = f"; these do: {_listed(running)}" if running else ""
        raise NoDaemonFound(missing + others)
    if len(wanted) > 1:
        sockets = [str(one.socket) for one in wanted]
        raise SeveralDaemons(f"several rooms run on this computer: {_listed(wanted)}", sockets=sockets)
    return wanted[0].socket


def _listed(daemons: Sequence[RunningDaemon]) -> str:
    return ", ".join(str(one) for one in daemons)


def read_status(path: Path) -> RoomDeviceStatus:
    """The devices now."""

    async def read() -> RoomDeviceStatus:
        async with await _client(path) as client:
            return await client.status()

    return asyncio.run(read())


def read_gantry_status(path: Path) -> tuple[RoomDeviceStatus, GantrySummary]:
    """The devices now, and gantry and imager arm among them; raises NotPresent in a room without a gantry."""
    found = read_status(path)
    if found.gantry is None:
        raise NotPresent("this room has no gantry")
    return found, found.gantry


def read_faults(path: Path, number: int) -> dict[str, Any]:
    """The latest faults, and what was seen around one of them; 0 is the latest."""

    async def read() -> dict[str, Any]:
        async with await _client(path) as client:
            return await client.fault_record(number)

    return asyncio.run(read())


def prepare_move(
    path: Path, target: TableTopPosition, approach: str, *, speed: str | None = None, dry_run: bool = False
) -> MotionPlan:
    """Check a motion; nothing moves. The plan can be carried out by :func:`carry_out` while it is fresh."""

    async def prepare() -> MotionPlan:
        async with await _client(path) as client:
            return await client.prepare(target, approach, speed=speed, dry_run=dry_run)

    return asyncio.run(prepare())


def carry_out(path: Path, plan: MotionPlan, on_progress: Callable[[MotionProgress], None]) -> TableTopPosition:
    """Carry out a plan and return where the couch has arrived. Ctrl-C holds the couch and raises
    KeyboardInterrupt.
    """

    async def follow(client: DeviceClient) -> TableTopPosition:
        position = plan.start
        async with aclosing(client.execute(plan)) as steps:
            async for step in steps:
                position = step.position
                on_progress(step)
        return position

    return _followed(path, follow)


def hold(path: Path, reason: str) -> None:
    """Stop everything that moves or exposes, now."""

    async def stop() -> None:
        async with await _client(path) as client:
            await client.hold(reason)

    asyncio.run(stop())


def clear(path: Path, reason: str, user: str) -> tuple[str, ...]:
    """Clear every latch whose cause is gone; the rules that were cleared."""

    async def clear_all() -> tuple[str, ...]:
        async with await _client(path) as client:
            return await client.clear(reason, user)

    return asyncio.run(clear_all())


def expose(path: Path, imagers: Sequence[str], technique: Technique) -> tuple[RawImage, ...]:
    """One image of every imager named, or of all when none is named."""

    async def take() -> tuple[RawImage, ...]:
        async with await _client(path) as client:
            names = imagers or (await client.status()).imagers
            return await client.expose(names, technique)

    return asyncio.run(take())


@dataclass(frozen=True, slots=True)
class DecodedLog:
    """A recorded link: whose it is, when it began (UTC and monotonic), and its lines."""

    link: str
    device: str
    began_at: str
    monotonic_s: float
    lines: Iterator[LinkLine]


def decode_log(path: Path) -> DecodedLog:
    """A recorded link as messages; raises LinkLogUnreadable, also while its lines are read."""
    header, records = read_log(path)
    lines = decode_image_records(records) if header.holds_images else decode_records(records)
    return DecodedLog(header.link, header.device.name, header.began_at, header.monotonic_s, lines)


def prepare_rotation(
    path: Path, target_deg: float, *, speed_deg_per_s: float | None = None, dry_run: bool = False
) -> GantryPlan:
    """Check a rotation of the gantry; nothing moves. The plan can be carried out by :func:`carry_out_gantry`."""

    async def prepare() -> GantryPlan:
        async with await _client(path) as client:
            return await client.prepare_rotation(target_deg, speed_deg_per_s=speed_deg_per_s, dry_run=dry_run)

    return asyncio.run(prepare())


def prepare_arm(path: Path, end: str, *, dry_run: bool = False) -> GantryPlan:
    """Check a move of the imager arm to "stowed" or "extended"; nothing moves."""

    async def prepare() -> GantryPlan:
        async with await _client(path) as client:
            return await client.prepare_arm(end, dry_run=dry_run)

    return asyncio.run(prepare())


def carry_out_gantry(path: Path, plan: GantryPlan, on_progress: Callable[[GantryProgress], None]) -> GantryProgress:
    """Carry out a plan of gantry or imager arm and return where they have arrived. Ctrl-C holds them and raises
    KeyboardInterrupt.
    """

    async def follow(client: DeviceClient) -> GantryProgress:
        last = GantryProgress(WAITING_FOR_ENABLE, plan.start_deg, plan.arm, 0.0, plan.duration_s, 0.0)
        async with aclosing(client.execute_gantry(plan)) as steps:
            async for step in steps:
                last = step
                on_progress(step)
        return last

    return _followed(path, follow)


def _followed(path: Path, follow: Callable[[DeviceClient], Coroutine[Any, Any, T]]) -> T:
    async def move() -> T:
        async with await _client(path) as client:
            # in a task of its own, so that Hold is sent before the motion is left: it names the cause
            following = asyncio.create_task(follow(client), name="move")
            try:
                return await asyncio.shield(following)
            except asyncio.CancelledError:
                with contextlib.suppress(IpcError):
                    await client.hold("Ctrl-C at the command line")
                await asyncio.gather(following, return_exceptions=True)
                raise

    return asyncio.run(move())


async def _client(path: Path) -> DeviceClient:
    try:
        return await DeviceClient.connect(path, client="command line", timeout_s=CONNECT_S)
    except PeerGone as error:
        raise NoDaemonFound(f"no device daemon answers at {path}") from error
