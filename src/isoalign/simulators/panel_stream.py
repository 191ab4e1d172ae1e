"""A panel that reads out again and again, as in fluoroscopy, over a lossy way to the host.

The truth connection starts a series (no command of the protocol does yet) and tells afterwards what was really sent:
number, checksum of another kind, and time of every frame.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isoalign.clock import Clock
from isoalign.protocol import ImageFrame, image_records
from isoalign.simulators.errors import InvalidTruthRequest
from isoalign.simulators.fault_table import FaultParameters

STREAM = FaultParameters(
    "a series of frames",
    {"frames": 100.0, "fps": 15.0, "loss": 0.0, "torn": 0.0, "again": 0.0, "late": 0.0, "seed": 0.0},
)
KEPT_FRAMES = 8
TEXTURES = 4
UNSENT_MAX_BYTES = 4 << 20


@dataclass(slots=True)
class SeriesTruth:
    """What a series has really sent: per frame number its SHA-256 and the time (monotonic seconds) of its read-out."""

    frames: dict[int, tuple[str, float]] = field(default_factory=dict)
    lost_chunks: int = 0
    chunks: int = 0
    resent_rows: int = 0
    torn: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    skipped: int = 0


class PanelStream:
    """Sends one series at a time.

    Parameters
    ----------
    rows, columns : int
    clock : Clock
    write : callable
        Puts bytes on the image connection.
    unsent : callable
        How many bytes wait there.
    next_frame_id : callable
        The panel's counter of frames.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        clock: Clock,
        *,
        write: Callable[[bytes], None],
        unsent: Callable[[], int],
        next_frame_id: Callable[[], int],
    ) -> None:
        self.truth = SeriesTruth()
        self._rows, self._columns = rows, columns
        self._clock = clock
        self._write = write
        self._unsent = unsent
        self._next_frame_id = next_frame_id
        self._kept: OrderedDict[int, ImageFrame] = OrderedDict()
        self._values: dict[str, float] = {}
        self._random = np.random.default_rng(0)
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether a series is under way."""
        return self._task is not None and not self._task.done()

    def start(self, exposure_id: int, given: dict[str, Any]) -> None:
        """Begin a series.

        Parameters
        ----------
        exposure_id : int
        given : dict
            ``frames`` and ``fps``; and as probabilities ``loss`` (of a chunk), ``torn`` (the lower half is of the
            frame before), ``again`` (the frame is sent twice), ``late`` (the frame before is sent after this one),
            drawn with ``seed``.

        Raises
        ------
        InvalidTruthRequest
        """
        values = STREAM.resolve("stream", given)
        if self.is_running:
            raise InvalidTruthRequest("a series is under way")
        if exposure_id < 1 or not 0.1 <= values["fps"] <= 100.0:
            raise InvalidTruthRequest("a series has an exposure_id from 1 and 0.1 to 100 frames per second")
        self._values = values
        self._random = np.random.default_rng(round(values["seed"]))
        self.truth = SeriesTruth()
        self._task = asyncio.create_task(self._run(exposure_id), name="series")

    async def close(self) -> None:
        """End what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def resend(self, frame_id: int, first_row: int, row_count: int) -> bool:
        """Send rows again, over the same lossy way; whether the frame was kept."""
        frame = self._kept.get(frame_id)
        if frame is None:
            return False
        self.truth.resent_rows += row_count
        self._send(frame, first_row=first_row, row_count=row_count)
        return True

    def release(self, frame_id: int) -> None:
        """The host has the frame; it may still be sent again as a fault."""
        if frame_id in self._kept and not self._values.get("late"):
            del self._kept[frame_id]

    async def _run(self, exposure_id: int) -> None:
        textures = [self._texture(number) for number in range(TEXTURES)]
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        for number in range(round(self._values["frames"])):
            pixels = textures[number % TEXTURES].copy()
            pixels[: self._columns] = number % 65536  # no two frames are the same
            frame = ImageFrame(
                self._next_frame_id(), exposure_id, self._rows, self._columns, pixels.astype("<u2").tobytes()
            )
            self._read_out(frame)
            next_s += 1 / self._values["fps"]
            await asyncio.sleep(max(0.0, next_s - loop.time()))

    def _texture(self, number: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
        y, x = np.mgrid[0 : self._rows, 0 : self._columns]
        level = 8000 + 40 * ((x + 7 * number) % 97) + 11 * (y % 61)
        noise = np.random.default_rng(number).normal(0.0, 40.0, level.shape)
        return np.asarray(level + noise, dtype=np.uint16).ravel()

    def _read_out(self, frame: ImageFrame) -> None:
        number = frame.frame_id
        self.truth.frames[number] = (hashlib.sha256(frame.pixels).hexdigest(), self._clock.monotonic_s())
        before = next(reversed(self._kept.values()), None)
        self._kept[number] = frame
        while len(self._kept) > KEPT_FRAMES:
            self._kept.popitem(last=False)
        if self._unsent() > UNSENT_MAX_BYTES:
            self.truth.skipped += 1
            return
        torn = self._happens("torn") and before is not None
        if torn and before is not None:
            self.truth.torn.append(number)
            half = self._columns * 2 * (self._rows // 2)
            mixed = ImageFrame(
                number, frame.exposure_id, self._rows, self._columns, frame.pixels[:half] + before.pixels[half:]
            )
            self._send(mixed, end_of=frame)
        else:
            self._send(frame)
        if self._happens("again"):
            self.truth.again.append(number)
            self._send(frame)
        if self._happens("late") and before is not None:
            self.truth.late.append(before.frame_id)
            self._send(before)

    def _happens(self, name: str) -> bool:
        return bool(self._random.random() < self._values[name])

    def _send(
        self,
        frame: ImageFrame,
        *,
        first_row: int = 0,
        row_count: int | None = None,
        end_of: ImageFrame | None = None,
    ) -> None:
        """Send rows and the end record; with ``end_of`` the end is that of another content."""
        *chunks, end = image_records(frame, first_row=first_row, row_count=row_count)
        for chunk in chunks:
            self.truth.chunks += 1
            if self._happens("loss"):
                self.truth.lost_chunks += 1
            else:
                self._write(chunk)
        self._write(end if end_of is None else list(image_records(end_of, first_row=self._rows - 1))[-1])
