"""The couch and protocol commands as a user calls them, beside a daemon that runs; truth comes from the couch."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prepared_processes import PreparedProcess

from isoalign.records import Technique

pytestmark = pytest.mark.system

TARGET = ("5", "705", "-118", "0.5", "-0.5", "1")
FAR = ("100", "900", "-100", "2", "-2", "10")


class Command:
    """One call of the program."""

    def __init__(self, process: PreparedProcess | subprocess.Popen[bytes]) -> None:
        self.process = process
        self.seen = b""

    @classmethod
    def begin(cls, *words: str, stdin: int = subprocess.DEVNULL, prepared: bool = True) -> Command:
        kind: type[PreparedProcess | subprocess.Popen[bytes]] = PreparedProcess if prepared else subprocess.Popen
        process = kind(
            [sys.executable, "-m", "isoalign.cli", *words],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "COLUMNS": "120"},
        )
        return cls(process)

    async def says(self, words: str) -> None:
        assert self.process.stderr is not None
        async with asyncio.timeout(20):
            while words.encode() not in self.seen:
                part = await asyncio.to_thread(os.read, self.process.stderr.fileno(), 4096)
                assert part, f"ended without saying {words!r}: {self.seen.decode()}"
                self.seen += part

    async def ended(self) -> tuple[int, str, str]:
        """Exit code, and what it said on both outputs since :meth:`says` found its words."""
        streams = [self.process.stdout, self.process.stderr]
        said = (asyncio.to_thread(stream.read) for stream in streams if stream is not None)
        try:
            out, err = await asyncio.wait_for(asyncio.gather(*said), 30)
            code = await asyncio.to_thread(self.process.wait, 5)
        finally:
            self.process.kill()
            for stream in streams:
                assert stream is not None
                stream.close()
        return code, out.decode(), err.decode()


async def call(*words: str, prepared: bool = True) -> tuple[int, str, str]:
    return await Command.begin(*words, prepared=prepared).ended()


@pytest.fixture
async def cleared(room: Any) -> Any:
    async with await room.connect():
        return room


async def test_status_shows_the_couch_and_what_keeps_it_from_moving(room: Any) -> None:
    code, out, err = await call("couch", "status", "--socket", room.socket, prepared=False)
    assert (code, err) == (0, "")
    assert "+700.00" in out
    assert "start-up" in out
    assert "refused" in out
    code, out, _ = await call("couch", "status", "--socket", room.socket, "--json", "--in", "isocentric")
    document = json.loads(out)
    assert document["schema"] == "isoalign.couch-status/1"
    assert document["motion_permitted"] is False
    assert document["shown"]["representation"] == "isocentric"
    assert document["shown"]["longitudinal_mm"] == pytest.approx(700.0, abs=0.05)


async def test_a_move_from_clear_to_arrival(room: Any) -> None:
    code, out, _ = await call("couch", "clear", "--user", "Test", "--reason", "begin", "--socket", room.socket)
    assert code == 0
    assert "start-up" in out
    command = Command.begin("couch", "move", *TARGET, "--to", "iec61217", "--yes", "--socket", room.socket)
    await command.says("press the enable bar of the pendant")
    await room.press_anew()
    code, out, err = await command.ended()
    assert code == 0
    assert "arrived after" in err
    assert "at most" in out
    assert "clearance      not checked" in out
    truth = await room.truth()
    assert truth["position"] == pytest.approx([float(value) for value in TARGET], abs=0.05)


async def test_the_target_is_meant_as_the_user_says(cleared: Any) -> None:
    words = ("couch", "move", "0", "700", "-120", "3", "0", "0", "--plan-only", "--json", "--socket", cleared.socket)
    plans = {}
    for notation in ("iec61217", "isocentric"):
        code, out, _ = await call(*words, "--to", notation)
        assert code == 0
        plans[notation] = json.loads(out)
    assert plans["isocentric"]["schema"] == "isoalign.couch-plan/1"
    assert plans["isocentric"]["target"]["vertical_mm"] == pytest.approx(-120.0)
    # tilted about the isocentre and not about the table top's end, the table top's origin moves as well
    assert plans["iec61217"]["stop_distance_mm"] < 0.1
    assert plans["isocentric"]["stop_distance_mm"] > 1.0
    assert plans["iec61217"]["clearance_in_words"] == "not checked"
    code, out, _ = await call(*words, "--to", "iec61217", "--approach", "unidirectional")
    assert json.loads(out)["waypoints"][0]["pitch_deg"] == pytest.approx(2.95)
    assert (await cleared.truth())["standstill"]


async def test_ctrl_c_holds_the_couch(cleared: Any) -> None:
    words = ("couch", "move", *FAR, "--to", "iec61217", "--yes", "--socket", cleared.socket)
    command = Command.begin(*words, prepared=False)
    await command.says("press the enable bar")
    await cleared.press_anew()
    await cleared.until_fast()
    command.process.send_signal(signal.SIGINT)
    stopped = await cleared.until_standstill()
    code, _, err = await command.ended()
    assert code == 130
    assert "the couch was held" in err
    assert stopped["stop_cause"] == "STOP_COMMAND"
    assert stopped["position"][1] < 850.0
    async with await cleared.connect(clear=False) as client:
        fault = (await client.status()).first_fault
        assert fault is not None
        assert fault.rule_id == "hold", "and not the death of a program"
        assert "Ctrl-C" in fault.text


async def test_hold_from_another_terminal(cleared: Any) -> None:
    command = Command.begin("couch", "move", *FAR, "--to", "iec61217", "--yes", "--json", "--socket", cleared.socket)
    await command.says("press the enable bar")
    await cleared.press_anew()
    await cleared.until_fast()
    code, out, _ = await call("couch", "hold", "a visitor", "--socket", cleared.socket)
    assert (code, out) == (0, "held: a visitor\n")
    await cleared.until_standstill()
    code, out, err = await command.ended()
    assert code == 5
    assert json.loads(out)["error"]["code"] == "device.hold"
    assert "a visitor" in err


async def test_a_motion_is_confirmed_at_a_terminal(cleared: Any) -> None:
    ours, theirs = pty.openpty()
    try:
        words = ("couch", "move", *TARGET, "--to", "iec61217", "--socket", cleared.socket)
        command = Command.begin(*words, stdin=theirs)
        await command.says("Move the couch? [y/N]")
        os.write(ours, b"\n")
        code, out, err = await command.ended()
        assert code == 0
        assert "nothing has moved" in err
        assert "stop distance" in out
        command = Command.begin(*words, stdin=theirs)
        await command.says("Move the couch? [y/N]")
        os.write(ours, b"y\n")
        await command.says("press the enable bar")
        await cleared.press_anew()
        assert (await command.ended())[0] == 0
    finally:
        os.close(ours)
        os.close(theirs)
    assert (await cleared.truth())["position"][0] == pytest.approx(5.0, abs=0.05)


async def test_nobody_is_there_to_confirm(cleared: Any) -> None:
    code, out, err = await call("couch", "move", *TARGET, "--to", "iec61217", "--socket", cleared.socket)
    assert code == 2
    assert out == ""
    assert "--yes" in err


async def test_a_refused_move_says_why(room: Any) -> None:
    code, _, err = await call("couch", "move", *TARGET, "--to", "iec61217", "--yes", "--socket", room.socket)
    assert code == 5
    assert "device.interlock-open" in err
    assert "start-up" in err
    far = ("couch", "move", "300", *TARGET[1:], "--to", "iec61217", "--plan-only", "--socket", room.socket)
    code, _, err = await call(*far)
    assert code == 5
    assert "soft limits" in err


async def test_a_recorded_link_is_read_as_text(
    bare_room: Any, start_machines: Callable[[Any], Awaitable[None]], tmp_path: Path
) -> None:
    await start_machines(bare_room)
    await bare_room.start_daemon(record=str(tmp_path / "record"))
    async with await bare_room.connect() as client:
        await bare_room.move(client, tuple(float(value) for value in TARGET))
        await client.hold("the end")
    assert await bare_room.end(bare_room.daemon) == 0
    files = {path.name.split(".")[0]: path for path in (tmp_path / "record").glob("*.linklog")}
    assert set(files) == {"couch", "pendant"}
    code, out, _ = await call("protocol", "decode", str(files["couch"]))
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("couch (COUCH), from 20")
    [move] = [line for line in lines if " MOVE " in line]
    assert "-> couch" in move
    assert "target [5.000 705.000 -118.000 mm 0.5000 -0.5000 1.0000 °]" in move
    assert "speed 100.0 %" in move
    statuses = [line.split(" status ")[1].split()[0] for line in lines if " COMMAND_EVENT " in line]
    assert statuses[:3] == ["ACCEPTED", "STARTED", "DONE"]
    assert sum("  STOP " in line and "reason HOLD" in line for line in lines) == 3
    assert "BAD FRAME" not in out
    code, out, _ = await call("protocol", "decode", str(files["couch"]), "--json", "--only", "move")
    first, move_document = [json.loads(line) for line in out.splitlines()]
    assert first["schema"] == "isoalign.link-messages/1"
    assert move_document["direction"] == "to device"
    assert move_document["fields"]["target_micro"][:3] == [5000, 705000, -118000]


async def test_expose_writes_every_image_with_how_it_was_taken(
    bare_room: Any, start_machines: Callable[[Any], Awaitable[None]], tmp_path: Path
) -> None:
    await start_machines(bare_room)
    imager = await bare_room.start("isoalign.simulators", "imager", "--name", "A", "--rows", "200", "--columns", "120")
    addresses = {part: imager.ready[part] for part in ("generator", "panel", "image")}
    await bare_room.start_daemon(imagers=[{"name": "A", **addresses}])
    async with await bare_room.connect():
        pass
    words = ("expose", "--output", str(tmp_path), "--tube-current-ma", "80", "--socket", bare_room.socket)
    code, out, err = await call(*words, "--json")
    assert code == 0, err
    [image] = json.loads(out)["images"]
    assert image["technique"]["tube_current_ma"] == pytest.approx(80.0, rel=0.02)
    with Image.open(image["file"]) as picture:
        assert picture.size == (120, 200)
        assert picture.getextrema() == (image["least_count"], image["greatest_count"])
    assert image["greatest_count"] > image["least_count"] > 0
    assert json.loads(Path(image["file"]).with_suffix(".json").read_text())["exposure_id"] == image["exposure_id"]
    code, _, err = await call("expose", "B", "--output", str(tmp_path), "--socket", bare_room.socket)
    assert code == 5
    assert "device.unknown-imager" in err


async def test_the_only_room_is_found_without_being_named(bare_room: Any, tmp_path: Path) -> None:
    """By the entry that its daemon writes when it serves, and removes when it ends."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        daemon = await bare_room.start_daemon(room="Gantry 7")
        code, out, _ = await call("couch", "status", "--json")
        assert code == 0
        assert json.loads(out)["mode"] == "ABSENT"
        code, _, _ = await call("couch", "hold", "--room", "gantry 7")
        assert code == 0
        code, _, err = await call("couch", "status", "--room", "Gantry 8")
        assert code == 5
        assert "Gantry 7" in err
        assert await bare_room.end(daemon) == 0
        assert list((runtime / "isoalign").iterdir()) == []


async def test_a_recorded_motion_and_exposure_are_played_and_read_again(
    bare_room: Any, start_machines: Callable[[Any], Awaitable[None]], tmp_path: Path
) -> None:
    await start_machines(bare_room)
    imager = await bare_room.start("isoalign.simulators", "imager", "--name", "A", "--rows", "200", "--columns", "120")
    addresses = {part: imager.ready[part] for part in ("generator", "panel", "image")}
    await bare_room.start_daemon(imagers=[{"name": "A", **addresses}], record=str(tmp_path))
    async with await bare_room.connect() as client:
        await bare_room.move(client, tuple(float(value) for value in TARGET))
        [image] = await client.expose(["A"], Technique(100.0, 80.0, 40.0))
    assert await bare_room.end(bare_room.daemon) == 0
    files = {path.name.split(".")[0]: str(path) for path in tmp_path.glob("*.linklog")}
    assert set(files) == {"couch", "pendant", "generator-a", "panel-a", "image-a"}

    code, out, _ = await call("protocol", "replay", files["couch"], "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["sessions"], found["errors"], found["lost_frames"]) == (1, 0, 0)
    _, decoded, _ = await call("protocol", "decode", files["couch"], "--json", "--only", "COUCH_STATE")
    assert found["messages"]["COUCH_STATE"] == len(decoded.splitlines()) - 1 > 50
    answers = [event["text"] for event in found["events"] if event["kind"] == "COMMAND_EVENT"]
    assert [" status DONE" in text for text in answers].count(True) >= 1
    modes = [event["text"] for event in found["events"] if event["text"].startswith("mode ")]
    assert any("OPERATION_ENABLED" in text for text in modes), modes

    code, out, _ = await call("protocol", "replay", files["panel-a"], "--json")
    assert [event["kind"] for event in json.loads(out)["events"]].count("FRAME_READY") == 1

    code, out, _ = await call("protocol", "decode", files["image-a"], "--json")
    _, *lines = [json.loads(line) for line in out.splitlines()]
    chunks = [line["fields"] for line in lines if line["message"] == "IMAGE_CHUNK"]
    assert sum(chunk["row_count"] for chunk in chunks) == 200
    pixels = image.pixels.astype("<u2")
    for chunk in chunks:
        rows = pixels[chunk["first_row"] : chunk["first_row"] + chunk["row_count"]]
        assert chunk["pixels_crc"] == zlib.crc32(rows.tobytes())
    [end] = [line["fields"] for line in lines if line["message"] == "IMAGE_END"]
    assert end["pixels_crc"] == zlib.crc32(pixels.tobytes())
