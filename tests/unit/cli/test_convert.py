"""``isoalign convert`` against numbers worked out by hand from the definitions of representations and scales."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from isoalign.cli import main
from isoalign.room.settings import example_settings_text


def converted(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, float]:
    assert main(["convert", *arguments, "--json"]) == 0
    result: dict[str, float] = json.loads(capsys.readouterr().out)["to"]
    return result


def test_negative_numbers_are_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    result = converted(capsys, "-12.5", "-7", "-1e2", "--pitch", "-0", "--psa", "-90")
    assert result["lateral_mm"] == -12.5
    assert result["longitudinal_mm"] == -7
    assert result["vertical_mm"] == -100
    assert result["patient_support_angle_deg"] == -90


def test_pitch_turns_longitudinal_into_vertical(capsys: pytest.CaptureFixture[str]) -> None:
    """Pitch +30: the tilted Y axis is (0, cos 30, sin 30); a point 100 mm along the level Y has 100 cos 30 along it."""
    result = converted(capsys, "0", "100", "0", "--pitch", "30")
    assert result["longitudinal_mm"] == pytest.approx(100 * math.cos(math.radians(30)), abs=1e-9)
    assert result["vertical_mm"] == pytest.approx(-50, abs=1e-9)
    assert result["representation"] == "isocentric"


def test_roll_turns_lateral_into_vertical(capsys: pytest.CaptureFixture[str]) -> None:
    """Roll +30: the tilted X axis is (cos 30, 0, -sin 30), its Z axis (sin 30, 0, cos 30)."""
    result = converted(capsys, "100", "0", "0", "--roll", "30")
    assert result["lateral_mm"] == pytest.approx(100 * math.cos(math.radians(30)), abs=1e-9)
    assert result["vertical_mm"] == pytest.approx(50, abs=1e-9)


def test_both_ways_are_inverse(capsys: pytest.CaptureFixture[str]) -> None:
    angles = ["--pitch", "-1.5", "--roll", "2.25", "--psa", "-90"]
    there = converted(capsys, "-12.5", "700", "-120", *angles)
    translations = [str(there[key]) for key in ("lateral_mm", "longitudinal_mm", "vertical_mm")]
    back = converted(capsys, *translations, *angles, "--from", "isocentric", "--to", "iec61217")
    assert back["lateral_mm"] == pytest.approx(-12.5, abs=1e-9)
    assert back["longitudinal_mm"] == pytest.approx(700, abs=1e-9)
    assert back["vertical_mm"] == pytest.approx(-120, abs=1e-9)


def test_table_shows_both_with_units_and_directions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "-12.5", "700", "-120", "--pitch", "-1.5"]) == 0
    shown = capsys.readouterr().out
    for part in ("IEC 61217", "Isocentric Standard", "−12.50", "mm", "left (−X)", "down (−Z)", "gantry end down"):
        assert part in shown


def test_not_a_number_is_refused_with_code_and_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "nan", "1", "2"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "geometry.invalid" in captured.err
    assert "do: " in captured.err
    assert "Traceback" not in captured.err


SCALE = """
[scale.room-1]
based_on = "varian-iec"
table_top_origin_mm = [0.0, 0.0, 50.0]
origin_source = "made for a test"

[scale.room-1.axes.lateral]
sign = -1
source = "made for a test"

[scale.room-1.axes.longitudinal]
sign = 1
zero = 100.0
unit = "cm"
source = "made for a test"

[scale.room-1.axes.vertical]
sign = 1
unit = "cm"
source = "made for a test"

[scale.room-1.axes.pitch]
sign = 1
wrap = "0 to 360"
source = "made for a test"

[scale.room-1.axes.roll]
sign = 1
wrap = "-180 to 180"
source = "made for a test"
"""


@pytest.fixture
def room(tmp_path: Path) -> str:
    path = tmp_path / "room.toml"
    path.write_text(example_settings_text() + SCALE, encoding="utf-8")
    return str(path)


def test_a_scale_of_the_site_is_read_with_its_units_and_wrapped_angles(
    room: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sign, zero and unit by hand; the scale's origin lies 50 mm above the table top, which is level here."""
    result = converted(capsys, "-12.5", "700", "-120", "--psa", "10", "--to", "room-1", "--config", room)
    assert result == {
        "scale": "room-1",
        "lateral_mm": pytest.approx(12.5),
        "longitudinal_cm": pytest.approx(170.0),
        "vertical_cm": pytest.approx(-7.0),
        "pitch_deg": pytest.approx(0.0),
        "roll_deg": pytest.approx(0.0),
        "patient_support_angle_deg": pytest.approx(350.0),  # this maker's couches turn the other way
    }


def test_the_origin_of_a_scale_tilts_with_the_table_top(room: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Pitch -90 degrees takes the table's +Z to the room's +Y: the origin's 50 mm are then along longitudinal."""
    result = converted(capsys, "0", "0", "0", "--pitch", "-90", "--to", "room-1", "--config", room)
    assert result["longitudinal_cm"] == pytest.approx(105.0)
    assert result["vertical_cm"] == pytest.approx(0.0, abs=1e-9)
    assert result["pitch_deg"] == pytest.approx(270.0)


def test_a_scale_converts_back(room: str, capsys: pytest.CaptureFixture[str]) -> None:
    angles = ("--pitch", "358.5", "--roll", "-2", "--psa", "350")
    back = converted(capsys, "12.5", "170", "-7", *angles, "--from", "room-1", "--config", room)
    assert back["representation"] == "iec61217"
    there = converted(
        capsys,
        *(str(back[key]) for key in ("lateral_mm", "longitudinal_mm", "vertical_mm")),
        *("--pitch", str(back["pitch_deg"]), "--roll", str(back["roll_deg"])),
        *("--psa", str(back["patient_support_angle_deg"])),
        *("--to", "room-1", "--config", room),
    )
    assert there["longitudinal_cm"] == pytest.approx(170.0, abs=1e-9)
    assert there["pitch_deg"] == pytest.approx(358.5, abs=1e-9)
    assert there["patient_support_angle_deg"] == pytest.approx(350.0, abs=1e-9)


def test_the_table_shows_both_readings_with_the_units_of_the_scale(
    room: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "-12.5", "700", "-120", "--psa", "10", "--to", "room-1", "--config", room]) == 0
    lines = {line.split("  ")[0].strip(): line.split() for line in capsys.readouterr().out.splitlines()}
    assert lines["Longitudinal"][1:5] == ["+700.00", "mm", "+170.000", "cm"]
    assert lines["Lateral"][1:7] == ["−12.50", "mm", "+12.50", "mm", "left", "(−X)"], "words follow the position"
    assert lines["Patient support angle"][3:8] == ["+10.000", "°", "+350.000", "°", "counter-clockwise"]


@pytest.mark.parametrize("name", ["varian-iec", "varian-standard", "elekta-iec", "iba"])
@pytest.mark.parametrize("option", ["--from", "--to"])
def test_what_nobody_has_published_of_a_scale_is_refused_with_what_to_state(
    name: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "1", "2", "3", option, name]) == 3
    told = capsys.readouterr().err
    assert "geometry.unverified-scale" in told
    for part in (
        "lateral",
        "pitch",
        f'based_on = "{name}"',
        "[scale.NAME.axes.AXIS]",
        "table_top_origin_mm",
        "--config",
    ):
        assert part in told


def test_an_unverified_axis_of_the_sites_own_scale_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "room.toml"
    path.write_text(example_settings_text() + SCALE.partition("[scale.room-1.axes.roll]")[0], encoding="utf-8")
    assert main(["convert", "1", "2", "3", "--to", "room-1", "--config", str(path), "--json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["facts"]["unverified"] == ["roll"]
    assert "[scale.room-1.axes.AXIS]" in error["hint"]
    assert error["hint"].endswith("for roll.")


def test_cid_9569_is_converted_only_when_the_user_declares_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["convert", "1", "2", "3", "--pitch", "2", "--from", "cid9569"]
    assert main(line) == 3
    told = capsys.readouterr().err
    assert "geometry.representation-mismatch" in told
    assert "--declare-cid9569-isocentric" in told
    assert main([*line, "--declare-cid9569-isocentric", "--json"]) == 0
    declared = json.loads(capsys.readouterr().out)
    assert declared["from"]["representation"] == "cid9569"
    assert declared["to"] == converted(capsys, "1", "2", "3", "--pitch", "2", "--from", "isocentric")


def test_an_unknown_name_is_told_with_the_known_ones(room: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "1", "2", "3", "--to", "room-2", "--config", room]) == 2
    told = capsys.readouterr().err
    assert "positions.unknown-scale" in told
    assert all(name in told for name in ("'room-2'", "isocentric", "cid9569", "elekta-iec", "room-1"))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (["1", "2"], "VERTICAL missing"),
        ([], "LATERAL, LONGITUDINAL, VERTICAL missing"),
        (["1", "2", "3", "--file", "a.csv"], "LATERAL, LONGITUDINAL, VERTICAL cannot be given as well"),
        (["--file", "a.csv", "--pitch", "1"], "--pitch cannot be given as well"),
        (["--file", "a.csv"], "--output, --from, --to"),
        (["--file", "a.csv", "--output", "b.csv", "--to", "isocentric"], "--from"),
        (["1", "2", "3", "--level"], "--level: only with --file"),
        (["1", "2", "3", "--output", "b.csv"], "--output: only with --file"),
    ],
)
def test_a_position_and_a_file_are_two_ways_to_ask(
    line: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", *line, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "cli.usage"
    assert complaint in error["message"]
