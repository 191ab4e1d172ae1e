"""room.toml: the documented example is valid, and wrong files say what and where."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from isoalign.geometry import AXES, Representation, TableTopPosition
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
        ("port = 51700", "port = 0", "dicom.port"),
        ('ae_title = "TMS"', 'ae_title = "A TITLE THAT IS TOO LONG"', "dicom.archive.ae_title"),
        ('method = "2d3d"', 'method = "bones"', "match.method"),
        ("marker_diameter_mm = 1.6", "marker_diameter_mm = 0.0", "match.marker_diameter_mm"),
        ("# marker_length_mm = 3.0", "marker_length_mm = 1.0", "marker_length_mm must not be below"),
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


def documented_scale() -> str:
    """The scale that the example shows in comments, without the marks."""
    lines = EXAMPLE[EXAMPLE.index("# [scale.") :].splitlines()
    assert all(line.startswith("#") for line in lines)
    return EXAMPLE + "\n".join(line[1:] for line in lines)


def test_the_documented_scale_is_valid_and_complete() -> None:
    """It is no part of the defaults: nobody but the site knows what a machine reads."""
    assert parse_settings(EXAMPLE, where="example").scales() == {}
    (scale,) = parse_settings(documented_scale(), where="example").scales().values()
    assert scale.name == "room-1"
    assert not scale.unverified_axes
    position = TableTopPosition(Representation.IEC_61217, 1.0, 2.0, 3.0, -4.0, 5.0, 6.0)
    assert scale.read(position).values == pytest.approx((1.0, 100.2, -0.3, 356.0, 5.0, 354.0))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("zero = 100.0", "zer = 100.0", "room.toml: scale.room-1.axes.longitudinal.zer: unknown key"),
        ("zero = 100.0", "zero = inf", "scale.room-1.axes.longitudinal.zero: "),
        ("sign = -1", "sign = 2", "scale.room-1.axes.vertical.sign: "),
        ("sign = -1", "", "scale.room-1.axes.vertical.sign: missing"),
        ('unit = "deg"', 'unit = "cm"', "room.toml: scale.room-1.axes.pitch.unit: 'cm'"),
        ('unit = "mm" ', 'unit = "deg" ', "scale.room-1.axes.lateral.unit: 'deg'"),
        ('wrap = "0 to 360"', 'wrap = "0 to 400"', "scale.room-1.axes.pitch.wrap"),
        ("axes.roll]", "axes.rol]", "scale.room-1.axes.rol: unknown axis"),
        ('based_on = "varian-iec"', 'based_on = "varian"', "scale.room-1.based_on: 'varian'"),
        ('origin_source = "acceptance protocol, page 12"', 'origin_source = ""', "scale.room-1.origin_source"),
        ('origin_source = "', 'origin_sourc = "', "scale.room-1.origin_sourc: unknown key"),
        ("origin_mm = [0.0, 0.0, 0.0]", "origin_mm = [0.0, 0.0]", "scale.room-1.table_top_origin_mm"),
        ("[scale.room-1", "[scale.iec61217", "scale.iec61217: this name is built in"),
    ],
)
def test_a_wrong_key_of_a_scale_is_named_with_its_path(old: str, new: str, complaint: str) -> None:
    text = documented_scale()
    head, mark, scale = text.rpartition("\n [scale.room-1]")
    assert old in mark + scale
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(head + (mark + scale).replace(old, new), where="room.toml")
    assert complaint in str(caught.value)


def test_a_scale_survives_the_json_form(tmp_path: Path) -> None:
    settings = parse_settings(documented_scale(), where="example")
    path = tmp_path / "room.json"
    path.write_text(settings.model_dump_json(), encoding="utf-8")
    assert load_settings(path).scales() == settings.scales()
