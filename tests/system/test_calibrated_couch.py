"""A couch whose axis errs, in a room of real processes that knows it from a signed record, by the simulator's truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from isoalign.calibration import (
    CalibrationRecord,
    CouchMeasurements,
    CouchState,
    RoomKey,
    WalkoutMeasurements,
    calibrate_couch,
    fit_couch_walkout,
    kinematics_record,
    walkout_record,
    write_record,
)
from isoalign.geometry import Representation, TableTopPosition, displacement_between, fixed_from_table
from isoalign.room.facade import EMPTY, Room
from isoalign.room.settings import CalibrationSettings, load_settings
from isoalign.room.simulation import CouchErrors
from isoalign.simulators.support_axis import SupportAxisErrors

pytestmark = pytest.mark.system

AXIS_MM = np.array([1.6, -1.1])
ANGLE_DEG = 24.0


def walkout() -> CalibrationRecord:
    """Of this couch, from a ball whose places are written down by the definition of a turn."""
    angles = np.linspace(-90.0, 90.0, 9)
    turns = np.deg2rad(angles)
    c, s = np.cos(turns), np.sin(turns)
    x, y = np.array([20.0, 5.0]) - AXIS_MM
    points = np.column_stack([AXIS_MM[0] + c * x - s * y, AXIS_MM[1] + s * x + c * y, np.full(angles.size, 3.0)])
    found = fit_couch_walkout(WalkoutMeasurements.of_one_ball(angles, points))
    return walkout_record(found, datetime.now(UTC), "")


def kinematics() -> CalibrationRecord:
    """Of this couch, from a tracker that sees four targets on the simulator's table top, unloaded, at 60 poses."""
    dice = np.random.default_rng(2)
    targets_mm = np.array(
        [[-200.0, -900.0, 60.0], [210.0, -880.0, 90.0], [-190.0, -350.0, 140.0], [180.0, -420.0, 40.0]]
    )
    poses = dice.uniform((-60, 600, -200, -3, -3, -60), (60, 850, -60, 3, 3, 60), (60, 6))
    turning = SupportAxisErrors((float(AXIS_MM[0]), float(AXIS_MM[1])))
    true = (TableTopPosition.from_values(Representation.IEC_61217, turning.applied_to(pose)) for pose in poses)
    seen_mm = np.array([fixed_from_table(position).apply(targets_mm) for position in true])
    count = len(poses)
    state = CouchState.of(poses, np.zeros(count), np.zeros((count, 3)), dice.choice([-1.0, 1.0], (count, 6)))
    return kinematics_record(
        calibrate_couch(
            CouchMeasurements(
                state=state,
                seen_mm=seen_mm + dice.normal(0.0, 0.02, seen_mm.shape),
                target_names=("A", "B", "C", "D"),
                targets_mm=targets_mm,
                noise_mm=0.02,
                placement_mm=0.02,
                measured_at=datetime.now(UTC),
            )
        )
    )


def signed(record: CalibrationRecord, folder: Path) -> CalibrationSettings:
    key = RoomKey.generate()
    _, seal = key.save(folder / "key")
    return CalibrationSettings(seal=seal, couch=write_record(record, folder / "couch.json", key))


@pytest.mark.parametrize("calibrated_by", [walkout, kinematics])
def test_the_true_table_top_gets_where_it_is_wanted_and_the_room_knows(
    calibrated_by: Callable[[], CalibrationRecord], tmp_path: Path
) -> None:
    """A turn by 24 degrees about an axis 1.9 mm off carries the isocentre 0.8 mm away, unless the record is used."""
    settings = load_settings().model_copy(update={"calibration": signed(calibrated_by(), tmp_path)})
    errors = CouchErrors(axis_offset_mm=(float(AXIS_MM[0]), float(AXIS_MM[1])))
    with Room(settings, scene=EMPTY, seed=4, misalignments={}, couch_errors=errors, records=("couch",)) as room:
        room.clear("test", "physicist")
        wanted = replace(
            room.couch_position().in_representation(Representation.IEC_61217), patient_support_angle_deg=ANGLE_DEG
        )
        shown: list[TableTopPosition] = []
        arrived = room.move_couch(wanted, on_progress=lambda step: shown.append(step.position))
        assert room.simulation is not None
        truth = room.simulation.control("couch").true_position()
        images = room.acquire()
    assert displacement_between(truth, wanted).distance_mm < 0.1
    for told in (arrived, shown[-1], *(image.acquisition.table_top for image in images)):
        assert displacement_between(truth, told).distance_mm < 0.1
