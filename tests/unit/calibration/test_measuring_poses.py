"""Measuring with a room that is a port: a couch with errors, seen by two imagers, and stopped on its way."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from isoalign.calibration import (
    ImagerShadows,
    StopRecording,
    Underdetermined,
    built_in_phantom,
    calibrate_couch,
    check_day,
    cube_phantom,
    measure_couch,
    measure_day,
    measure_stops,
    measuring_poses,
)
from isoalign.calibration.errors import InvalidCalibrationRecord
from isoalign.geometry import (
    AXES,
    ImagerAxis,
    PixelGrid,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    fixed_from_table,
)

SETUP = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)
TRAVEL = dict(zip(AXES, [(-250, 250), (0, 1500), (-500, 100), (-5, 5), (-5, 5), (-95, 95)], strict=True))
GRID = PixelGrid.centred(1024, 768, 0.388)
GEOMETRIES = {
    name: ProjectionGeometry.from_axis(ImagerAxis(angle, 1000.0, 1500.0), GRID) for name, angle in (("A", 0), ("B", 90))
}


def _couch_truth() -> Any:
    file = Path(__file__).parents[3] / "calibration" / "couch_kinematics" / "golden" / "make_golden.py"
    spec = importlib.util.spec_from_file_location("couch_truth_of_the_room", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


truth = _couch_truth()


class Room:
    """A couch with errors and two imagers; the balls lie where they are aligned with the couch at its set-up."""

    def __init__(self, couch: Any, centres_mm: np.ndarray) -> None:
        self.couch, self.position, self.sides = couch, SETUP, np.zeros(6)
        self.dice = np.random.default_rng(1)
        rotation, shift = self._pose()
        self.on_table = (centres_mm - shift) @ rotation
        self.moves: list[tuple[float, ...]] = []
        self.stops: list[tuple[int, float, str]] = []

    def _pose(self) -> tuple[np.ndarray, np.ndarray]:
        pose = self.couch.pose(np.array(self.position.values), 0.0, np.zeros(3), self.sides, 0.5)
        return pose[:3, :3], pose[:3, 3]

    def couch_position(self) -> TableTopPosition:
        return self.position

    def move_couch(self, target: TableTopPosition, *, on_progress: Callable[[Any], None] | None = None) -> Any:
        change = np.array(target.values) - np.array(self.position.values)
        self.sides = np.where(np.abs(change) > 1e-6, np.sign(change), self.sides)
        for fraction in (0.0, 0.5, 1.0):
            if on_progress is not None:
                on_progress(SimpleNamespace(fraction=fraction, position=self.position))
        self.position = target
        self.moves.append(target.values)
        return target

    def acquire(self) -> Any:
        rotation, shift = self._pose()
        balls = self.on_table @ rotation.T + shift
        images = []
        for name, geometry in GEOMETRIES.items():
            seen = geometry.project(balls) + self.dice.normal(0.0, 0.04, (len(balls), 2))
            told = SimpleNamespace(acquired_at=datetime(2026, 3, 1, 7, 30, tzinfo=UTC))
            shadows = ImagerShadows(name, geometry, self.dice.permutation(seen))
            images.append(SimpleNamespace(acquisition=told, shadows=shadows))
        return tuple(images)

    def stop_on_the_way(self, target: TableTopPosition, *, at_fraction: float, speed: str) -> list[dict[str, Any]]:
        change = np.array(target.values) - np.array(self.position.values)
        axis = int(np.argmax(np.abs(change)))
        self.stops.append((axis, float(np.sign(change[axis])), speed))
        samples = []
        for at in np.arange(-0.5, 0.5, 0.02):
            numbers = list(self.position.values)
            moving = at < 0.1
            couch = {"primary": numbers, "secondary": numbers, "velocity": [0.0] * 6, "standstill": not moving}
            samples.append({"t_s": float(at), "couch_age_s": 0.005, "couch": couch})
        assert at_fraction == 0.5
        return samples


@pytest.fixture(autouse=True)
def _shadows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring_poses, "find_shadows", lambda _phantom, image: image.shadows)


@dataclass
class Heard:
    said: list[tuple[str, float]]

    def __call__(self, text: str, fraction: float) -> None:
        self.said.append((text, fraction))


def test_a_couch_is_measured_with_its_imagers_and_calibrated() -> None:
    phantom, heard = built_in_phantom(), Heard([])
    room = Room(truth.REALISTIC, phantom.centres_mm)
    given = measure_couch(room, phantom, travel=TRAVEL, poses=44, seed=4, on_progress=heard)
    assert room.moves[-1] == SETUP.values
    fractions = [fraction for _, fraction in heard.said]
    assert len(fractions) > 150
    assert np.diff(fractions).min() > -1e-9
    result = calibrate_couch(given)
    result.require_published()
    assert result.range.load_kg == (0.0, 0.0)
    assert any("compliance" in name for name in result.fit.dropped)
    assert result.held_out[0].distance_95_mm < 0.5 * np.percentile(result.held_out[0].ideal_distance_mm, 95)


def test_the_phantom_stays_in_view_and_the_couch_within_its_travel() -> None:
    poses = measuring_poses.calibration_poses(SETUP, 60, 1, TRAVEL)
    centre = fixed_from_table(SETUP).inverse().apply(np.zeros(3))
    for values in poses:
        position = TableTopPosition.from_values(Representation.IEC_61217, values)
        assert np.abs(fixed_from_table(position).apply(centre)).max() <= measuring_poses.VIEW_MM + 0.1
        assert all(TRAVEL[axis][0] <= value <= TRAVEL[axis][1] for axis, value in zip(AXES, values, strict=True))
    assert np.ptp(poses[:, 5]) > 150
    steps = np.diff(poses[:, 5])
    turn = int(np.argmax(poses[:, 5]))
    assert (steps[:turn] > 0).all(), "up first"
    assert (steps[turn + 1 :] < 0).all(), "then down, so that the support is reached from both sides"
    assert 25 <= turn <= 31
    assert np.abs(steps).sum() < 2.1 * np.ptp(poses[:, 5])
    with pytest.raises(Underdetermined, match="leaves room"):
        measuring_poses.calibration_poses(SETUP, 5, 1, TRAVEL | {"vertical": (-500.0, -400.0)})


def test_too_few_poses_are_not_even_measured() -> None:
    phantom = built_in_phantom()
    room = Room(truth.TrueCouch(), phantom.centres_mm)
    with pytest.raises(Underdetermined, match="40 are needed"):
        measure_couch(room, phantom, travel=TRAVEL, poses=39)
    assert room.moves == []


def test_the_day_s_check_goes_there_and_back() -> None:
    cube = cube_phantom()
    room = Room(truth.TrueCouch(), cube.centres_mm)
    check = check_day(measure_day(room, cube))
    assert check.failures() == ()
    np.testing.assert_allclose(check.shift, 0.0, atol=0.05)
    assert room.moves[-1] == SETUP.values
    assert len(room.moves) == 2


def test_every_axis_is_stopped_in_both_directions_at_each_speed() -> None:
    room = Room(truth.TrueCouch(), np.zeros((1, 3)))
    given = measure_stops(room, now=lambda: datetime(2026, 3, 1, tzinfo=UTC), again=1, load_kg=75.0)
    assert room.stops == [
        (axis, side, speed) for axis in range(6) for speed in ("service", "normal") for side in (1, -1)
    ]
    assert {run.load_kg for run in given.runs} == {75.0}
    assert room.moves[-1] == SETUP.values


def test_repeated_and_missing_readings_are_left_out() -> None:
    """The daemon looks at a reading several times: it counts once, at the moment when the couch made it."""
    couch = {"primary": [1.0] * 6, "secondary": [1.0] * 6, "velocity": [0.0] * 6, "standstill": True}
    lost = {**couch, "primary": [None] * 6}
    samples = [
        {"t_s": 0.00, "couch_age_s": 0.01, "couch": couch},
        {"t_s": 0.01, "couch_age_s": 0.02, "couch": couch},
        {"t_s": 0.03, "couch_age_s": 0.01, "couch": lost},
        {"t_s": 0.05, "couch_age_s": 0.01, "couch": couch},
        {"t_s": 0.06, "couch_age_s": None},
    ]
    run = StopRecording.from_samples("roll", "normal", 0.0, samples)
    np.testing.assert_allclose(run.t_s, [-0.01, 0.04])
    with pytest.raises(InvalidCalibrationRecord, match="told nothing"):
        StopRecording.from_samples("roll", "normal", 0.0, samples[:1])
