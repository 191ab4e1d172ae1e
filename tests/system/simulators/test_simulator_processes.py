"""The real simulator processes: a couch through pyserial, an imager and a pendant through sockets."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import serial
from prepared_processes import PreparedProcess

from isoalign.geometry import DicomPatient, Pose, TableTop
from isoalign.protocol import HostSession, ImageAssembler, Message, RecordReader, encode_record, micro_from_axes
from isoalign.protocol.messages import (
    Arm,
    CommandStatus,
    CouchMode,
    CouchState,
    DeviceKind,
    EnableToken,
    Expose,
    ImageRelease,
    Latch,
    Move,
    PanelState,
    PendantState,
    Prepare,
    SpeedClass,
)
from isoalign.simulators.scene import ImagerTruth, Scene, SceneVolume, TruthAddress, write_scene

pytestmark = pytest.mark.system
Start = Callable[..., dict[str, Any]]
START = (0.0, 700.0, -120.0, 0.0, 0.0, 0.0)


class Started:
    """Simulator processes; ended by closing their stdin, and only these."""

    def __init__(self, *, prepared: bool) -> None:
        self.processes: list[PreparedProcess | subprocess.Popen[str]] = []
        self._begin: type[PreparedProcess | subprocess.Popen[str]] = PreparedProcess if prepared else subprocess.Popen

    def __call__(self, *arguments: str) -> dict[str, Any]:
        process = self._begin(
            [sys.executable, "-m", "isoalign.simulators", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.processes.append(process)
        assert process.stdout is not None
        ready: dict[str, Any] = json.loads(process.stdout.readline())
        assert ready["ready"] is True
        return ready

    def close(self) -> list[int]:
        codes = []
        for process in self.processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            codes.append(process.wait(10))
            rest = process.stdout.read()
            process.stdout.close()
            assert rest == "", "more than one line on stdout"
        return codes


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Started]:
    """Begun as a user's are in a test that has ``started_anew`` among its fixtures."""
    started = Started(prepared="started_anew" not in request.fixturenames)
    try:
        yield started
        assert set(started.close()) <= {0, -signal.SIGKILL}
    finally:
        for process in started.processes:
            if process.poll() is None:
                process.kill()
                process.wait(5)


class Ask:
    """A truth or control connection."""

    def __init__(self, address: dict[str, Any]) -> None:
        self._socket = socket.create_connection((address["host"], address["port"]), timeout=5)
        self._file = self._socket.makefile("rw")

    def __call__(self, do: str, **values: Any) -> dict[str, Any]:
        self._file.write(json.dumps({"do": do, **values}) + "\n")
        self._file.flush()
        answer: dict[str, Any] = json.loads(self._file.readline())
        return answer

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class TcpHost:
    """The host's end of a TCP device."""

    def __init__(self, kind: DeviceKind, address: dict[str, Any]) -> None:
        self._socket = socket.create_connection((address["host"], address["port"]), timeout=5)
        self._socket.setblocking(False)
        self.session = HostSession(kind)
        self.session.connect(time.monotonic())

    def pump(self) -> list[Message]:
        now_s = time.monotonic()
        self.session.poll(now_s)
        self._socket.sendall(self.session.take_output())
        try:
            return self.session.feed(self._socket.recv(65536), now_s)
        except BlockingIOError:
            return []

    def close(self) -> None:
        self._socket.close()


class CouchHost:
    """A whole little host: couch through pyserial, pendant, client counter."""

    def __init__(self, couch: dict[str, Any], pendant: dict[str, Any]) -> None:
        self.port = serial.Serial(couch["serial"], couch["baud"], timeout=0, exclusive=True)
        self.port.reset_input_buffer()
        self.couch = HostSession(DeviceKind.COUCH)
        self.couch.connect(time.monotonic())
        self.pendant = TcpHost(DeviceKind.PENDANT, pendant["pendant"])
        self.state: CouchState | None = None
        self.counter = 0

    def pump(self) -> None:
        now_s = time.monotonic()
        self.counter += 1
        self.couch.client_counter = self.counter
        for message in self.pendant.pump():
            if isinstance(message, PendantState) and self.couch.is_open:
                token = EnableToken(
                    bar=message.bar, press_count=message.press_count, token_counter=message.token_counter
                )
                self.couch.send(token, now_s)
        self.couch.poll(now_s)
        self.port.write(self.couch.take_output())
        for message in self.couch.feed(self.port.read(4096), now_s):
            if isinstance(message, CouchState):
                self.state = message

    def until(self, holds: Callable[[], object], within_s: float = 10.0) -> None:
        deadline_s = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline_s, f"not within {within_s} s; the couch says {self.state}"
            self.pump()
            time.sleep(0.005)

    def move(self, target: tuple[float, ...]) -> int:
        self.until(lambda: self.state is not None and self.state.mode is CouchMode.SWITCHED_ON)
        command = Move(1, 0, SpeedClass.NORMAL, 1000, micro_from_axes(target), (None,) * 6)
        return self.couch.issue(command, time.monotonic())

    def status(self, number: int) -> CommandStatus:
        progress = self.couch.progress(number)
        assert progress is not None
        assert not progress.unanswered
        return progress.status

    def close(self) -> None:
        self.port.close()
        self.pendant.close()


@pytest.fixture
def couch_room(start: Started) -> Iterator[tuple[CouchHost, Ask, Ask]]:
    """A connected host, the couch's truth and a thumb on the pendant."""
    couch = start("couch", "--seed", "5", "--start", *map(str, START))
    pendant = start("pendant")
    host, truth, thumb = CouchHost(couch, pendant), Ask(couch["truth"]), Ask(pendant["control"])
    try:
        # a press counts only when the couch has seen the switch before it
        host.until(lambda: host.state is not None and host.state.press_count is not None)
        yield host, truth, thumb
    finally:
        for one in (host, truth, thumb):
            one.close()


def test_a_move_through_the_real_line_arrives(couch_room: tuple[CouchHost, Ask, Ask]) -> None:
    host, truth, thumb = couch_room
    thumb("press")
    target = (4.0, 705.0, -123.0, 1.0, -1.5, 2.0)
    number = host.move(target)
    host.until(lambda: host.status(number) is CommandStatus.DONE)
    seen = truth("truth")
    assert seen["position"] == pytest.approx(target, abs=0.03)
    assert seen["standstill"] is True
    assert seen["stop_cause"] is None
    assert not host.couch.reader.rejected


def test_releasing_the_real_pendant_stops_the_real_couch(couch_room: tuple[CouchHost, Ask, Ask]) -> None:
    host, truth, thumb = couch_room
    thumb("press")
    number = host.move((0.0, 800.0, -120.0, 0.0, 0.0, 0.0))
    host.until(lambda: truth("truth")["velocity"][1] > 45)
    thumb("release")
    host.until(lambda: host.status(number) is CommandStatus.ABORTED)
    host.until(lambda: truth("truth")["standstill"])
    seen = truth("truth")
    assert seen["stop_cause"] == "ENABLE_LOST"
    assert seen["position"][1] < 790


def test_a_silent_host_stops_the_real_couch(couch_room: tuple[CouchHost, Ask, Ask]) -> None:
    """The host simply does nothing more; the couch must find out by itself, in time."""
    host, truth, thumb = couch_room
    thumb("press")
    host.move((0.0, 900.0, -120.0, 0.0, 0.0, 0.0))
    host.until(lambda: truth("truth")["velocity"][1] > 45)
    before = truth("truth")["position"][1]
    deadline_s = time.monotonic() + 5
    while not truth("truth")["standstill"]:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    seen = truth("truth")
    assert seen["stop_cause"] == "HOST_LOST"
    # 150 ms at 50 mm/s, the stop, and some allowance for a busy machine
    assert seen["position"][1] - before < 30
    place = seen["position"]
    host.couch.connect(time.monotonic())
    host.until(lambda: host.couch.is_open and host.state and host.state.latch is Latch.HOST_LOST)
    assert truth("truth")["position"] == pytest.approx(place, abs=0.01)


@pytest.mark.parametrize("fault", ["freeze", "link_drop"])
def test_a_silent_couch_is_noticed_and_talks_again(couch_room: tuple[CouchHost, Ask, Ask], fault: str) -> None:
    host, truth, _ = couch_room
    assert truth("fault", name=fault) == {"ok": True}
    host.until(lambda: host.couch.heard_age_s(time.monotonic()) > 0.3)
    truth("clear", name=fault)
    host.couch.connect(time.monotonic())
    host.state = None
    host.until(lambda: host.state)


@pytest.mark.usefixtures("started_anew")
def test_an_unknown_fault_is_an_error(couch_room: tuple[CouchHost, Ask, Ask]) -> None:
    _, truth, _ = couch_room
    assert truth("fault", name="gremlins")["error"]["code"] == "simulators.unknown-fault"


@pytest.mark.usefixtures("started_anew")
def test_a_simulator_ends_on_sigterm(start: Started) -> None:
    start("pendant")
    process = start.processes[0]
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def expose(imager: dict[str, Any], *, exposure_id: int = 3) -> np.ndarray:
    """One exposure, the whole flow, with whatever the line does to the image."""
    generator, panel = TcpHost(DeviceKind.GENERATOR, imager["generator"]), TcpHost(DeviceKind.PANEL, imager["panel"])
    images = socket.create_connection((imager["image"]["host"], imager["image"]["port"]), timeout=5)
    images.setblocking(False)
    reader, assembler = RecordReader(), ImageAssembler()
    size: tuple[int, int] | None = None
    issued: dict[str, int] = {}
    frame = None
    deadline_s = time.monotonic() + 60
    try:
        while frame is None:
            assert time.monotonic() < deadline_s, "no frame"
            now_s = time.monotonic()
            generator.pump()
            for message in panel.pump():
                if isinstance(message, PanelState):
                    size = (message.rows, message.columns)
            if size and "arm" not in issued and generator.session.can_command:
                assembler.expect(exposure_id, *size)
                issued["arm"] = panel.session.issue(Arm(1, 0, exposure_id, 30_000_000), now_s)
                command = Prepare(1, 0, exposure_id, 100_000, 100_000, 50_000)
                issued["prepare"] = generator.session.issue(command, now_s)
            elif "prepare" in issued and "expose" not in issued:
                progress = generator.session.progress(issued["prepare"])
                if progress and progress.status is CommandStatus.DONE:
                    issued["expose"] = generator.session.issue(Expose(1, 0, exposure_id), now_s)
            try:
                for record in reader.feed(images.recv(1 << 20)):
                    frame = assembler.take(record) or frame
            except BlockingIOError:
                time.sleep(0.005)
            if assembler.has_ended:
                for request in assembler.requests():
                    images.sendall(encode_record(request))
        images.sendall(encode_record(ImageRelease(frame_id=frame.frame_id)))
        return np.frombuffer(frame.pixels, "<u2").reshape(frame.rows, frame.columns)
    finally:
        images.close()
        generator.close()
        panel.close()


def test_an_imager_sends_its_frame_in_spite_of_lost_and_damaged_chunks(start: Started) -> None:
    imager = start("imager", "--name", "A", "--rows", "300", "--columns", "200")
    truth = Ask(imager["truth"])
    truth("fault", name="drop_chunk", count=2)
    truth("fault", name="corrupt_chunk", count=1)
    try:
        pixels = expose(imager)
        assert pixels.shape == (300, 200)
        assert 9000 < pixels.mean() < 12000
        assert truth("truth")["exposures"] == 1
    finally:
        truth.close()


@pytest.mark.usefixtures("started_anew")
def test_an_imager_sees_the_couch_where_it_truly_is(start: Started, tmp_path: Path) -> None:
    """A block on the table, imaged from above: its shadow is where the couch's true position puts it."""
    couch = start("couch", "--start", "20", "700", "-120", "0", "0", "0")
    hounsfield = np.full((12, 12, 12), -1000, dtype=np.int16)
    hounsfield[2:10, 2:10, 2:10] = 2000
    dicom_from_index = np.diag([5.0, 5.0, 5.0, 1.0])
    dicom_from_index[:3, 3] = -27.5
    scene = Scene(
        imagers={"A": ImagerTruth(0.0, rows=128, columns=96, pixel_mm=3.0)},
        seed=1,
        volume=SceneVolume(hounsfield, dicom_from_index),
        # DICOM (x, y, z) of a head-first supine patient is table (x, z, -y); the block lies at the isocentre's level
        table_from_dicom=Pose(TableTop, DicomPatient, [[1, 0, 0], [0, 0, 1], [0, -1, 0]], [0.0, -700.0, 120.0]),
        couch_top=False,
        couch_truth=TruthAddress(couch["truth"]["host"], couch["truth"]["port"]),
    )
    path = write_scene(scene, tmp_path / "scene.json")
    imager = start("imager", "--name", "A", "--scene", str(path))
    truth = Ask(imager["truth"])
    try:
        pixels = expose(imager).astype(float)
        assert truth("truth")["position"] == pytest.approx([20, 700, -120, 0, 0, 0], abs=0.05)
    finally:
        truth.close()
    dark = pixels < 0.6 * np.median(pixels)
    # a dead column of the panel is one pixel wide and far longer than the block
    rows = np.flatnonzero(dark.sum(axis=1) >= 15)
    columns = np.flatnonzero((dark.sum(axis=0) >= 15) & (dark.sum(axis=0) <= 30))
    # 20 mm to the side, magnified 1.5 times by SID 1500 over SAD 1000: 10 pixels of 3 mm
    assert columns.mean() - 47.5 == pytest.approx(10.0, abs=0.7)
    assert rows.mean() - 63.5 == pytest.approx(0.0, abs=0.7)


@pytest.mark.timeless
def test_an_imager_with_a_bad_scene_does_not_start(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "isoalign.simulators", "imager", "--name", "A", "--scene", str(tmp_path / "none.json")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "simulators.invalid-scene" in done.stderr
