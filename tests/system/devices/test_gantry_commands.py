"""The gantry commands as a user calls them, beside a daemon that runs; truth comes from the gantry itself."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from isoalign.cli import main
from isoalign.simulators.truth_client import ask

pytestmark = pytest.mark.system
START_DEG = -100.0
DEADLINE_S = 60.0


class Program:
    """Calls of the program, in threads of this process; what it says is read as it comes."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._out = self._err = ""
        self._running: asyncio.Task[int] | None = None

    def begin(self, *words: str) -> None:
        self._take()
        self._out = self._err = ""
        self._running = asyncio.create_task(asyncio.to_thread(main, list(words)))

    async def until(self, words: str) -> None:
        assert self._running is not None
        async with asyncio.timeout(DEADLINE_S):
            while words not in self._err:
                assert not self._running.done(), f"ended without saying {words!r}: {self._err}"
                await asyncio.sleep(0.01)
                self._take()

    async def ended(self) -> tuple[int, str, str]:
        assert self._running is not None
        code = await asyncio.wait_for(self._running, DEADLINE_S)
        self._take()
        return code, self._out, self._err

    async def call(self, *words: str) -> tuple[int, str, str]:
        """A call that moves nothing; once more where this computer was too busy to hear the gantry in time."""
        for _ in range(5):
            self.begin(*words)
            code, out, err = await self.ended()
            if "device.stale-state" not in out + err:
                break
        return code, out, err

    def _take(self) -> None:
        said = self._capsys.readouterr()
        self._out += said.out
        self._err += said.err


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setenv("COLUMNS", "140")
    return Program(capsys)


async def begin_process(*words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "isoalign.cli",
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def box(low: tuple[float, ...], high: tuple[float, ...]) -> list[list[float]]:
    return [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]


# The head keeps clear of the table top everywhere; the lobe, 200 mm beside it, touches its edge at about -75 degrees.
TABLE = {"name": "table top", "frame": "table_top", "vertices_mm": box((-265, -2000, -50), (265, 0, 0))}
HEAD = {"name": "head", "frame": "gantry", "vertices_mm": box((-50, -100, 560), (50, 100, 650))}
LOBE = {"name": "lobe", "frame": "gantry", "vertices_mm": box((-250, -100, 220), (-200, 100, 600))}
ROOM = {"parts": [TABLE, HEAD, LOBE], "uncertainty_mm": 0.0, "patient_unchecked": True}


@pytest.fixture
async def checked_room(bare_room: Any, start_machines: Callable[[Any], Awaitable[None]]) -> Any:
    """Couch, pendant and gantry with a daemon that knows what stands in the room; cleared."""
    await start_machines(bare_room)
    gantry = ("gantry", "--seed", "3", "--start", str(START_DEG), "--arm-travel-s", "0.6")
    bare_room.gantry = await bare_room.start("isoalign.simulators", *gantry)
    await bare_room.start_daemon(
        gantry=bare_room.gantry.ready["gantry"],
        clearance={"room": ROOM, "timeout_s": 30.0},
    )
    async with await bare_room.connect(clear=False) as client:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                status = await client.status()
                heard = status.gantry is not None and status.gantry.hears_pendant and status.couch_hears_pendant
                if heard:
                    break
                await asyncio.sleep(0.02)
        await client.clear("test begins", "Test")
    return bare_room


async def truth(room: Any) -> dict[str, Any]:
    return dict(await room.gantry.ask(do="truth"))


async def test_from_status_to_arrival(checked_room: Any, program: Program) -> None:
    socket = ("--socket", checked_room.socket)
    code, out, err = await program.call("gantry", "status", *socket)
    assert (code, err) == (0, "")
    assert "-100.0" in out
    assert "stowed" in out
    code, out, _ = await program.call("gantry", "status", "--json", *socket)
    document = json.loads(out)
    assert document["schema"] == "isoalign.gantry-status/1"
    assert document["angle_deg"] == pytest.approx(START_DEG, abs=0.02)
    assert document["interlocks"] == []

    # what would come too near is refused, and nothing has moved
    code, out, err = await program.call("gantry", "rotate", "60", "--yes", "--json", *socket)
    assert code == 5
    error = json.loads(out)["error"]
    assert error["code"] == "device.clearance-too-small"
    assert error["facts"]["parts"] == ["table top", "lobe"]
    assert START_DEG < error["facts"]["at_deg"] < -75.0
    assert "table top and lobe keep only" in err

    code, out, _ = await program.call("gantry", "rotate", "-97", "--plan-only", *socket)
    assert code == 0
    assert "from -100.0° to -97.0°, way +3.0°" in out
    assert "mm between table top and" in out
    assert "stop distance" in out
    assert (await program.call("gantry", "rotate", "-97", *socket))[0] == 2, "there is nobody to confirm it"
    program.begin("gantry", "rotate", "-97", "--yes", "--json", *socket)
    await program.until("press the enable bar of the pendant")
    assert (await truth(checked_room))["angle_deg"] == pytest.approx(START_DEG, abs=0.01)
    await checked_room.press_anew()
    code, out, err = await program.ended()
    assert code == 0, err
    assert "until the gantry has arrived" in err
    assert "arrived after" in err
    moved = json.loads(out)
    assert moved["schema"] == "isoalign.gantry-move/1"
    assert moved["arrived"]["angle_deg"] == pytest.approx(-97.0, abs=0.02)
    assert moved["clearance"]["parts"][0] == "table top"
    assert (await truth(checked_room))["angle_deg"] == pytest.approx(-97.0, abs=0.02)
    await checked_room.bar("release")

    program.begin("gantry", "arm", "extended", "--yes", *socket)
    await program.until("press the enable bar")
    await checked_room.press_anew()
    code, out, err = await program.ended()
    assert code == 0, err
    assert "from stowed to extended, with the gantry at -97.0°" in out
    assert "not checked: imager arm with table top" in out
    assert (await truth(checked_room))["arm"] == 1.0
    code, _, err = await program.call("gantry", "rotate", "-100", "--yes", *socket)
    assert code == 5
    assert "device.interlock-open" in err
    assert "stowed" in err


async def test_ctrl_c_and_hold_stop_the_gantry(checked_room: Any, program: Program) -> None:
    socket = ("--socket", checked_room.socket)
    process = await begin_process("gantry", "rotate", "-180", "--yes", *socket)
    assert process.stderr is not None
    async with asyncio.timeout(DEADLINE_S):
        await process.stderr.readuntil(b"press the enable bar")
    await checked_room.press_anew()
    await until_fast(checked_room)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert process.returncode == 130
    assert "the gantry was held; go on with: isoalign couch clear" in err.decode()
    stopped = await until_standing(checked_room)
    assert stopped["stop_cause"] == "STOP_COMMAND"
    assert stopped["angle_deg"] > -175.0
    assert (await program.call("couch", "clear", "--user", "Test", "--reason", "seen", *socket))[0] == 0

    program.begin("gantry", "rotate", "-180", "--yes", "--json", *socket)
    await program.until("press the enable bar")
    await checked_room.press_anew()
    await until_fast(checked_room)
    async with await checked_room.connect("second", clear=False) as other:
        await other.hold("a visitor")
    code, out, err = await program.ended()
    assert code == 5
    assert json.loads(out)["error"]["code"] == "device.hold"
    assert "a visitor" in err
    await until_standing(checked_room)
    code, out, _ = await program.call("gantry", "hold", "enough", *socket)
    assert (code, out) == (0, "held: enough\n")
    code, out, _ = await program.call("gantry", "status", "--json", *socket)
    assert "hold" in {one["rule_id"] for one in json.loads(out)["interlocks"]}


async def until_fast(room: Any) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while abs((await truth(room))["speed_deg_per_s"]) < 5.0:
            await asyncio.sleep(0.005)


async def until_standing(room: Any) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE_S):
        while not (await truth(room))["standstill"]:
            await asyncio.sleep(0.005)
    return await truth(room)


async def test_the_gantry_simulator_by_hand(program: Program) -> None:
    """As somebody starts it in a terminal: it prints where it listens, plays a fault, and ends with Ctrl-C."""
    process = await begin_process("simulate", "gantry", "--start", "-90", "--arm-extended")
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), DEADLINE_S)
        words = line.decode().split()
        assert words[0] == "gantry"
        told = dict(zip(words[1::2], words[2::2], strict=True))
        state = await asyncio.to_thread(ask, told["truth"], {"do": "truth"})
        assert state["angle_deg"] == pytest.approx(-90.0)
        assert state["arm_state"] == "EXTENDED"
        host, port = told["gantry"].split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        await writer.wait_closed()
        code, out, _ = await program.call("simulate", "fault", told["truth"], "arm_unknown")
        assert (code, out) == (0, f"{told['truth']}: arm_unknown is played\n")
        assert (await asyncio.to_thread(ask, told["truth"], {"do": "truth"}))["arm_state"] == "UNKNOWN"
        code, _, err = await program.call("simulate", "fault", told["truth"], "on_fire")
        assert code != 0
        assert "arm_unknown" in err, "what it can play is listed"
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert process.returncode == 0
