"""A room works with records of its own only: signed by its key, valid now, of its devices, of all its imagers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoalign.calibration import CalibrationRecord, InvalidCalibrationRecord, RoomKey, write_record
from isoalign.clock import SystemClock
from isoalign.devices.config import load_daemon_config
from isoalign.devices.controller import DeviceController
from isoalign.errors import IsoalignError
from isoalign.geometry import AXES, ImagerAxis, PixelGrid, ProjectionGeometry, Representation, TableTopPosition
from isoalign.room.calibration import RoomCalibration, load_calibration
from isoalign.room.errors import CalibrationIncomplete
from isoalign.room.settings import CalibrationSettings, RoomSettings, load_settings
from isoalign.room.simulation import start_daemon

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHIFT_MM = (1.5, -0.7)


def stored(geometry: ProjectionGeometry, name: str) -> dict[str, Any]:
    grid = geometry.grid
    return {
        "name": name,
        "geometry": {
            "source_mm": geometry.source_mm.tolist(),
            "fixed_from_receptor": geometry.fixed_from_receptor.matrix.tolist(),
            "rows": grid.rows,
            "columns": grid.columns,
            "row_spacing_mm": grid.row_spacing_mm,
            "column_spacing_mm": grid.column_spacing_mm,
            "first_pixel_mm": list(grid.first_pixel_mm),
        },
    }


def record_of(names: tuple[str, ...] = ("A", "B"), rows: int = 1024) -> CalibrationRecord:
    grid = PixelGrid.centred(rows, 768, 0.388)
    imagers = [
        stored(ProjectionGeometry.from_axis(ImagerAxis(90.0 * number, 1000.0, 1500.0, SHIFT_MM), grid), name)
        for number, name in enumerate(names)
    ]
    return CalibrationRecord(
        kind="kV imager geometry",
        version=1,
        method="by hand",
        measured_at=NOW - timedelta(days=1),
        valid_until=NOW + timedelta(days=1),
        devices={"imager A": "P-1"},
        inputs_sha256="",
        result={"kind": "isoalign kV imager geometry", "version": 1, "imagers": imagers},
        residuals={},
    )


@pytest.fixture
def key(tmp_path: Path) -> RoomKey:
    made = RoomKey.generate()
    made.save(tmp_path / "key")
    return made


def settings(folder: Path, devices: dict[str, str] | None = None) -> RoomSettings:
    stated = CalibrationSettings(seal=folder / "key.pub", imagers=folder / "r.json", devices=devices or {})
    return load_settings().model_copy(update={"calibration": stated})


def test_without_a_section_the_configuration_holds() -> None:
    assert load_calibration(load_settings(), NOW) == RoomCalibration()


def test_a_good_record_says_where_the_imagers_stand(tmp_path: Path, key: RoomKey) -> None:
    write_record(record_of(), tmp_path / "r.json", key)
    found = load_calibration(settings(tmp_path, {"imager A": "P-1", "couch": "C-9"}), NOW)
    assert sorted(found.imagers) == ["A", "B"]
    axis = found.imagers["A"].axis
    assert axis is not None
    np.testing.assert_allclose(axis.receptor_translation_mm, SHIFT_MM, atol=1e-9)
    assert "kV imager geometry of 2026-02-28 12:00 UTC" in found.in_words()[0]


def changed(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    document["content"]["result"]["imagers"][0]["geometry"]["source_mm"][0] += 1.0
    path.write_text(json.dumps(document), encoding="utf-8")


BAD = [
    ("expired", "calibration.expired-record"),
    ("changed", "calibration.tampered-record"),
    ("foreign key", "calibration.foreign-record"),
    ("foreign device", "calibration.foreign-record"),
    ("one imager", "calibration.incomplete"),
    ("other panel", "calibration.incomplete"),
    ("no file", "calibration.invalid-record"),
]


@pytest.mark.parametrize(("what", "code"), BAD)
def test_every_other_record_is_refused(tmp_path: Path, key: RoomKey, what: str, code: str) -> None:
    file = tmp_path / "r.json"
    record = {"one imager": record_of(("A",)), "other panel": record_of(rows=512)}.get(what, record_of())
    now, devices = NOW, {}
    if what == "expired":
        now = NOW + timedelta(days=2)
    elif what == "foreign device":
        devices = {"imager A": "P-2"}
    write_record(record, file, RoomKey.generate() if what == "foreign key" else key)
    if what == "changed":
        changed(file)
    elif what == "no file":
        file.unlink()
    with pytest.raises(IsoalignError) as caught:
        load_calibration(settings(tmp_path, devices), now)
    assert caught.value.code == code


def test_a_record_that_expires_while_the_room_runs_is_noticed(tmp_path: Path, key: RoomKey) -> None:
    write_record(record_of(), tmp_path / "r.json", key)
    found = load_calibration(settings(tmp_path), NOW)
    found.require_valid(NOW + timedelta(hours=23))
    with pytest.raises(IsoalignError) as caught:
        found.require_valid(NOW + timedelta(hours=25))
    assert caught.value.code == "calibration.expired-record"


def test_a_gate_that_failed_keeps_a_record_from_being_signed(tmp_path: Path, key: RoomKey) -> None:
    with pytest.raises(IsoalignError):
        write_record(replace(record_of(), failures=("too far",)), tmp_path / "r.json", key)


# --- the couch -----------------------------------------------------------------------------------------------------


def couch_record(**changes: Any) -> CalibrationRecord:
    record = CalibrationRecord(
        kind="couch walk-out",
        version=1,
        method="by hand",
        measured_at=NOW - timedelta(days=1),
        valid_until=NOW + timedelta(days=1),
        devices={"couch": "C-9"},
        inputs_sha256="",
        result={"offset_fourier_mm": [[1.0], [-0.5], [0.0]], "range_deg": [-90.0, 90.0], "tilt_deg": None},
        residuals={},
    )
    return replace(record, **changes)


def room_with_couch(folder: Path, devices: dict[str, str] | None = None) -> RoomSettings:
    stated = CalibrationSettings(seal=folder / "key.pub", couch=folder / "c.json", devices=devices or {})
    return load_settings().model_copy(update={"calibration": stated})


def test_a_good_couch_record_changes_where_the_couch_is_sent(tmp_path: Path, key: RoomKey) -> None:
    write_record(couch_record(), tmp_path / "c.json", key)
    found = load_calibration(room_with_couch(tmp_path, {"couch": "C-9"}), NOW)
    wanted = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0, patient_support_angle_deg=90.0)
    command = found.couch.command(wanted)
    # the axis at (1, -0.5): a turn by 90 degrees carries the isocentre's point to (1, -0.5) + (-0.5, -1) = (0.5, -1.5);
    # in the support's own axes lateral -1.5 and longitudinal -0.5; the couch is sent as far to the other side
    assert command.lateral_mm == pytest.approx(1.5, abs=0.01)
    assert command.longitudinal_mm == pytest.approx(700.5, abs=0.01)
    assert "couch walk-out of 2026-02-28 12:00 UTC" in found.in_words()[0]
    with pytest.raises(IsoalignError):
        found.require_valid(NOW + timedelta(hours=25))


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("expired", "calibration.expired-record"),
        ("changed", "calibration.tampered-record"),
        ("foreign key", "calibration.foreign-record"),
        ("foreign couch", "calibration.foreign-record"),
        ("of the imagers", "calibration.invalid-record"),
        ("damaged", "calibration.invalid-record"),
        ("no file", "calibration.invalid-record"),
        ("no couch", "calibration.incomplete"),
    ],
)
def test_every_other_couch_record_is_refused(tmp_path: Path, key: RoomKey, what: str, code: str) -> None:
    file = tmp_path / "c.json"
    damaged = couch_record(result={"range_deg": [-90.0, 90.0]})
    record = {"of the imagers": record_of(), "damaged": damaged}.get(what, couch_record())
    write_record(record, file, RoomKey.generate() if what == "foreign key" else key)
    settings = room_with_couch(tmp_path, {"couch": "C-1"} if what == "foreign couch" else None)
    if what == "changed":
        document = json.loads(file.read_text(encoding="utf-8"))
        document["content"]["result"]["offset_fourier_mm"][0][0] += 1.0
        file.write_text(json.dumps(document), encoding="utf-8")
    elif what == "no file":
        file.unlink()
    elif what == "no couch":
        settings = settings.model_copy(update={"couch": None})
    with pytest.raises(IsoalignError) as caught:
        load_calibration(settings, NOW + timedelta(days=2) if what == "expired" else NOW)
    assert caught.value.code == code


def test_a_calibration_leaves_out_the_record_that_it_replaces(tmp_path: Path, key: RoomKey) -> None:
    write_record(record_of(), tmp_path / "r.json", key)
    write_record(couch_record(valid_until=NOW - timedelta(hours=1)), tmp_path / "c.json", key)
    both = CalibrationSettings(seal=tmp_path / "key.pub", imagers=tmp_path / "r.json", couch=tmp_path / "c.json")
    settings = load_settings().model_copy(update={"calibration": both})
    found = load_calibration(settings, NOW, use=("imagers",))
    assert sorted(found.imagers) == ["A", "B"]
    assert found.couch == RoomCalibration().couch
    assert load_calibration(settings, NOW, use=()) == RoomCalibration()
    with pytest.raises(IsoalignError):
        load_calibration(settings, NOW)


def channels_of(axes: tuple[str, ...] = AXES) -> CalibrationRecord:
    cell = {
        "speed_class": "normal", "load_kg": 0.0, "speed": 50.0, "distance": 4.0, "time_s": 0.2,
        "largest_distance": 4.1, "largest_time_s": 0.21, "bound_distance": 4.4, "bound_time_s": 0.23, "count": 6,
    }  # fmt: skip
    result = {
        "channels": [
            {"axis": axis, "lag_s": -1e-5 + 0.002 * number, "scale": 0.002, "offset": -0.3}
            for number, axis in enumerate(axes)
        ],
        "stops": [{"axis": axis, **cell} for axis in axes],
        "reaction_s": dict.fromkeys(axes, 0.025),
    }
    return replace(record_of(), kind="couch channels and stops", devices={"couch": "C-1"}, result=result)


def with_channels(folder: Path, devices: dict[str, str] | None = None) -> RoomSettings:
    stated = CalibrationSettings(seal=folder / "key.pub", channels=folder / "c.json", devices=devices or {})
    return load_settings().model_copy(update={"calibration": stated})


class NoProcesses:
    """Starts nothing."""

    def start(self, _name: str, arguments: list[str]) -> list[str]:
        return arguments


def test_the_daemon_is_told_of_the_second_channel_and_the_stops(tmp_path: Path, key: RoomKey) -> None:
    write_record(channels_of(), tmp_path / "c.json", key)
    stated = with_channels(tmp_path, {"couch": "C-1"})
    found = load_calibration(stated, NOW)
    assert found.channels is not None
    assert [one.kind for one in found.records] == ["couch channels and stops"]
    processes: Any = NoProcesses()
    start_daemon(stated, processes, tmp_path, tmp_path / "d", found.channels)
    config = load_daemon_config(tmp_path / "daemon.json")
    watched = DeviceController(config, SystemClock()).monitor.settings
    assert watched.secondary_scale == dict.fromkeys(AXES, 0.002)
    assert watched.secondary_offset == dict.fromkeys(AXES, -0.3)
    assert config.secondary_lag_s["roll"] == pytest.approx(0.008 - 1e-5)
    assert config.secondary_lag_s["lateral"] == 0.0, "a lag of none is told, or the couch's own word would count"
    assert config.stop_reaction_s == dict.fromkeys(AXES, 0.025)


def test_a_record_of_channels_that_is_not_the_rooms_is_refused(tmp_path: Path, key: RoomKey) -> None:
    write_record(channels_of(), tmp_path / "c.json", key)
    with pytest.raises(IsoalignError) as foreign:
        load_calibration(with_channels(tmp_path, {"couch": "C-2"}), NOW)
    assert foreign.value.code == "calibration.foreign-record"
    write_record(channels_of(AXES[:5]), tmp_path / "c.json", key)
    with pytest.raises(InvalidCalibrationRecord, match="every axis"):
        load_calibration(with_channels(tmp_path), NOW)
    no_couch = with_channels(tmp_path).model_copy(update={"couch": None})
    with pytest.raises(CalibrationIncomplete, match="the room has none"):
        load_calibration(no_couch, NOW)
    assert load_calibration(no_couch, NOW, use=("imagers",)).channels is None
