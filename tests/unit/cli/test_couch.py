"""``isoalign couch`` where no daemon is, and what it refuses before it asks one; the rest is in the system tests."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from isoalign.cli import main
from isoalign.cli.couch import fault_lines
from isoalign.room.devices_tools import find_socket

TARGET = ["1", "700", "-120", "0", "0", "-5"]


@pytest.fixture
def run_folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where rooms would run: empty, and short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="i") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.mark.parametrize(
    "line",
    [
        ["status"],
        ["hold"],
        ["clear", "--user", "Test", "--reason", "test"],
        ["move", *TARGET, "--to", "iec61217", "--yes"],
    ],
    ids=lambda line: line[0],
)
def test_no_room_runs(line: list[str], run_folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["couch", *line, "--json"]) == 5
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "device.no-daemon"
    assert "--socket" in error["hint"]


def test_a_socket_that_nobody_listens_at(run_folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left_behind = run_folders / "s"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(left_behind))
    assert main(["couch", "status", "--socket", str(left_behind)]) == 5
    assert str(left_behind) in capsys.readouterr().err


@pytest.fixture
def two_rooms(run_folders: Path) -> Iterator[dict[str, Path]]:
    """Two processes that serve a socket, as two daemons would."""
    serve = (
        "import socket, sys\n"
        "from pathlib import Path\n"
        "from isoalign.devices.registry import registered\n"
        "with socket.socket(socket.AF_UNIX) as ours:\n"
        "    ours.bind(sys.argv[2]); ours.listen()\n"
        "    with registered(sys.argv[1], Path(sys.argv[2])):\n"
        "        print('ready', flush=True); sys.stdin.read()\n"
    )
    sockets = {name: run_folders / str(number) for number, name in enumerate(("Gantry 1", "Gantry 2"))}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", serve, name, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name, path in sockets.items()
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    yield sockets
    for process in started:
        process.communicate(timeout=10)


def test_several_rooms_must_be_told_apart(two_rooms: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["couch", "status"]) == 5
    told = capsys.readouterr().err
    assert "device.several-daemons" in told
    for name, path in two_rooms.items():
        assert f"{name} ({path})" in told
    assert "--room" in told


def test_a_room_is_found_by_its_name(two_rooms: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert find_socket(None, "gantry 2") == two_rooms["Gantry 2"]
    assert main(["couch", "status", "--room", "Gantry 3"]) == 5
    told = capsys.readouterr().err
    assert "device.no-daemon" in told
    assert "Gantry 1" in told


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["move", *TARGET], "--to"),
        (["move", *TARGET[:3], "--to", "iec61217"], "PITCH"),
        (["move", *TARGET, "--to", "iec61217", "--approach", "sideways"], "sideways"),
        (["move", *TARGET, "--to", "room-9", "--yes"], "room-9"),
        (["move", *TARGET, "--to", "cid9569", "--yes"], "CID 9569"),
        (["move", "nan", *TARGET[1:], "--to", "iec61217", "--yes"], "nan"),
        (["move", *TARGET, "--to", "iec61217", "--json"], "--yes"),
        (["move", *TARGET, "--to", "iec61217", "--speed", "hasty"], "hasty"),
        (["faults", "--number", "first"], "first"),
        (["clear", "--user", "Test"], "--reason"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_daemon_is_asked(
    line: list[str], said: str, run_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["couch", *line]) in {2, 3}
    captured = capsys.readouterr()
    assert said in captured.err + captured.out
    assert "Traceback" not in captured.err


def test_faults_in_words() -> None:
    """One line for each fault and one for each change of what was seen around the one that is looked at."""

    def sample(t_s: float, speed: float, **more: object) -> dict[str, object]:
        couch = {"velocity": [0.0, -speed, None], "brake": "released", "standstill": speed == 0, "faults": []}
        return {"t_s": t_s, "activity": "motion", "enable": True, "couch": {**couch, **more}}

    faults = [
        {"rule_id": "touch", "text": "touch sensor TABLE_TOP is pressed", "at": "2026-03-01T10:00:00.123456+00:00"},
        {"rule_id": "hold", "text": "Hold: cough", "at": "2026-03-01T09:00:00.000000+00:00"},
    ]
    samples = [sample(-0.5, 50.2), sample(-0.25, 49.8), sample(0.1, 10.0), sample(0.3, 0.0, faults=["TOUCH"])]
    assert fault_lines({"faults": faults, "samples": samples}, 0) == [
        "> 0  2026-03-01T10:00:00.123  touch: touch sensor TABLE_TOP is pressed",
        "  1  2026-03-01T09:00:00.000  hold: Hold: cough",
        "   -0.500 s  motion, bar held, brakes released, at most 50/s",
        "   +0.100 s  motion, bar held, brakes released, at most 10/s",
        "   +0.300 s  motion, bar held, brakes released, at rest, TOUCH",
    ]
    assert fault_lines({"faults": [], "samples": []}, 0) == ["no fault since the daemon started"]
