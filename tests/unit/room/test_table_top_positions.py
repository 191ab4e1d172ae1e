"""A room whose couch record is in use: it speaks of the table top, the couch of its axes, in both directions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from isoalign.calibration import AxisOffset, OutsideCalibratedRange, SupportAxisCorrection
from isoalign.devices.status import MotionPlan, PlanClearance
from isoalign.geometry import Representation, TableTopPosition, displacement_between
from isoalign.records import Technique
from isoalign.room.adapters import DaemonCouch, DaemonImagers
from isoalign.room.settings import load_settings

BESIDE = SupportAxisCorrection(AxisOffset(np.array([[1.0], [-0.5], [0.0]]), (-90.0, 90.0)), (0.05, 0.0))
START = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)
TARGET = TableTopPosition(Representation.IEC_61217, 5.0, 690.0, -118.0, 1.0, -0.5, 60.0)


def apart_mm(one: TableTopPosition, other: TableTopPosition) -> float:
    return displacement_between(one, other).distance_mm


@dataclass
class Couch:
    """A daemon whose couch goes where it is told, and tells its axes."""

    told: TableTopPosition = START
    load_kg: float | None = 75.0
    commands: list[TableTopPosition] = field(default_factory=list)
    clearance: PlanClearance | None = None

    async def status(self) -> Any:
        return SimpleNamespace(couch_position=self.told, couch_age_s=0.01, payload_kg=self.load_kg)

    async def prepare(self, target: TableTopPosition, approach: str) -> MotionPlan:
        self.commands.append(target)
        return MotionPlan("p", self.told, target, 1.0, 1.0, 1.0, 60.0, approach, (), self.clearance)

    async def execute(self, plan: MotionPlan) -> AsyncIterator[Any]:
        self.told = plan.target
        yield SimpleNamespace(position=plan.target, elapsed_s=1.0, expected_s=1.0, fraction=1.0)

    async def expose(self, names: tuple[str, ...], technique: Technique) -> list[Any]:
        moment, pixels = datetime(2026, 3, 1, tzinfo=UTC), np.ones((1024, 768), dtype=np.uint16)
        return [
            SimpleNamespace(
                imager=name,
                exposure_id=1,
                technique=technique,
                acquired_at=moment,
                read_at=None,
                table_top=self.told,
                pixels=pixels,
            )
            for name in names
        ]


async def test_the_couch_is_told_another_place_and_the_room_hears_of_the_table_top() -> None:
    daemon = Couch()
    couch = DaemonCouch(daemon, "direct", BESIDE)  # type: ignore[arg-type]
    shown = [step.position async for step in couch.move(TARGET)]
    [command] = daemon.commands
    assert apart_mm(command, TARGET) > 0.5  # an axis 1.1 mm off, turned by 60 degrees
    assert apart_mm(BESIDE.true_position(command), TARGET) < 1e-4
    assert apart_mm(shown[-1], TARGET) < 1e-4
    assert apart_mm(await couch.position(), TARGET) < 1e-4


async def test_a_motion_is_kept_as_one_of_the_table_top() -> None:
    daemon = Couch(clearance=PlanClearance(98.4, 41.0, 11.0, ("nozzle", "patient"), START, ()))
    couch = DaemonCouch(daemon, "direct", BESIDE)  # type: ignore[arg-type]
    daemon.told = BESIDE.command(TARGET)
    async for _ in couch.move(START):
        pass
    [motion] = couch.motions
    assert motion.target == START
    assert motion.start is not None
    assert apart_mm(motion.start, TARGET) < 1e-4
    assert motion.clearance is not None
    assert apart_mm(motion.clearance.position, START) < 1e-4


async def test_without_a_record_positions_pass_untouched() -> None:
    daemon = Couch()
    couch = DaemonCouch(daemon)  # type: ignore[arg-type]
    async for _ in couch.move(TARGET):
        pass
    assert daemon.commands == [TARGET]
    assert daemon.commands[0] is TARGET
    assert await couch.position() == TARGET


async def test_where_the_couch_was_not_calibrated_nothing_is_asked_of_it() -> None:
    daemon = Couch()
    couch = DaemonCouch(daemon, "direct", BESIDE)  # type: ignore[arg-type]
    far = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0, 0.0, 0.0, 120.0)
    with pytest.raises(OutsideCalibratedRange):
        async for _ in couch.move(far):
            pass
    assert daemon.commands == []
    assert couch.motions[0].refusal
    daemon.told = far
    with pytest.raises(OutsideCalibratedRange):
        await couch.position()


async def test_a_couch_that_stands_where_it_was_not_calibrated_can_be_moved_back() -> None:
    """What is shown on the way is then what the couch tells; where it ends is known again."""
    daemon = Couch(told=TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0, 0.0, 0.0, 120.0))
    couch = DaemonCouch(daemon, "direct", BESIDE)  # type: ignore[arg-type]
    async for _ in couch.move(TARGET):
        pass
    assert couch.motions[0].start == TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0, 0.0, 0.0, 120.0)
    assert apart_mm(await couch.position(), TARGET) < 1e-4


async def test_an_image_says_where_the_table_top_was() -> None:
    daemon = Couch(told=BESIDE.command(TARGET))
    imagers = DaemonImagers(daemon, load_settings(), None, BESIDE)  # type: ignore[arg-type]
    images = await imagers.acquire(Technique(100.0, 100.0, 50.0))
    assert len(images) == 2
    assert all(apart_mm(image.acquisition.table_top, TARGET) < 1e-4 for image in images)
