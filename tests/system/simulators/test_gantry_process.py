"""The real gantry process through a socket: a session, a rotation under a pressed bar, and what silence does."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prepared_processes import PreparedProcess

from isoalign.protocol import HostSession
from isoalign.protocol.messages import (
    BarPosition,
    CommandStatus,
    ConeBeamRotate,
    DeviceKind,
    GantryEnableToken,
    GantryInfo,
    GantryLatch,
    GantryMode,
    GantryRotate,
    GantryState,
    ProjectionTrigger,
)
from isoalign.simulators.truth_client import ask

pytestmark = pytest.mark.system
START_DEG = -20.0


class GantryProcess:
    """The process, and a whole little host: session, client counter, and the token of a pendant that is held or not."""

    def __init__(self, *arguments: str, prepared: bool = True) -> None:
        begin: type[PreparedProcess | subprocess.Popen[str]] = PreparedProcess if prepared else subprocess.Popen
        self.process = begin(
            [sys.executable, "-m", "isoalign.simulators", "gantry", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline())
        address = self.ready["gantry"]
        self._socket = socket.create_connection((address["host"], address["port"]), timeout=5)
        self._socket.setblocking(False)
        self.host = HostSession(DeviceKind.GANTRY)
        self.host.connect(time.monotonic())
        self.bar = BarPosition.RELEASED
        self.press_count = 1
        self.counter = 0
        self.state: GantryState | None = None
        self.info: GantryInfo | None = None
        self.events: list[ProjectionTrigger] = []

    def truth(self, do: str = "truth", **values: Any) -> dict[str, Any]:
        address = self.ready["truth"]
        return ask(f"{address['host']}:{address['port']}", {"do": do, **values})

    def pump(self) -> None:
        now_s = time.monotonic()
        self.counter += 1
        self.host.client_counter = self.counter
        if self.host.is_open:
            self.host.send(GantryEnableToken(self.bar, self.press_count, self.counter), now_s)
        self.host.poll(now_s)
        self._socket.sendall(self.host.take_output())
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        for message in self.host.feed(data, now_s):
            if isinstance(message, GantryState):
                self.state = message
            elif isinstance(message, GantryInfo):
                self.info = message
            elif isinstance(message, ProjectionTrigger):
                self.events.append(message)

    def until(self, holds: Callable[[], object], within_s: float = 15.0) -> None:
        deadline_s = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline_s, f"not within {within_s} s; the gantry says {self.state}"
            self.pump()
            time.sleep(0.005)

    def press(self) -> None:
        """A press counts only when the gantry has seen the switch before it."""
        self.until(lambda: self.state is not None and self.state.press_count is not None)
        self.bar = BarPosition.ENABLED
        self.press_count += 1
        self.until(lambda: self.state is not None and self.state.mode is GantryMode.SWITCHED_ON)

    def rotate(self, target_deg: float) -> int:
        return self.host.issue(GantryRotate(1, 0, 7_000_000, round(target_deg * 1e6), None), time.monotonic())

    def status(self, number: int) -> CommandStatus:
        progress = self.host.progress(number)
        assert progress is not None
        assert not progress.unanswered
        return progress.status

    def close(self) -> None:
        self._socket.close()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            assert self.process.wait(10) == 0
            assert self.process.stdout.read() == "", "more than one line on stdout"
        finally:
            self.process.stdout.close()
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait(5)


@pytest.fixture
def gantry(request: pytest.FixtureRequest) -> Iterator[GantryProcess]:
    """Begun as a user's is in the test that has ``started_anew`` among its fixtures."""
    prepared = "started_anew" not in request.fixturenames
    started = GantryProcess("--seed", "5", "--start", str(START_DEG), "--arm-extended", prepared=prepared)
    try:
        yield started
    finally:
        started.close()


def test_a_rotation_under_a_pressed_bar_arrives(gantry: GantryProcess) -> None:
    gantry.press()
    number = gantry.rotate(-14.0)
    gantry.until(lambda: gantry.status(number) is CommandStatus.DONE)
    seen = gantry.truth()
    assert seen["angle_deg"] == pytest.approx(-14.0, abs=0.02)
    assert (seen["standstill"], seen["stop_cause"]) == (True, None)
    assert gantry.info is not None
    assert gantry.info.speed_max_udeg_per_s == 7_000_000
    assert not gantry.host.reader.rejected


@pytest.mark.usefixtures("started_anew")
def test_without_the_bar_nothing_moves(gantry: GantryProcess) -> None:
    gantry.until(lambda: gantry.state)
    number = gantry.rotate(0.0)
    gantry.until(lambda: gantry.status(number) is CommandStatus.REJECTED)
    assert gantry.truth()["angle_deg"] == START_DEG


def test_letting_go_stops_the_real_gantry(gantry: GantryProcess) -> None:
    gantry.press()
    number = gantry.rotate(60.0)
    gantry.until(lambda: gantry.truth()["speed_deg_per_s"] > 6.5)
    gantry.bar = BarPosition.RELEASED
    gantry.until(lambda: gantry.status(number) is CommandStatus.ABORTED)
    gantry.until(lambda: gantry.truth()["standstill"])
    assert gantry.truth()["stop_cause"] == "ENABLE_LOST"


def wait_for_standstill(gantry: GantryProcess) -> dict[str, Any]:
    """Without a word to the gantry itself."""
    deadline_s = time.monotonic() + 5
    while not (seen := gantry.truth())["standstill"]:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    return seen


def test_a_silent_host_stops_the_real_gantry(gantry: GantryProcess) -> None:
    """The host simply does nothing more; the gantry must find out by itself, in time."""
    gantry.press()
    gantry.rotate(100.0)
    gantry.until(lambda: gantry.truth()["speed_deg_per_s"] > 6.5)
    before_deg = gantry.truth()["angle_deg"]
    seen = wait_for_standstill(gantry)
    assert seen["stop_cause"] == "HOST_LOST"
    # 150 ms at 7 degrees/s, the stop, and some allowance for a busy machine
    assert seen["angle_deg"] - before_deg < 1.05 + 3.0 + 1.5
    gantry.host.connect(time.monotonic())
    gantry.until(lambda: gantry.host.is_open and gantry.state and gantry.state.latch is GantryLatch.HOST_LOST)
    assert gantry.truth()["angle_deg"] == pytest.approx(seen["angle_deg"], abs=0.01)


def test_a_closed_connection_stops_the_real_gantry(gantry: GantryProcess) -> None:
    gantry.press()
    gantry.rotate(100.0)
    gantry.until(lambda: gantry.truth()["speed_deg_per_s"] > 6.5)
    gantry._socket.close()
    assert wait_for_standstill(gantry)["stop_cause"] == "HOST_LOST"


def test_a_cone_beam_rotation_triggers_where_the_true_gantry_is(gantry: GantryProcess) -> None:
    gantry.press()
    command = ConeBeamRotate(1, 0, 9, -15_000_000, -11_000_000, 4_000_000, 400_000, None)
    number = gantry.host.issue(command, time.monotonic())
    gantry.until(lambda: gantry.status(number) is CommandStatus.DONE)
    assert [event.trigger_index for event in gantry.events] == list(range(11))
    told = gantry.truth("triggers")
    assert told["scan_id"] == 9
    assert [one["angle_deg"] for one in told["triggers"]] == pytest.approx(
        [-15.0 + 0.4 * index for index in range(11)], abs=0.007
    )
    assert gantry.truth()["trigger_count"] == 11


@pytest.mark.parametrize("fault", ["freeze", "link_drop"])
def test_a_silent_gantry_talks_again(gantry: GantryProcess, fault: str) -> None:
    gantry.until(lambda: gantry.state)
    assert gantry.truth("fault", name=fault) == {"ok": True}
    gantry.until(lambda: gantry.host.heard_age_s(time.monotonic()) > 0.3)
    gantry.truth("clear", name=fault)
    gantry.host.connect(time.monotonic())
    gantry.state = None
    gantry.until(lambda: gantry.state)


def test_an_unknown_fault_is_a_typed_error(gantry: GantryProcess) -> None:
    address = gantry.ready["truth"]
    with socket.create_connection((address["host"], address["port"]), timeout=5) as connection:
        connection.sendall(b'{"do": "fault", "name": "gremlins"}\n')
        with connection.makefile("rb") as lines:
            answer = json.loads(lines.readline())
    assert answer["error"]["code"] == "simulators.unknown-fault"
    assert "trigger_late" in answer["error"]["message"]
