"""The daemon's configuration: read as written, and every mistake named by its key."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from isoalign.devices.clearance_config import (
    ClearanceConfig,
    MachineConfig,
    PartConfig,
    RoomConfig,
    clearance_to_wire,
    parse_clearance,
)
from isoalign.devices.clearance_room import machine_state, room_description, room_model
from isoalign.devices.config import (
    ApproachConfig,
    DaemonConfig,
    ImagerAddress,
    RecordConfig,
    SerialAddress,
    TcpAddress,
    load_daemon_config,
    parse_daemon_config,
)
from isoalign.devices.errors import BadDeviceConfig
from isoalign.geometry import Representation, TableTopPosition
from isoalign.geometry.clearance import clearance_at, default_room_without_patient

TCP = {"host": "127.0.0.1", "port": 4001}
GOOD: dict[str, Any] = {
    "socket": "/run/room/devices",
    "couch": {"serial": "/dev/ttyS1", "baud": 460800},
    "pendant": TCP,
    "imagers": [{"name": "A", "generator": TCP, "panel": TCP, "image": TCP}],
    "limits": {"lateral": [-250, 250.5]},
    "exposure_limit_s": 7,
    "secondary_lag_s": {"pitch": 0.03},
    "clearance": {
        "room": {
            "parts": [
                {"name": "top", "frame": "table_top", "vertices_mm": [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]},
                {"name": "arm", "frame": "gantry", "vertices_mm": [[0, 0, 0.5]], "arm": "A", "slides": False},
            ],
            "pairs": [["top", "arm"]],
            "uncertainty_mm": 0,
            "patient_unchecked": True,
        },
        "required_mm": 25,
        "machine": {"gantry_angle_deg": -90, "arm_angles_deg": {"A": 0}},
    },
    "approach": {"overshoot_mm": 1, "signs": {"vertical": -1}},
    "record": {"folder": "/var/record", "file_mb": 2, "files": 3},
    "beam": True,
    "calibration_valid_until": "2026-12-31T12:00:00Z",
    "payload_range_kg": [0, 135],
    "speed_class": "service",
    "observation": "remote",
}


def test_good_file(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps(GOOD))
    address = TcpAddress("127.0.0.1", 4001)
    assert load_daemon_config(path) == DaemonConfig(
        socket=Path("/run/room/devices"),
        couch=SerialAddress("/dev/ttyS1", 460800),
        pendant=address,
        imagers=(ImagerAddress("A", address, address, address),),
        limits={"lateral": (-250.0, 250.5)},
        exposure_limit_s=7.0,
        secondary_lag_s={"pitch": 0.03},
        clearance=ClearanceConfig(
            room=RoomConfig(
                parts=(
                    PartConfig("top", "table_top", ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))),
                    PartConfig("arm", "gantry", ((0, 0, 0.5),), arm="A"),
                ),
                pairs=(("top", "arm"),),
                uncertainty_mm=0.0,
                patient_unchecked=True,
            ),
            required_mm=25.0,
            machine=MachineConfig(gantry_angle_deg=-90.0, arm_angles_deg={"A": 0.0}),
        ),
        approach=ApproachConfig(overshoot_mm=1.0, signs={"vertical": -1}),
        record=RecordConfig(Path("/var/record"), 2.0, 3),
        beam=True,
        calibration_valid_until=datetime(2026, 12, 31, 12, tzinfo=UTC),
        payload_range_kg=(0.0, 135.0),
        speed_class="service",
        observation="remote",
    )


def test_what_the_worker_reads_is_what_the_daemon_read() -> None:
    config = parse_daemon_config(GOOD).clearance
    assert config is not None
    assert parse_clearance(json.loads(json.dumps(clearance_to_wire(config))), "clearance") == config
    example = parse_clearance({"room": "example"}, "clearance")
    assert example.room is None
    assert example.required_mm == 30.0
    assert parse_clearance(json.loads(json.dumps(clearance_to_wire(example))), "clearance") == example


def test_a_room_model_written_out_and_read_in_is_the_same_room() -> None:
    model = default_room_without_patient(required_clearance_mm=30.0)
    content = {"room": room_description(model), "machine": {"gantry_angle_deg": 0, "snout_extension_mm": 100}}
    config = parse_clearance(json.loads(json.dumps(content)), "clearance")
    again = room_model(config)
    assert [part.name for part in again.parts] == [part.name for part in model.parts]
    assert again.pairs == model.pairs
    assert again.unchecked == model.unchecked
    here = TableTopPosition(Representation.IEC_61217, 10.0, 700.0, -120.0, 0.0, 0.0, 20.0)
    nearest = [clearance_at(one, here, machine_state(one, config.machine)).nearest for one in (model, again)]
    assert nearest[0].parts == nearest[1].parts
    assert nearest[0].clearance_mm == pytest.approx(nearest[1].clearance_mm, abs=1e-3)


def test_nothing_is_checked_and_recorded_unless_asked_for() -> None:
    config = parse_daemon_config({"socket": "/s"})
    assert config.clearance is None
    assert config.record is None
    assert config.approach.last_part == (0.5, 0.5, 0.5, 0.05, 0.05, 0.05)
    assert parse_daemon_config({"socket": "/s", "record": "/folder"}).record == RecordConfig(Path("/folder"))


def test_room_without_couch_and_pendant() -> None:
    config = parse_daemon_config({"socket": "/s", "couch": None})
    assert config.couch is None
    assert config.pendant is None
    assert config.imagers == ()


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("colour",), 1, "colour"),
        (("couch", "parity"), 1, "couch.parity"),
        (("imagers", 0, "gantry"), 1, "imagers[0].gantry"),
        (("pendant", "port"), "4001", "pendant.port"),
        (("pendant", "port"), 0, "pendant.port"),
        (("couch", "baud"), -1, "couch.baud"),
        (("couch",), "/dev/ttyS1", "couch"),
        (("socket",), "", "socket"),
        (("imagers",), {}, "imagers"),
        (("limits", "yaw"), [0, 1], "limits.yaw"),
        (("limits", "lateral"), [1, 1], "limits.lateral"),
        (("limits", "lateral"), [1], "limits.lateral"),
        (("limits", "lateral"), ["a", 1], "limits.lateral"),
        (("exposure_limit_s",), 0, "exposure_limit_s"),
        (("exposure_limit_s",), True, "exposure_limit_s"),
        (("arrival_tolerance_mm",), "small", "arrival_tolerance_mm"),
        (("secondary_lag_s", "pitch"), -1, "secondary_lag_s.pitch"),
        (("clearance", "require_mm"), 30, "clearance.require_mm"),
        (("clearance", "required_mm"), 0, "clearance.required_mm"),
        (("clearance", "room"), "mine", "clearance.room"),
        (("clearance", "room", "walls"), [], "clearance.room.walls"),
        (("clearance", "room", "parts"), {}, "clearance.room.parts"),
        (("clearance", "room", "parts", 0, "frame"), "couch", "clearance.room.parts[0].frame"),
        (("clearance", "room", "parts", 1, "vertices_mm", 0), [1, 2], "clearance.room.parts[1].vertices_mm"),
        (("clearance", "room", "parts", 1, "vertices_mm", 0), [1, 2, "3"], "clearance.room.parts[1].vertices_mm"),
        (("clearance", "room", "parts", 1, "slides"), 1, "clearance.room.parts[1].slides"),
        (("clearance", "room", "pairs", 0), ["top"], "clearance.room.pairs[0]"),
        (("clearance", "room", "patient_unchecked"), "yes", "clearance.room.patient_unchecked"),
        (("clearance", "machine", "gantry_angle_deg"), "0", "clearance.machine.gantry_angle_deg"),
        (("clearance", "machine", "arm_angles_deg"), [0], "clearance.machine.arm_angles_deg"),
        (("approach", "signs", "yaw"), 1, "approach.signs.yaw"),
        (("approach", "signs", "pitch"), 2, "approach.signs.pitch"),
        (("approach", "signs", "pitch"), True, "approach.signs.pitch"),
        (("approach", "overshoot_deg"), 0, "approach.overshoot_deg"),
        (("record", "folder"), "", "record.folder"),
        (("record", "files"), 0.5, "record.files"),
        (("record",), 7, "record"),
        (("beam",), 1, "beam"),
        (("calibration_valid_until",), "tomorrow", "calibration_valid_until"),
        (("calibration_valid_until",), "2026-12-31T12:00:00", "calibration_valid_until"),
        (("calibration_valid_until",), "2026-12-31T12:00:00+02:00", "calibration_valid_until"),
        (("payload_range_kg",), [150, 0], "payload_range_kg"),
        (("payload_change_kg",), 0, "payload_change_kg"),
        (("drive_temperature_limit_c",), "80", "drive_temperature_limit_c"),
        (("panel_lag_limit_percent",), -1, "panel_lag_limit_percent"),
        (("speed_class",), "faster", "speed_class"),
        (("observation",), "nobody", "observation"),
        (("dry_run_expiry_s",), 0, "dry_run_expiry_s"),
    ],
)
def test_every_mistake_is_named(path: tuple[Any, ...], value: Any, named: str) -> None:
    content = copy.deepcopy(GOOD)
    place: Any = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(BadDeviceConfig) as caught:
        parse_daemon_config(content)
    assert caught.value.facts["key"] == named
    assert named in caught.value.message


@pytest.mark.parametrize("missing", [("socket",), ("couch", "serial"), ("imagers", 0, "image")])
def test_missing_key_is_named(missing: tuple[Any, ...]) -> None:
    content = copy.deepcopy(GOOD)
    place: Any = content
    for step in missing[:-1]:
        place = place[step]
    del place[missing[-1]]
    with pytest.raises(BadDeviceConfig, match="missing"):
        parse_daemon_config(content)


def test_two_imagers_of_one_name() -> None:
    with pytest.raises(BadDeviceConfig, match="two imagers"):
        parse_daemon_config({**GOOD, "imagers": GOOD["imagers"] * 2})


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_unreadable_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(text)
    with pytest.raises(BadDeviceConfig):
        load_daemon_config(path)
    with pytest.raises(BadDeviceConfig, match="cannot read"):
        load_daemon_config(tmp_path / "not-there.json")
