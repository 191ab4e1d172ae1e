"""The simulators' own ends of a line: a paced pseudo-terminal, a TCP port, the truth connection, the renderer."""

from __future__ import annotations

import asyncio
import json
import os
import termios
from pathlib import Path

import pytest

from isoalign.clock import ManualClock, SystemClock
from isoalign.errors import RemoteError
from isoalign.protocol import HostSession
from isoalign.protocol.messages import DeviceKind, PendantState
from isoalign.simulators.couch import CouchSimulator
from isoalign.simulators.couch_firmware import CouchFirmware
from isoalign.simulators.couch_physics import CouchBody
from isoalign.simulators.errors import UnknownFault
from isoalign.simulators.imager import ImagerSimulator
from isoalign.simulators.pendant import PendantFirmware
from isoalign.simulators.process import address_of, serve_json_lines
from isoalign.simulators.renderer import Renderer
from isoalign.simulators.serial_line import PseudoTerminal
from isoalign.simulators.tcp_device import TcpDevice


@pytest.fixture
def line():
    line = PseudoTerminal(9600)
    yield line
    line.close()


def test_output_leaves_at_the_pace_of_the_line(line: PseudoTerminal) -> None:
    host = os.open(line.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        line.write(b"x" * 1200, 0.0)
        read = 0
        for tick in range(1, 51):
            line.write(b"", tick * 0.01)
            try:
                read += len(os.read(host, 4096))
            except BlockingIOError:
                continue
        assert read == pytest.approx(9600 / 10 * 0.5, abs=20)
    finally:
        os.close(host)


def test_output_that_nobody_takes_is_dropped(line: PseudoTerminal) -> None:
    for tick in range(100):
        line.write(b"y" * 100, tick * 0.001)
    assert line.dropped_bytes > 0
    assert line.read() == b""


def test_the_line_is_raw(line: PseudoTerminal) -> None:
    host = os.open(line.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        everything = bytes(range(256))
        os.write(host, everything)
        assert line.read() == everything
        assert not termios.tcgetattr(host)[3] & (termios.ECHO | termios.ICANON)
    finally:
        os.close(host)


async def test_a_firmware_on_tcp_serves_one_host_after_another() -> None:
    clock = SystemClock()
    firmware = PendantFirmware(now_s=clock.monotonic_s())
    device = TcpDevice(firmware, clock)
    await device.start()
    try:
        sessions = []
        for _ in range(2):
            reader, writer = await asyncio.open_connection(device.address["host"], device.address["port"])
            host = HostSession(DeviceKind.PENDANT)
            host.connect(clock.monotonic_s())
            states = 0
            async with asyncio.timeout(5):
                while states < 3:
                    host.poll(clock.monotonic_s())
                    writer.write(host.take_output())
                    messages = host.feed(await reader.read(4096), clock.monotonic_s())
                    states += sum(isinstance(message, PendantState) for message in messages)
            sessions.append(firmware.session.session)
            writer.close()
        assert len(set(sessions)) == 2
        async with asyncio.timeout(5):
            while firmware.session.is_open:
                await asyncio.sleep(0.005)
    finally:
        await device.close()


async def test_the_truth_connection_answers_every_line() -> None:
    def answer(request: dict[str, object]) -> dict[str, object]:
        if request["do"] == "fail":
            raise UnknownFault("no such fault")
        return {"echo": request["value"]}

    server = await serve_json_lines(answer)
    address = address_of(server)
    reader, writer = await asyncio.open_connection(address["host"], address["port"])
    try:
        answers = []
        for line in (b'{"do": "it", "value": 3}', b'{"do": "fail"}', b"not json", b"[]", b'{"do": "it"}'):
            writer.write(line + b"\n")
            async with asyncio.timeout(5):
                answers.append(json.loads(await reader.readline()))
        assert answers[0] == {"echo": 3}
        codes = [answer["error"]["code"] for answer in answers[1:]]
        assert codes == ["simulators.unknown-fault"] + ["simulators.invalid-request"] * 3
    finally:
        writer.close()
        server.close()


@pytest.fixture
def couch() -> CouchSimulator:
    clock = ManualClock()
    body = CouchBody((0, 700, -120, 0, 0, 0), seed=0, now_s=0.0)
    return CouchSimulator(CouchFirmware(body, now_s=0.0), clock)


def test_couch_faults_can_be_set_and_cleared(couch: CouchSimulator) -> None:
    body = couch.firmware.body
    couch.answer({"do": "fault", "name": "stuck_axis", "axis": "roll"})
    couch.answer({"do": "fault", "name": "encoder_invalid", "axis": 2})
    couch.answer({"do": "fault", "name": "secondary_drift", "axis": 1, "rate_per_s": 0.05})
    couch.answer({"do": "fault", "name": "lose_reference"})
    assert (body.stuck, body.primary_invalid, body.secondary_fault_rate[1]) == ({4}, {2}, 0.05)
    assert not couch.firmware.referenced
    for name, axis in (("stuck_axis", 4), ("encoder_invalid", 2), ("secondary_drift", 1), ("lose_reference", 0)):
        couch.answer({"do": "clear", "name": name, "axis": axis})
    assert (body.stuck, body.primary_invalid, body.secondary_fault_rate[1]) == (set(), set(), 0.0)
    assert couch.firmware.referenced


def test_an_unknown_couch_fault_is_an_error(couch: CouchSimulator) -> None:
    with pytest.raises(UnknownFault, match="stuck_axis"):
        couch.answer({"do": "fault", "name": "gremlins"})


def test_the_truth_is_that_of_the_table(couch: CouchSimulator) -> None:
    truth = couch.answer({"do": "truth"})
    assert truth["position"] == [0, 700, -120, 0, 0, 0]
    assert truth["standstill"] is True
    assert truth["stop_cause"] is None
    assert truth["mode"] == "SWITCH_ON_DISABLED"


async def test_imager_faults_can_be_set_and_cleared() -> None:
    imager = ImagerSimulator("A", clock=ManualClock(), seed=0, rows=4, columns=4, renderer=None, couch_truth=None)
    for name in ("no_ready", "expose_fails"):
        imager.answer({"do": "fault", "name": name})
    imager.answer({"do": "fault", "name": "silent", "device": "generator"})
    imager.answer({"do": "fault", "name": "drop_chunk", "count": 3})
    assert imager.answer({"do": "truth"})["faults"] == ["drop_chunk", "expose_fails", "no_ready", "silent"]
    assert imager.images.chunks_to_drop == 3
    for name in ("no_ready", "expose_fails", "drop_chunk"):
        imager.answer({"do": "clear", "name": name})
    imager.answer({"do": "clear", "name": "silent", "device": "generator"})
    assert imager.answer({"do": "truth"})["faults"] == []
    assert imager.images.chunks_to_drop == 0
    with pytest.raises(UnknownFault):
        imager.answer({"do": "fault", "name": "gremlins"})


async def test_a_renderer_says_what_is_wrong_with_the_scene(tmp_path: Path) -> None:
    scene = tmp_path / "scene.json"
    scene.write_text("{}", encoding="utf-8")
    renderer = Renderer(scene, "A")
    try:
        with pytest.raises(RemoteError) as refused:
            await renderer.start()
        assert refused.value.remote_code == "simulators.invalid-scene"
        assert refused.value.remote_exit_code == 2
    finally:
        await renderer.close()
