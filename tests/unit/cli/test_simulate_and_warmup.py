"""``isoalign simulate`` prints addresses; ``isoalign warmup`` compiles every room that has kernels."""

from __future__ import annotations

import json
import socket
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from isoalign.cli import main
from isoalign.cli.warmup import KERNEL_ROOMS
from isoalign.errors import error_to_wire
from isoalign.simulators.errors import SimulatorSilent, UnknownFault

READY = [
    {"ready": True, "kind": "couch", "serial": "/dev/pts/9", "baud": 921600, "truth": {"host": "127.0.0.1", "port": 4}},
    {"ready": True, "kind": "pendant", "pendant": {"host": "127.0.0.1", "port": 5}},
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    given: dict[str, Any] = {}

    def run(*, on_ready: Callable[[list[dict[str, Any]]], None], **options: Any) -> None:
        given.update(options)
        on_ready(READY)

    def run_one(kind: str, options: list[str], *, on_ready: Callable[[list[dict[str, Any]]], None]) -> None:
        given.update(kind=kind, options=options)
        on_ready([one for one in READY if one["kind"] == kind])

    module = types.ModuleType("isoalign.room.simulate")
    module.run = run  # type: ignore[attr-defined]
    module.run_one = run_one  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "isoalign.room.simulate", module)
    return given


def test_simulate_prints_one_line_for_each_machine(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--seed", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["couch", "serial", "/dev/pts/9", "baud", "921600", "truth", "127.0.0.1:4"]
    assert lines[1].split() == ["pendant", "pendant", "127.0.0.1:5"]
    assert asked["seed"] == 4


def test_simulate_prints_json(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["simulators"] == READY


def test_a_room_is_what_simulate_starts(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "room", "--seed", "5", "--json"]) == 0
    assert asked["seed"] == 5
    assert json.loads(capsys.readouterr().out)["simulators"] == READY


@pytest.mark.parametrize("kind", ["couch", "imager", "generator", "panel", "pendant", "gantry"])
def test_one_simulator_gets_its_own_options(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert main(["simulate", kind, "--start", "-90", "--tcp", "--json"]) == 0
    assert (asked["kind"], asked["options"]) == (kind, ["--start", "-90", "--tcp"])
    assert json.loads(capsys.readouterr().out)["simulators"] == [one for one in READY if one["kind"] == kind]


class Simulator:
    """Answers one line, as a simulator's truth connection does."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[Any] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._server.getsockname())
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with connection, connection.makefile("rb") as lines:
            self.requests.append(json.loads(lines.readline()))
            connection.sendall(self.answer)

    def close(self) -> None:
        self._thread.join(5)
        self._server.close()


@pytest.fixture
def simulator() -> Iterator[Callable[[bytes], Simulator]]:
    made: list[Simulator] = []

    def make(answer: bytes) -> Simulator:
        made.append(Simulator(answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_fault_is_played_and_ended(
    simulator: Callable[[bytes], Simulator], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = (simulator(b'{"ok": true}\n') for _ in range(3))
    assert main(["simulate", "fault", first.address, "runaway", "axis=lateral", "speed=-30"]) == 0
    assert main(["simulate", "fault", second.address, "runaway", "--end"]) == 0
    assert main(["simulate", "fault", third.address, "all", "--end", "--json"]) == 0
    for one in (first, second, third):
        one.close()
    assert first.requests == [{"do": "fault", "name": "runaway", "axis": "lateral", "speed": -30}]
    assert second.requests == [{"do": "clear", "name": "runaway"}]
    assert third.requests == [{"do": "clear"}]
    out = capsys.readouterr().out
    assert "runaway is played" in out
    assert "runaway ended" in out
    assert '"ok": true' in out


def test_a_fault_that_the_simulator_cannot_play(
    simulator: Callable[[bytes], Simulator], capsys: pytest.CaptureFixture[str]
) -> None:
    error = UnknownFault("the couch cannot play the fault 'gremlins'; it can: creep, runaway")
    one = simulator(json.dumps({"error": error_to_wire(error)}).encode() + b"\n")
    assert main(["simulate", "fault", one.address, "gremlins"]) == error.exit_code
    said = capsys.readouterr().err
    assert "it can: creep, runaway" in said
    assert "simulators.unknown-fault" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["nowhere", "creep"], "simulators.invalid-request", "isoalign simulate prints"),
        (["127.0.0.1:0", "creep"], "simulators.invalid-request", "isoalign simulate prints"),
        (["127.0.0.1:9", "creep", "axis"], "simulators.invalid-request", "axis=longitudinal"),
        (["127.0.0.1:9", "creep", "axis=1", "axis=2"], "simulators.invalid-request", "given twice"),
        (["127.0.0.1:9", "creep", "name=other"], "simulators.invalid-request", "no parameter"),
    ],
)
def test_a_fault_that_makes_no_sense(
    words: list[str], code: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "fault", *words]) == 2
    said = capsys.readouterr().err
    assert code in said
    assert hint in said


def test_nobody_answers_or_somebody_else_does(
    simulator: Callable[[bytes], Simulator], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = "{}:{}".format(*taken.getsockname())
    assert main(["simulate", "fault", free, "creep"]) == SimulatorSilent("").exit_code
    assert "no simulator answers" in capsys.readouterr().err
    for answer in (b"hello\n", b"[]\n", b""):
        assert main(["simulate", "fault", simulator(answer).address, "creep"]) == SimulatorSilent("").exit_code
        assert "no truth or control connection" in capsys.readouterr().err


def test_warmup_calls_every_room_with_kernels(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    warmed: list[str] = []

    def import_module(name: str) -> Any:
        return types.SimpleNamespace(warmup=lambda: warmed.append(name))

    monkeypatch.setattr("isoalign.cli.warmup.import_module", import_module)
    assert main(["warmup"]) == 0
    assert warmed == list(KERNEL_ROOMS)
    assert capsys.readouterr().err.count("✓") == len(KERNEL_ROOMS)
