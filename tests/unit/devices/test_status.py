"""What crosses the daemon's socket arrives as it was."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from isoalign.devices.errors import IpcProtocolError
from isoalign.devices.status import (
    MOVING,
    UNIDIRECTIONAL,
    MotionPlan,
    MotionProgress,
    OpenInterlock,
    PlanClearance,
    RawImage,
    RoomDeviceStatus,
    position_from_wire,
    position_to_wire,
)
from isoalign.geometry import AXES, Representation, TableTopPosition
from isoalign.records import AxisState, Technique

HERE = TableTopPosition(Representation.IEC_61217, 1.25, 700.0, -120.0, 0.5, -0.25, 12.0)
THERE = TableTopPosition(Representation.ISOCENTRIC_STANDARD, -1.0, 2.0, 3.0, 4.0, 5.0, 6.0)


def over_the_wire(wire: Any) -> Any:
    return json.loads(json.dumps(wire, allow_nan=False))


def test_status() -> None:
    axes = tuple(AxisState(axis, 1.0, 1.01, 0.0, "mm") for axis in AXES)
    hold = OpenInterlock("hold", "Hold: test", True, "SS1")
    status = RoomDeviceStatus(
        couch_position=HERE,
        axes=axes,
        mode="SWITCHED_ON",
        activity="idle",
        moving=False,
        interlocks=(hold,),
        first_fault=hold,
        enable_active=True,
        motion_permitted=False,
        exposure_permitted=True,
        couch_age_s=0.01,
        pendant_age_s=None,
        imagers=("A", "B"),
        links={"couch": "up"},
    )
    assert RoomDeviceStatus.from_wire(over_the_wire(status.to_wire())) == status


def test_status_with_a_blind_encoder() -> None:
    axis = AxisState("pitch", math.nan, 1.0, 0.0, "deg")
    status = RoomDeviceStatus(
        None, (axis,), "UNKNOWN", "idle", True, (), None, False, False, False, None, None, ()
    )  # fmt: skip
    found = RoomDeviceStatus.from_wire(over_the_wire(status.to_wire()))
    assert math.isnan(found.axes[0].primary)
    assert found.axes[0].secondary == 1.0


def test_plan_and_progress() -> None:
    plan = MotionPlan("id", HERE, THERE.in_representation(Representation.IEC_61217), 3.5, 2.0, 0.3, 60.0)
    assert MotionPlan.from_wire(over_the_wire(plan.to_wire())) == plan
    assert plan.clearance_in_words == "not checked"
    progress = MotionProgress(MOVING, HERE, 1.0, 3.5, 0.25)
    assert MotionProgress.from_wire(over_the_wire(progress.to_wire())) == progress


def test_plan_with_everything() -> None:
    unchecked = (("patient", "nozzle"), ("patient", "snout"))
    clearance = PlanClearance(41.6, 39.1, 9.1, ("couch top", "snout"), HERE, unchecked)
    goal = THERE.in_representation(Representation.IEC_61217)
    plan = MotionPlan("id", HERE, goal, 3.5, 2.0, 0.3, 60.0, UNIDIRECTIONAL, (HERE, goal), clearance)
    assert MotionPlan.from_wire(over_the_wire(plan.to_wire())) == plan
    words = "42 mm between couch top and snout (39 required); not checked: patient"
    assert plan.clearance_in_words == words
    with pytest.raises(IpcProtocolError):
        MotionPlan.from_wire(over_the_wire(plan.to_wire()) | {"clearance": {"least_mm": 1.0}})


def test_position_keeps_its_representation() -> None:
    for position in (HERE, THERE):
        assert position_from_wire(over_the_wire(position_to_wire(position))) == position


@pytest.mark.parametrize("table_top", [HERE, None])
def test_image(table_top: TableTopPosition | None) -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    image = RawImage(
        "A", 7, pixels, Technique(100.0, 99.5, 50.25), table_top, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    )
    attachment = image.pixel_bytes()
    assert attachment[:4] == b"\x00\x00\x88\x13"  # 0, 5000: little-endian, row by row
    found = RawImage.from_wire(over_the_wire(image.to_wire()), attachment)
    np.testing.assert_array_equal(found.pixels, pixels)
    assert not found.pixels.flags.writeable
    assert (found.imager, found.exposure_id, found.technique) == ("A", 7, image.technique)
    assert (found.table_top, found.acquired_at) == (table_top, image.acquired_at)
    with pytest.raises(IpcProtocolError):
        RawImage.from_wire(over_the_wire(image.to_wire()), attachment[:-2])


@pytest.mark.parametrize("wire", [None, {}, {"representation": "XYZ", "values": [0] * 6}, {"values": [0] * 6}])
def test_what_is_no_position(wire: Any) -> None:
    with pytest.raises(IpcProtocolError):
        position_from_wire(wire)


@pytest.mark.parametrize("kind", [RoomDeviceStatus, MotionPlan, MotionProgress])
def test_what_is_no_message(kind: Any) -> None:
    with pytest.raises(IpcProtocolError):
        kind.from_wire({"unknown": 1})
