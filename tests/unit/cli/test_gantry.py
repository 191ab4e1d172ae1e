"""``isoalign gantry`` where no daemon is, and what it refuses before it asks one; the rest is in the system tests."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from isoalign.cli import main
from isoalign.cli.motion_shown import ShownMotion, press_words
from isoalign.devices.errors import IpcProtocolError
from isoalign.devices.gantry_status import GantryClearance, GantryPlan, GantryProgress, GantrySummary


@pytest.fixture
def run_folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where rooms would run: empty, and short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="i") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.mark.parametrize(
    "line",
    [["status"], ["hold"], ["rotate", "-90", "--yes"], ["rotate", "90", "--plan-only"], ["arm", "stowed", "--yes"]],
    ids=" ".join,
)
def test_no_room_runs(line: list[str], run_folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gantry", *line, "--json"]) == 5
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "device.no-daemon"
    assert "--socket" in error["hint"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["rotate"], "TARGET"),
        (["rotate", "left", "--yes"], "left"),
        (["rotate", "90"], "--yes"),
        (["arm", "out", "--yes"], "out"),
        (["arm", "stowed"], "--yes"),
        (["rotate", "90", "--plan-only", "--json", "--room", "Nowhere"], "Nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense(line: list[str], said: str, run_folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gantry", *line]) in {2, 5}
    told = capsys.readouterr()
    assert said in told.out + told.err


def test_a_motion_is_shown_as_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    def where(step: GantryProgress) -> str:
        return f"{step.angle_deg:.1f} of 90.0"

    with ShownMotion[GantryProgress]("gantry", where) as shown:
        for phase, elapsed_s, fraction in (
            ("waiting for enable", 0.0, 0.0),
            ("moving", 1.0, 0.1),
            ("moving", 2.0, 0.5),
            ("arrived", 4.0, 1.0),
        ):
            shown(GantryProgress(phase, 90 * fraction, "STOWED", elapsed_s, 4.0, fraction))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(press_words("gantry"))
    assert "moving: arrived after 4.0 s" in lines[-1]


CLEARANCE = GantryClearance(84.2, 30.0, ("trunk", "head"), 91.5, (("patient", "imager arm"),))
PLAN = GantryPlan("a1", "gantry rotation", 0.0, 90.0, 7.0, 13.5, 3.8, "STOWED", "STOWED", 60.0, None, CLEARANCE, True)


def test_what_a_plan_says_of_its_clearance() -> None:
    assert PLAN.clearance_in_words == (
        "84 mm between trunk and head, at 91.5° (30 required); not checked: imager arm with patient"
    )
    unmodelled = GantryClearance(None, 30.0, (), None, (("couch top", "gantry"),))
    assert str(unmodelled) == "not checked: gantry with couch top"
    assert str(GantryClearance(None, 30.0, (), None, ())) == "not checked"


def test_plans_and_their_clearance_cross_the_wire_unchanged() -> None:
    assert GantryPlan.from_wire(json.loads(json.dumps(PLAN.to_wire()))) == PLAN
    step = GantryProgress("moving", 12.5, "STOWED", 1.0, 4.0, 0.25, 3.1)
    assert GantryProgress.from_wire(json.loads(json.dumps(step.to_wire()))) == step


@pytest.mark.parametrize("kind", [GantryPlan, GantryProgress, GantrySummary, GantryClearance])
@pytest.mark.parametrize("wire", [{}, {"angle": 3}, {"plan_id": "a", "speed_rpm": 1}])
def test_what_is_no_message_about_the_gantry(kind: type, wire: dict[str, object]) -> None:
    with pytest.raises(IpcProtocolError, match=kind.__name__):
        kind.from_wire(wire)


def test_help_loads_neither_numpy_nor_the_devices() -> None:
    code = (
        "import sys, isoalign.cli.gantry; "
        "print([n for n in ('numpy', 'isoalign.devices', 'isoalign.room') if n in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "[]"
