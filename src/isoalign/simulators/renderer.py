"""Renders the virtual patient in a process of its own, so that the firmware's heartbeats go on meanwhile.

This file is both ends: :class:`Renderer` in the imager simulator, and ``python -m isoalign.simulators.renderer`` which
it starts. The child reads one JSON request per line and answers with one JSON line, followed by the pixels; it ends
when its stdin does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isoalign.errors import IsoalignError, error_from_wire, error_to_wire
from isoalign.simulators.errors import CannotRender

if TYPE_CHECKING:
    from isoalign.simulators.scene import Scene

_NICENESS = 5
_LINE_MAX_BYTES = 2**20
Description = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RenderedFrame:
    """Pixels: rows x columns, unsigned 16 bit, little-endian, row by row."""

    rows: int
    columns: int
    pixels: bytes


class Renderer:
    """Starts the rendering process and asks it for frames, one at a time.

    Parameters
    ----------
    scene_path : Path
    imager : str
        Name of the imager in the scene.
    """

    def __init__(self, scene_path: Path, imager: str) -> None:
        self._scene_path = scene_path
        self._imager = imager
        self._process: asyncio.subprocess.Process | None = None
        self._busy = asyncio.Lock()

    async def start(self) -> Description:
        """Start the process; what it says about the imager (``rows``, ``columns``, ``couch_truth``).

        Raises
        ------
        RemoteError
            When the scene cannot be used.
        """
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "isoalign.simulators.renderer",
            str(self._scene_path),
            self._imager,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_MAX_BYTES,
        )
        return await self._answer()

    async def render(
        self,
        position: Sequence[float] | None,
        *,
        tube_voltage_kv: float,
        tube_current_ma: float,
        exposure_time_ms: float,
        exposure_number: int,
    ) -> RenderedFrame:
        """One frame with the couch at ``position`` (six numbers, IEC 61217; None: where the scene says)."""
        request = {
            "position": None if position is None else list(position),
            "technique": [tube_voltage_kv, tube_current_ma, exposure_time_ms],
            "exposure_number": exposure_number,
        }
        return await self._frame(request)

    async def dark_frame(self, frame_number: int) -> RenderedFrame:
        """One frame without X-rays."""
        return await self._frame({"dark_frame": frame_number})

    async def _frame(self, request: Description) -> RenderedFrame:
        async with self._busy:
            process = self._process
            if process is None or process.stdin is None or process.stdout is None:
                raise CannotRender("the rendering process is not running")
            try:
                process.stdin.write(json.dumps(request).encode() + b"\n")
                await process.stdin.drain()
                answer = await self._answer()
                pixels = await process.stdout.readexactly(int(answer["bytes"]))
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                raise CannotRender("the rendering process has ended") from error
            return RenderedFrame(int(answer["rows"]), int(answer["columns"]), pixels)

    async def close(self) -> None:
        """End the process."""
        process = self._process
        self._process = None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await process.wait()

    async def _answer(self) -> Description:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise CannotRender("the rendering process has ended")
        answer: Description = json.loads(line)
        if "error" in answer:
            raise error_from_wire(answer["error"])
        return answer


def _say(answer: Description, pixels: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + pixels)
    sys.stdout.buffer.flush()


def _render(scene: Scene, imager: str, request: Description) -> tuple[Description, bytes]:
    from isoalign.geometry import Representation, TableTopPosition, fixed_from_table
    from isoalign.records import Technique
    from isoalign.simulators.panel_image import dark_frame, expose

    if "dark_frame" in request:
        image = dark_frame(scene, imager, int(request["dark_frame"]))
    else:
        position = request["position"]
        pose = (
            scene.fixed_pose()
            if position is None
            else fixed_from_table(TableTopPosition.from_values(Representation.IEC_61217, position))
        )
        image = expose(scene, imager, pose, Technique(*request["technique"]), int(request["exposure_number"]))
    rows, columns = image.shape
    pixels = image.astype("<u2").tobytes()
    return {"rows": rows, "columns": columns, "bytes": len(pixels)}, pixels


def _serve(scene_path: str, imager: str) -> int:
    from isoalign.simulators.scene import load_scene

    try:
        scene = load_scene(scene_path)
        truth = scene.imager(imager)
    except IsoalignError as error:
        _say({"error": error_to_wire(error)})
        return 2
    couch = scene.couch_truth
    _say(
        {
            "rows": truth.rows,
            "columns": truth.columns,
            "couch_truth": None if couch is None else {"host": couch.host, "port": couch.port},
        }
    )
    os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)  # absolute: the firmware that started it comes first
    from isoalign.simulators import warmup

    warmup()
    for line in sys.stdin.buffer:
        try:
            _say(*_render(scene, imager, json.loads(line)))
        except IsoalignError as error:
            _say({"error": error_to_wire(error)})
    return 0


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene")
    parser.add_argument("imager")
    options = parser.parse_args()
    return _serve(options.scene, options.imager)


if __name__ == "__main__":
    sys.exit(_main())
