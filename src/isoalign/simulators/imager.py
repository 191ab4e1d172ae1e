"""The imager simulator process: generator, panel and image connection of one kV imager."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from isoalign.clock import Clock
from isoalign.errors import IsoalignError
from isoalign.protocol import ImageFrame, Message, RecordReader, image_records
from isoalign.protocol.errors import FrameError
from isoalign.protocol.messages import ImageRelease, ImageResend
from isoalign.simulators.beam_path import BeamSender, beam_from, beam_on, beam_over
from isoalign.simulators.errors import CannotRender, InvalidTruthRequest, UnknownFault
from isoalign.simulators.fault_table import FaultParameters
from isoalign.simulators.generator_firmware import GeneratorFirmware, MeasuredExposure
from isoalign.simulators.lockstep import clock_of_the_loop
from isoalign.simulators.panel_firmware import TEMPERATURE_C, PanelFirmware
from isoalign.simulators.panel_stream import PanelStream
from isoalign.simulators.process import LOCAL_HOST, Request, Simulation, address_of, run
from isoalign.simulators.renderer import RenderedFrame, Renderer
from isoalign.simulators.tcp_device import TcpDevice

_log = structlog.get_logger("isoalign.simulators.imager")

FAULTS = {
    "silent": FaultParameters("generator or panel (device) says nothing more"),
    "no_ready": FaultParameters("the tube does not become ready"),
    "expose_fails": FaultParameters("the exposure fails"),
    "expose_hangs": FaultParameters("the X-rays do not end by themselves"),
    "technique_off": FaultParameters("the tube gives another voltage or current", {"voltage": 1.25, "current": 1.0}),
    "technique_unwatched": FaultParameters("the generator does not notice that"),
    "tube_hot": FaultParameters("the anode is hot", {"part": 0.9999}),
    "drop_chunk": FaultParameters("parts of the image are left out", {"count": 1.0}),
    "corrupt_chunk": FaultParameters("parts of the image are damaged", {"count": 1.0}),
    "no_frame": FaultParameters("the read-out fails"),
    "torn_frame": FaultParameters("the lower half of the image is of the one before"),
    "duplicate_frame": FaultParameters("the image is announced and sent twice"),
    "stale_image": FaultParameters("the image before is offered again"),
    "wrong_exposure": FaultParameters("the image comes under another exposure's number"),
    "panel_hot": FaultParameters("the panel has this temperature", {"celsius": 45.0}),
    "lag_high": FaultParameters("the panel holds so many times as much of an exposure as usual", {"factor": 10.0}),
    "door_open": FaultParameters("the door of the X-ray room is open"),
    "door_opens": FaultParameters("it is opened when a part of the next exposure is over", {"part": 0.5}),
}
GENERATOR_FAULTS = frozenset({"no_ready", "expose_fails", "expose_hangs", "technique_unwatched"})
PANEL_FAULTS = frozenset({"torn_frame", "duplicate_frame", "stale_image", "wrong_exposure"})
GENERATOR, PANEL = "generator", "panel"
BOTH = frozenset({GENERATOR, PANEL})
OF_GENERATOR = GENERATOR_FAULTS | {"technique_off", "tube_hot", "door_open", "door_opens"}
"""All that a generator by itself can play, besides being silent; a panel plays the others."""
COUCH_TRUTH_TIMEOUT_S = 2.0
FLAT_FIELD_COUNTS = 12_000
DARK_FIELD_COUNTS = 180


class ImageConnection:
    """Sends frames to the latest host and sends rows again when asked.

    Parameters
    ----------
    frame : callable
        The frame that the panel has, or None.
    release : callable
        Tells the panel that the host has a frame.

    Attributes
    ----------
    stream : PanelStream or None
        Answers for the frames of a series.
    chunks_to_drop, chunks_to_corrupt : int
        Faults: so many chunks of what is sent next are left out, or damaged.
    """

    def __init__(self, frame: Callable[[], ImageFrame | None], release: Callable[[int], None]) -> None:
        self.stream: PanelStream | None = None
        self._frame = frame
        self._release = release
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self.address: dict[str, Any] = {}
        self.chunks_to_drop = 0
        self.chunks_to_corrupt = 0

    async def start(self) -> None:
        """Listen on a free local port."""
        self._server = await asyncio.start_server(self._serve, LOCAL_HOST, 0)
        self.address = address_of(self._server)

    def close(self) -> None:
        """Stop listening, drop the host."""
        if self._server is not None:
            self._server.close()
        if self._writer is not None:
            self._writer.close()

    def write(self, data: bytes) -> None:
        """Put bytes on the connection; nothing when there is none."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(data)

    def unsent_bytes(self) -> int:
        """How much the host has not taken yet."""
        return 0 if self._writer is None else self._writer.transport.get_write_buffer_size()

    def offer(self, frame: ImageFrame, first_row: int = 0, row_count: int | None = None) -> None:
        """Send a frame, or some rows of it, to the host that is connected, if any."""
        writer = self._writer
        if writer is None or writer.is_closing():
            return
        records = list(image_records(frame, first_row=first_row, row_count=row_count))
        for number, record in enumerate(records):
            is_chunk = number < len(records) - 1
            if is_chunk and self.chunks_to_drop > 0:
                self.chunks_to_drop -= 1
            elif is_chunk and self.chunks_to_corrupt > 0:
                self.chunks_to_corrupt -= 1
                damaged = bytearray(record)
                damaged[len(damaged) // 2] ^= 0x40
                writer.write(bytes(damaged))
            else:
                writer.write(record)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = writer
        waiting = self._frame()
        if waiting is not None:
            self.offer(waiting)
        records = RecordReader()
        try:
            while data := await reader.read(4096):
                for message in records.feed(data):
                    self._answer(message)
        except (ConnectionError, FrameError):
            pass  # the host went away, or what it sends makes no sense: it has to connect again
        except asyncio.CancelledError:
            pass  # the server is being closed
        finally:
            writer.close()
            if self._writer is writer:
                self._writer = None

    def _answer(self, message: Message) -> None:
        frame, stream = self._frame(), self.stream
        if isinstance(message, ImageRelease):
            self._release(message.frame_id)
            if stream is not None:
                stream.release(message.frame_id)
        elif isinstance(message, ImageResend):
            if stream is not None and stream.resend(message.frame_id, message.first_row, message.row_count):
                return
            if frame is not None and frame.frame_id == message.frame_id:
                self.offer(frame, message.first_row, message.row_count)


class ImagerSimulator:
    """One kV imager: what joins generator, panel, patient and truth; ``FAULTS`` says what it can play wrong.

    Parameters
    ----------
    sides : frozenset of str
        "generator", "panel" or both: which of them has its ports here. A generator alone sends its X-rays along
        ``beam``, a panel alone is told of them on its truth connection.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        seed: int,
        rows: int,
        columns: int,
        renderer: Renderer | None,
        couch_truth: dict[str, Any] | None,
        sides: frozenset[str] = BOTH,
        beam: BeamSender | None = None,
    ) -> None:
        now_s = clock.monotonic_s()
        self.name = name
        self._sides = sides
        self._beam = beam
        self._clock = clock
        self._renderer = renderer
        self._couch_truth = couch_truth
        self._no_frame = False
        self._active: set[str] = set()
        self._pose: asyncio.Task[list[float] | None] | None = None
        self._reading: set[asyncio.Task[None]] = set()
        self.exposures = self.dark_frames = 0
        self.last_position: list[float] | None = None
        self.panel = PanelFirmware(
            now_s=now_s,
            rows=rows,
            columns=columns,
            serial_number=f"SIM-PANEL-{name}"[:16],
            on_read_out=self._read_out,
            on_frame=self._offer,
            on_read_dark=self._read_dark,
        )
        self.generator = GeneratorFirmware(
            now_s=now_s,
            seed=seed,
            serial_number=f"SIM-GEN-{name}"[:16],
            on_xrays=self._shines,
            on_xrays_over=self._shines_no_more,
        )
        self.images = ImageConnection(lambda: self.panel.frame, self.panel.release)
        self.stream = PanelStream(
            rows,
            columns,
            clock,
            write=self.images.write,
            unsent=self.images.unsent_bytes,
            next_frame_id=self.panel.next_frame_id,
        )
        self.images.stream = self.stream
        self.generator_line = TcpDevice(self.generator, clock)
        self.panel_line = TcpDevice(self.panel, clock)

    async def start(self) -> None:
        """Open the ports, three for a whole imager."""
        if GENERATOR in self._sides:
            await self.generator_line.start()
        if PANEL in self._sides:
            await self.panel_line.start()
            await self.images.start()

    def addresses(self) -> Request:
        """Of the ports that are open."""
        generator = {"generator": self.generator_line.address} if GENERATOR in self._sides else {}
        panel = {"panel": self.panel_line.address, "image": self.images.address} if PANEL in self._sides else {}
        return {"name": self.name, **generator, **panel}

    async def close(self) -> None:
        """Close everything."""
        if self._beam is not None:
            await self._beam.close()
        tasks = [*self._reading, *([self._pose] if self._pose else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.stream.close()
        if PANEL in self._sides:
            self.images.close()
            await self.panel_line.close()
        if GENERATOR in self._sides:
            await self.generator_line.close()
        if self._renderer is not None:
            await self._renderer.close()

    def answer(self, request: Request) -> Request:
        """One request on the truth connection."""
        action = request["do"]
        if action == "truth":
            phases = {GENERATOR: self.generator.phase.name, PANEL: self.panel.phase.name}
            return {
                "name": self.name,
                **{side: phase for side, phase in phases.items() if side in self._sides},
                "exposures": self.exposures,
                "position": self.last_position,
                "faults": sorted(self._active),
                "t_s": self._clock.monotonic_s(),
            }
        if action == "beam" and self._sides == {PANEL}:
            self._hit(request)
            return {"ok": True}
        if action == "stream" and PANEL in self._sides:
            given = {key: value for key, value in request.items() if key not in {"do", "exposure_id"}}
            self.stream.start(int(request["exposure_id"]), given)
            return {"ok": True}
        if action == "streamed":
            return {"running": self.stream.is_running, **asdict(self.stream.truth)}
        if action not in {"fault", "clear"}:
            raise InvalidTruthRequest(
                f"unknown request {action!r}; known are truth, stream, streamed, fault, clear; beam"
            )
        self._set_fault(request, active=action == "fault")
        _log.info("imager.fault", action=action, fault=request.get("name"))
        return {"ok": True}

    def _set_fault(self, request: Request, *, active: bool) -> None:
        name = request.get("name")
        if name is None and not active:
            for one in sorted(self._active):
                self._play(one, {}, None, active=False)
            self._active.clear()
            return
        playable = [one for one in FAULTS if self._can_play(one)]
        if name not in playable:
            what = "imager" if self._sides == BOTH else next(iter(self._sides))
            raise UnknownFault(f"the {what} cannot play the fault {name!r}; it can: {', '.join(playable)}")
        name = str(name)
        device = request.get("device", "panel" if name == "silent" and active else None)
        if device is not None and (name != "silent" or device not in {"generator", "panel"}):
            raise InvalidTruthRequest(f"{name} with device {device!r}: only silent has one, generator or panel")
        given = {key: value for key, value in request.items() if key not in {"do", "name", "device"}}
        self._play(name, FAULTS[name].resolve(name, given) if active else {}, device, active=active)
        self._active.add(name) if active else self._active.discard(name)

    def _can_play(self, name: str) -> bool:
        return name == "silent" or self._sides == BOTH or (name in OF_GENERATOR) == (self._sides == {GENERATOR})

    def _play(self, name: str, values: dict[str, float], device: str | None, *, active: bool) -> None:
        if name == "silent":
            for kind, faults in (("generator", self.generator.faults), ("panel", self.panel.faults)):
                if device in {None, kind}:
                    faults.add(name) if active else faults.discard(name)
        elif name in GENERATOR_FAULTS:
            self.generator.faults.add(name) if active else self.generator.faults.discard(name)
        elif name in PANEL_FAULTS:
            self.panel.faults.add(name) if active else self.panel.faults.discard(name)
        elif name == "technique_off":
            self.generator.voltage_factor = values.get("voltage", 1.0)
            self.generator.current_factor = values.get("current", 1.0)
        elif name == "tube_hot":
            self.generator.heat_to(values.get("part", 0.0), self._clock.monotonic_s())
        elif name == "drop_chunk":
            self.images.chunks_to_drop = round(values.get("count", 0.0))
        elif name == "corrupt_chunk":
            self.images.chunks_to_corrupt = round(values.get("count", 0.0))
        elif name == "no_frame":
            self._no_frame = active
        elif name == "panel_hot":
            self.panel.temperature_c = values.get("celsius", TEMPERATURE_C)
        elif name == "lag_high":
            if active:
                self.panel.lag.factor = values["factor"]
            else:
                self.panel.lag.reset()
        elif name == "door_open":
            self.generator.door_is_open = active
        elif name == "door_opens":
            self.generator.door_opens_at = values.get("part")
            self.generator.door_is_open = self.generator.door_is_open and active

    def _shines(self, exposure_id: int, now_s: float) -> None:
        if PANEL in self._sides:
            self._xrays(exposure_id, now_s)
        elif self._beam is not None:
            self._beam.send(beam_on())

    def _shines_no_more(self, measured: MeasuredExposure, now_s: float) -> None:
        if PANEL in self._sides:
            self.panel.xrays_over(measured, now_s)
        elif self._beam is not None:
            self._beam.send(beam_over(measured))

    def _hit(self, request: Request) -> None:
        """X-rays from elsewhere begin, or have ended."""
        measured, now_s = beam_from(request), self._clock.monotonic_s()
        if measured is None:
            self._xrays(0, now_s)
        else:
            self.panel.xrays_over(measured, now_s)
            self.panel_line.run_once()

    def _xrays(self, exposure_id: int, now_s: float) -> None:
        """X-rays begin: the couch is where it is now."""
        self.panel.xrays(exposure_id, now_s)
        self._pose = asyncio.create_task(self._ask_couch(), name="couch-truth")

    def _offer(self, frame: ImageFrame) -> None:
        self.images.offer(frame)

    def _read_out(self, measured: MeasuredExposure) -> None:
        task = asyncio.create_task(self._make_frame(measured), name="read-out")
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    def _read_dark(self) -> None:
        task = asyncio.create_task(self._make_dark_frame(), name="dark-read-out")
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _make_dark_frame(self) -> None:
        try:
            if self._no_frame:
                raise CannotRender("the fault no_frame is played")
            if self._renderer is None:
                pixels = _dark_field(self.panel.rows, self.panel.columns, self.dark_frames)
            else:
                pixels = self._fitting(await self._renderer.dark_frame(self.dark_frames))
        except IsoalignError as error:
            _log.error("imager.no-frame", error=error.code, message=error.message)
            self.panel.read_out_failed(self._clock.monotonic_s())
        else:
            self.dark_frames += 1
            self.panel.frame_read(pixels, self._clock.monotonic_s())
        self.panel_line.run_once()

    async def _make_frame(self, measured: MeasuredExposure) -> None:
        try:
            if self._no_frame:
                raise CannotRender("the fault no_frame is played")
            position = await self._pose if self._pose else None
            pixels = await self._pixels(measured, position)
        except IsoalignError as error:
            _log.error("imager.no-frame", error=error.code, message=error.message)
            self.panel.read_out_failed(self._clock.monotonic_s())
        else:
            self.exposures += 1
            self.last_position = position
            self.panel.frame_read(pixels, self._clock.monotonic_s())
        self.panel_line.run_once()

    async def _pixels(self, measured: MeasuredExposure, position: Sequence[float] | None) -> bytes:
        if self._renderer is None:
            return _flat_field(self.panel.rows, self.panel.columns, self.exposures)
        frame = await self._renderer.render(
            position,
            tube_voltage_kv=measured.tube_voltage_v * 1e-3,
            tube_current_ma=measured.tube_current_ua * 1e-3,
            exposure_time_ms=measured.exposure_time_us * 1e-3,
            exposure_number=self.exposures,
        )
        return self._fitting(frame)

    def _fitting(self, frame: RenderedFrame) -> bytes:
        if (frame.rows, frame.columns) != (self.panel.rows, self.panel.columns):
            raise CannotRender(
                f"{frame.rows} x {frame.columns} pixels were rendered for a panel of "
                f"{self.panel.rows} x {self.panel.columns}"
            )
        return frame.pixels

    async def _ask_couch(self) -> list[float] | None:
        """The couch's true position now."""
        if self._couch_truth is None:
            return None
        host, port = self._couch_truth["host"], self._couch_truth["port"]
        try:
            async with asyncio.timeout(COUCH_TRUTH_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    writer.write(b'{"do": "truth"}\n')
                    answer = json.loads(await reader.readline())
                finally:
                    writer.close()
            return [float(value) for value in answer["position"]]
        except (OSError, TimeoutError, ValueError, KeyError) as error:
            raise CannotRender(f"the couch at {host}:{port} does not tell its true position") from error


def _flat_field(rows: int, columns: int, number: int) -> bytes:
    """A frame for an imager without a scene: even light that falls off to the edges, with noise."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    light = FLAT_FIELD_COUNTS * (1 - 0.2 * (x * x + y * y))
    noisy = light + np.random.default_rng(number).normal(0.0, 40.0, light.shape)
    pixels: bytes = np.clip(noisy, 0, 65535).astype("<u2").tobytes()
    return pixels


def _dark_field(rows: int, columns: int, number: int) -> bytes:
    """A frame without X-rays, for an imager without a scene."""
    noisy = DARK_FIELD_COUNTS + np.random.default_rng([number, 1]).normal(0.0, 3.0, (rows, columns))
    pixels: bytes = np.clip(noisy, 0, 65535).astype("<u2").tobytes()
    return pixels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command-line arguments of this simulator."""
    parser.add_argument("--name", required=True, help="name of the imager, as in the scene")
    parser.add_argument("--scene", type=Path, help="scene file; without it the panel sends a flat field")
    parser.add_argument("--seed", type=int, default=0, help="of boost times and measurement errors")
    parser.add_argument("--rows", type=int, default=1024, help="without a scene")
    parser.add_argument("--columns", type=int, default=768, help="without a scene")


async def start(options: argparse.Namespace) -> Simulation:
    """Start it on the running loop.

    Raises
    ------
    IsoalignError
        When the scene cannot be rendered.
    """
    return await start_sides("imager", options, BOTH)


async def start_sides(
    kind: str, options: argparse.Namespace, sides: frozenset[str], beam: BeamSender | None = None
) -> Simulation:
    """Start one side of an imager, or both, on the running loop."""
    renderer: Renderer | None = None
    described: dict[str, Any] = {"rows": options.rows, "columns": options.columns, "couch_truth": None}
    if options.scene is not None:
        renderer = Renderer(options.scene, options.name)
        try:
            described = await renderer.start()
        except IsoalignError:
            await renderer.close()
            raise
    simulator = ImagerSimulator(
        options.name,
        clock=clock_of_the_loop(),
        seed=options.seed,
        rows=int(described["rows"]),
        columns=int(described["columns"]),
        renderer=renderer,
        couch_truth=described["couch_truth"],
        sides=sides,
        beam=beam,
    )
    await simulator.start()
    return Simulation({"kind": kind, **simulator.addresses()}, simulator.answer, simulator.close)


def main(options: argparse.Namespace) -> int:
    """Run until told to end; returns the exit code."""
    return run(f"imager-{options.name}", start, options, long_steps=True)
