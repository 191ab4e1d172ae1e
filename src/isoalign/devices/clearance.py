"""The daemon's side of the clearance check: one worker process, one request at a time, never longer than a time.

What the worker does not say is not known, and what is not known is not clear.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog

from isoalign.devices.clearance_config import EXTENDED, STOWED, ClearanceConfig, PartConfig, clearance_to_wire
from isoalign.devices.errors import (
    BadDeviceConfig,
    ClearanceNotKnown,
    ClearanceTimeout,
    ClearanceTooSmall,
    StaleState,
)
from isoalign.devices.gantry_reading import GantryReading
from isoalign.devices.gantry_status import GantryClearance
from isoalign.devices.status import PlanClearance
from isoalign.errors import error_from_wire
from isoalign.geometry import Representation, TableTopPosition

_log = structlog.get_logger("isoalign.devices.clearance")

START_LIMIT_S = 20.0
"""A worker loads scipy and the distance library; on a busy computer that takes its time."""
AGAIN = "Prepare the motion again; the worker is started anew. What it said last is in the daemon's log."
LINE_LIMIT_BYTES = 1 << 20
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""A search is one thread; a pool of numpy's would take the other processors from those who stop the couch."""


@dataclass(frozen=True, slots=True)
class GantryPlace:
    """Where the gantry stands, as it reports itself: its angle, and "stowed" or "extended" of its imager arm."""

    angle_deg: float
    imager_arm: str

    @classmethod
    def of(cls, reading: GantryReading) -> GantryPlace:
        """By a reading; raises StaleState when the angle is not known."""
        if reading.angle_deg is None:
            raise StaleState("an encoder of the gantry gives no valid value")
        return cls(reading.angle_deg, reading.arm.name.lower())

    @property
    def values(self) -> tuple[float, float]:
        """Angle, and the imager arm's place: 0 stowed, 1 extended, in the middle where nobody knows."""
        return self.angle_deg, {STOWED: 0.0, EXTENDED: 1.0}.get(self.imager_arm, 0.5)


class ClearanceChecker:
    """Asks a worker process about the clearance of motions. The worker is started anew when it has died or hung.

    Parameters
    ----------
    config : ClearanceConfig
    """

    def __init__(self, config: ClearanceConfig) -> None:
        self._config = config
        self._process: asyncio.subprocess.Process | None = None
        self._is_ready = False
        self._turn = asyncio.Lock()
        self._number = 0
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Of the worker, while there is one."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def start(self) -> None:
        """Start the worker and wait until it has understood the room.

        Raises
        ------
        BadDeviceConfig
            When the room makes no sense.
        ClearanceTimeout, ClearanceNotKnown
        """
        async with self._turn:
            await self._ensure_worker()

    async def check(
        self, stages: Sequence[TableTopPosition], stop: Sequence[float], gantry: GantryPlace | None = None
    ) -> PlanClearance:
        """The clearance on a way of the couch, which is enough.

        Parameters
        ----------
        stages : sequence of TableTopPosition
            Start, stops on the way, target; straight in the axes in between.
        stop : sequence of float
            Stop distance of every axis, mm and degrees; its way is added to what is required.
        gantry : GantryPlace or None
            Where it stands; None in a room without one, where the configuration says so.

        Raises
        ------
        ClearanceTooSmall
            Names the two parts and where.
        ClearanceNotKnown
            When something that matters is not known, or the worker has died.
        ClearanceTimeout
            When there was no answer in time. The worker is ended.
        """
        rows = [_values(stage) for stage in stages]
        request = {"stages": rows, "stop": [float(way) for way in stop]}
        return _finding(await self._asked(request if gantry is None else request | {"gantry": asdict(gantry)}))

    async def check_rotation(
        self, couch: TableTopPosition, angles_deg: Sequence[float], gantry: GantryPlace
    ) -> GantryClearance:
        """The clearance of a rotation beside the couch at rest, which is enough.

        Parameters
        ----------
        angles_deg : sequence of float
            From where to where, one after the other, with what a stop may need beyond; IEC 61217.

        Raises
        ------
        ClearanceTooSmall, ClearanceNotKnown, ClearanceTimeout
        """
        request = {"couch": _values(couch), "angles": [float(angle) for angle in angles_deg], "gantry": asdict(gantry)}
        return _gantry_finding(await self._asked(request))

    async def check_arm_move(self, couch: TableTopPosition, gantry: GantryPlace) -> GantryClearance:
        """The clearance of a move of the imager arm, which is enough; raises as :meth:`check_rotation`."""
        request = {"couch": _values(couch), "arm_from": gantry.imager_arm, "gantry": asdict(gantry)}
        return _gantry_finding(await self._asked(request))

    async def _asked(self, request: dict[str, Any]) -> dict[str, Any]:
        async with self._turn:
            await self._ensure_worker()
            return await self._request(request)

    async def place_patient(self, parts: tuple[PartConfig, ...]) -> None:
        """From now on this patient is on the table top; nobody, for no parts.

        Raises
        ------
        BadDeviceConfig
            When the parts make no sense; whoever was there before is still there.
        ClearanceTimeout, ClearanceNotKnown
            The patient is placed all the same, and motions are refused until a worker is ready.
        """
        async with self._turn:
            before, self._config = self._config, replace(self._config, patient=parts)
            try:
                await self._ensure_worker()
                answer = await self._request({"patient": [asdict(part) for part in parts]})
                if "error" in answer:
                    key = "clearance.patient"
                    raise BadDeviceConfig(f"{key} cannot be used: {answer['error']['message']}", key=key)
            except BadDeviceConfig:
                self._config = before
                raise

    async def close(self) -> None:
        """End the worker."""
        await self._end()

    async def _ensure_worker(self) -> None:
        await asyncio.sleep(0)  # so that the end of a worker that has died is noticed
        process = self._process
        is_open = process is not None and process.stdout is not None and not process.stdout.at_eof()
        if self._is_ready and is_open and process is not None and not _has_ended(process.pid):
            return
        await self._end()
        self.starts += 1
        # the daemon's loop waits for the fork alone, not for the program that is loaded
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "isoalign.devices.clearance_worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | ONE_THREAD,
            limit=LINE_LIMIT_BYTES,
        )
        _log.info("clearance.worker-started", pid=self._process.pid, starts=self.starts)
        try:
            async with asyncio.timeout(START_LIMIT_S):
                answer = await self._ask(clearance_to_wire(self._config))
        except TimeoutError:
            await self._end()
            raise ClearanceTimeout(f"the clearance worker was not ready within {START_LIMIT_S:g} s") from None
        except BaseException:
            await self._end()
            raise
        if "error" in answer:
            await self._end()
            key = "clearance.patient" if self._config.patient else "clearance.room"
            raise BadDeviceConfig(f"{key} cannot be used: {answer['error']['message']}", key=key)
        self._is_ready = True

    async def _request(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one question; a worker that gives none is ended."""
        self._number += 1
        limit_s = self._config.timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._ask({"id": self._number, **request})
        except TimeoutError:
            await self._end()
            raise ClearanceTimeout(f"the clearance worker did not answer within {limit_s:g} s") from None
        except BaseException:
            await self._end()  # died, or nobody waits any more: what it still says belongs to nobody
            raise

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
            answer = json.loads(line) if line else None
        except (OSError, ValueError) as error:
            raise ClearanceNotKnown(f"the clearance worker cannot be talked to: {error}", hint=AGAIN) from error
        if not isinstance(answer, dict):
            raise ClearanceNotKnown("the clearance worker died before it had answered", hint=AGAIN)
        if answer.get("id") != request.get("id"):
            raise ClearanceNotKnown("the clearance worker answered another question", hint=AGAIN)
        return answer

    async def _end(self) -> None:
        process, self._process, self._is_ready = self._process, None, False
        if process is None:
            return
        if process.returncode is None:
            # not process.kill(): it polls first, and so takes the exit status away from whoever waits for it
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()
            with contextlib.suppress(OSError):
                await process.stdin.wait_closed()


def _has_ended(pid: int) -> bool:
    """Whether a child has ended, also before the loop has been told; its exit status stays for whoever waits for it."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _values(position: TableTopPosition) -> list[float]:
    return list(position.in_representation(Representation.IEC_61217).values)


def _place(values: Sequence[float]) -> str:
    """IEC 61217 values in words."""
    lateral, longitudinal, vertical, pitch, roll, support = (round(value, 1) + 0.0 for value in values)  # no "-0.0"
    return (
        f"lateral {lateral:.1f}, longitudinal {longitudinal:.1f}, vertical {vertical:.1f} mm, "
        f"pitch {pitch:.1f}, roll {roll:.1f}, patient support {support:.1f} deg"
    )


def _finding(answer: dict[str, Any]) -> PlanClearance:
    _require_known(answer)
    violation = answer["violation"]
    if violation is not None:
        first, second = violation["parts"]
        raise ClearanceTooSmall(
            f"{first} and {second} keep only {violation['clearance_mm']:.1f} mm after {violation['fraction']:.0%} of "
            f"the way, not {answer['required_mm']:.1f} mm; there the table top stands at {_place(violation['at'])}",
            parts=[first, second],
            clearance_mm=violation["clearance_mm"],
            required_mm=answer["required_mm"],
            at=violation["at"],
            least_mm=answer["least_mm"],
        )
    return PlanClearance(
        least_mm=answer["least_mm"],
        required_mm=answer["required_mm"],
        stop_mm=answer["stop_mm"],
        parts=(answer["parts"][0], answer["parts"][1]),
        position=TableTopPosition.from_values(Representation.IEC_61217, answer["at"]),
        unchecked=tuple((pair[0], pair[1]) for pair in answer["unchecked"]),
    )


def _gantry_finding(answer: dict[str, Any]) -> GantryClearance:
    _require_known(answer)
    violation = answer["violation"]
    if violation is not None:
        first, second = violation["parts"]
        raise ClearanceTooSmall(
            f"{first} and {second} keep only {violation['clearance_mm']:.1f} mm, not {answer['required_mm']:.1f} mm, "
            f"with the gantry at {violation['at_deg']:.1f} deg; nowhere on the way is it less than "
            f"{answer['least_mm']:.1f} mm",
            parts=[first, second],
            clearance_mm=violation["clearance_mm"],
            required_mm=answer["required_mm"],
            at_deg=violation["at_deg"],
            least_mm=answer["least_mm"],
        )
    return GantryClearance(
        least_mm=answer["least_mm"],
        required_mm=answer["required_mm"],
        parts=tuple(answer["parts"]),
        at_deg=answer["at_deg"],
        unchecked=tuple((pair[0], pair[1]) for pair in answer["unchecked"]),
    )


def _require_known(answer: dict[str, Any]) -> None:
    if "error" in answer:
        remote = error_from_wire(answer["error"])
        raise ClearanceNotKnown(f"the clearance of the motion is not known: {remote.message}", cause=remote.remote_code)
