"""A couch whose axis errs, in a room of real processes that knows it from a signed record, by the simulator's truth."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from isoalign.calibration import RoomKey, WalkoutMeasurements, fit_couch_walkout, walkout_record, write_record
from isoalign.geometry import Representation, TableTopPosition, displacement_between
from isoalign.room.facade import EMPTY, Room
from isoalign.room.settings import CalibrationSettings, load_settings
from isoalign.room.simulation import CouchErrors

pytestmark = pytest.mark.system

AXIS_MM = np.array([1.6, -1.1])
ANGLE_DEG = 24.0


def signed_record(folder: Path) -> CalibrationSettings:
    """A walk-out of this couch, from a ball whose places are written down by the definition of a turn."""
    angles = np.linspace(-90.0, 90.0, 9)
    turns = np.deg2rad(angles)
    c, s = np.cos(turns), np.sin(turns)
    x, y = np.array([20.0, 5.0]) - AXIS_MM
    points = np.column_stack([AXIS_MM[0] + c * x - s * y, AXIS_MM[1] + s * x + c * y, np.full(angles.size, 3.0)])
    found = fit_couch_walkout(WalkoutMeasurements.of_one_ball(angles, points))
    key = RoomKey.generate()
    _, seal = key.save(folder / "key")
    record = write_record(walkout_record(found, datetime.now(UTC), ""), folder / "axis.json", key)
    return CalibrationSettings(seal=seal, couch=record)


def test_the_true_table_top_gets_where_it_is_wanted_and_the_room_knows(tmp_path: Path) -> None:
    """A turn by 24 degrees about an axis 1.9 mm off carries the isocentre 0.8 mm away, unless the record is used."""
    settings = load_settings().model_copy(update={"calibration": signed_record(tmp_path)})
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
