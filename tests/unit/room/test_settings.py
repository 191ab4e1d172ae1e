"""room.toml: the documented example is valid, and wrong files say what and where."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from isoalign.geometry import AXES
from isoalign.room.errors import SettingsInvalid, SettingsMissing
from isoalign.room.settings import RoomSettings, example_settings_text, load_settings, parse_settings

EXAMPLE = example_settings_text()


def test_documented_example_is_valid_and_shows_the_defaults() -> None:
    example = parse_settings(EXAMPLE, where="example")
    assert [imager.name for imager in example.imager] == ["A", "B"]
    required = tomllib.loads(EXAMPLE)
    bare = {
        "name": required["name"],
        "machine_name": required["machine_name"],
        "couch": {},
        "pendant": required["pendant"],
        "imager": [
            {key: imager[key] for key in ("name", "gantry_angle_deg", "generator", "panel", "image")}
            for imager in required["imager"]
        ],
        "dicom": {"archive": required["dicom"]["archive"]},
        "storage": {"folder": required["storage"]["folder"]},
    }
    assert RoomSettings.model_validate(bare) == example


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("pitch_deg = [-5.0, 5.0]", "pitch_degrees = [-5.0, 5.0]", "couch.travel.pitch_degrees: unknown key"),
        ("distance_mm = 0.5", "distance_mm = -0.5", "tolerance.distance_mm"),
        ("distance_mm = 0.5", "distance_mm = nan", "tolerance.distance_mm"),
        ('machine_name = "TR1"', "", "machine_name: missing"),
        ("longitudinal_mm = 700.0", "longitudinal_mm = 1700.0", "setup_position lies outside travel"),
        ("sid_mm = 1500.0", "sid_mm = 900.0", "must exceed sad_mm"),
        ('name = "B"', 'name = "A"', "imager names must differ"),
        ("port = 15170", "port = 0", "dicom.port"),
        ('ae_title = "TMS"', 'ae_title = "A TITLE THAT IS TOO LONG"', "dicom.archive.ae_title"),
        ("[tolerance]", "[tolerance", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(old: str, new: str, complaint: str) -> None:
    assert old in EXAMPLE
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(EXAMPLE.replace(old, new, 1), where="room.toml")
    assert complaint in str(caught.value)
    assert str(caught.value).startswith("room.toml")


def test_every_problem_is_told_at_once() -> None:
    text = EXAMPLE.replace("baud = 921600", "baud = 1").replace("tube_voltage_kv = 100.0", "tube_voltage_kv = 900.0")
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(text, where="room.toml")
    assert len(caught.value.facts["problems"]) == 2


def test_travel_covers_every_axis() -> None:
    couch = parse_settings(EXAMPLE, where="example").couch
    assert couch is not None
    assert tuple(couch.travel.limits().ranges) == AXES


def test_json_form_round_trips(tmp_path: Path) -> None:
    settings = parse_settings(EXAMPLE, where="example")
    path = tmp_path / "room.json"
    path.write_text(settings.model_dump_json(), encoding="utf-8")
    assert load_settings(path) == settings


def test_missing_file_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsMissing, match="nowhere"):
        load_settings(tmp_path / "nowhere.toml")
