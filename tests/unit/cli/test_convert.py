"""``isoalign convert`` against numbers worked out by hand from the definition of the two representations."""

from __future__ import annotations

import json
import math

import pytest

from isoalign.cli import main


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
