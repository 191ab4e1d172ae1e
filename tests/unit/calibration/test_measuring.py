"""Measuring with a room that is nothing but the port: its couch errs, its imagers draw what they would see."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.calibration import (
    BallPhantom,
    BallsNotRecognised,
    ball_views,
    fit_couch_walkout,
    measure_walkout,
    read_walkout_measurements,
    write_walkout_measurements,
)
from isoalign.calibration.errors import InvalidCalibrationRecord
from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry, Representation, TableTopPosition
from isoalign.records import Acquisition, Radiograph, Technique

GRID = PixelGrid.centred(320, 320, 1.0)
BALLS_MM = np.array([[4.0, -6.0, 3.0], [58.0, 27.0, -9.0]])
ANGLES = (0.0, -45.0, -90.0, 45.0, 90.0)
Drawing = Callable[..., npt.NDArray[np.uint16]]


@dataclass
class Progress:
    position: TableTopPosition
    fraction: float


@dataclass
class ErringRoom:
    """The smallest room: a couch whose axis is displaced, two imagers."""

    draw: Drawing
    axis_mm: tuple[float, float] = (0.0, 0.0)
    lost: float | None = None
    position: TableTopPosition = field(
        default_factory=lambda: TableTopPosition(Representation.IEC_61217, 10.0, 700.0, -120.0)
    )
    seen: list[float] = field(default_factory=list)

    def couch_position(self) -> TableTopPosition:
        return self.position

    def move_couch(self, target: TableTopPosition, *, on_progress: Any = None) -> TableTopPosition:
        assert target.values[:5] == (10.0, 700.0, -120.0, 0.0, 0.0)
        for part in (0.5, 1.0):
            on_progress(Progress(target, part))
        # a couch arrives near its target, and says where
        self.position = replace(target, patient_support_angle_deg=target.patient_support_angle_deg + 0.02)
        return self.position

    def acquire(self) -> tuple[Radiograph, ...]:
        angle = self.position.patient_support_angle_deg
        self.seen.append(angle)
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        foot = np.array([*self.axis_mm, 0.0])
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        balls = foot + (BALLS_MM - foot) @ turn.T
        if self.lost is not None and abs(angle - self.lost) < 1.0:
            balls = balls + np.array([0.0, 0.0, 25.0])
        moment = datetime(2026, 3, 1, 8, 0, len(self.seen), tzinfo=UTC)
        images = []
        for name, gantry in (("A", 0.0), ("B", 90.0)):
            geometry = ProjectionGeometry.from_axis(ImagerAxis(gantry, 1000.0, 1500.0), GRID)
            pixels = self.draw(geometry, BallPhantom("balls", balls, 4.0), noise=0.005, seed=len(self.seen))
            taken = Acquisition(name, len(self.seen), Technique(100.0, 100.0, 50.0), moment, self.position)
            images.append(Radiograph(pixels, geometry, taken))
        return tuple(images)


@pytest.mark.parametrize(("x", "y"), list(itertools.product((-0.6, 0.6), (-0.4, 0.4))))
def test_a_displaced_axis_is_measured_in_every_quadrant(draw: Drawing, x: float, y: float) -> None:
    room, told = ErringRoom(draw, (x, y)), []
    measured = measure_walkout(room, angles_deg=ANGLES, on_progress=lambda text, part: told.append((text, part)))
    found = fit_couch_walkout(measured.measurements)
    np.testing.assert_allclose(found.axis_mm, (x, y), atol=0.05)
    assert found.tilt_deg is not None
    np.testing.assert_allclose(found.tilt_deg, 0.0, atol=0.05)
    assert len(found.levers_mm) == 2
    # where the couch stood counts, not where it was sent
    assert set(measured.measurements.angles_deg.round(2)) == {0.0, -44.98, -89.98, 45.02, 90.02}
    # it goes back to where it started
    assert room.position.patient_support_angle_deg == pytest.approx(0.0, abs=0.05)
    parts = [round(part, 6) for _, part in told]
    assert parts == sorted(parts)
    assert any("couch to -45°" in text for text, _ in told)
    assert measured.measured_at == datetime(2026, 3, 1, 8, 0, 5, tzinfo=UTC)


def test_balls_that_moved_on_the_couch_are_noticed(draw: Drawing) -> None:
    with pytest.raises(BallsNotRecognised, match=r"45\.0°"):
        measure_walkout(ErringRoom(draw, lost=45.0), angles_deg=ANGLES)


def test_measurements_come_back_from_their_file(draw: Drawing, tmp_path: Path) -> None:
    measured = measure_walkout(ErringRoom(draw, (0.3, 0.1)), angles_deg=ANGLES)
    again = read_walkout_measurements(write_walkout_measurements(measured, tmp_path / "m.json"))
    np.testing.assert_array_equal(again.measurements.points_mm, measured.measurements.points_mm)
    assert again.measurements.labels == measured.measurements.labels
    assert again.measured_at == measured.measured_at


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"measured_at": "2026-01-01T00:00:00+00:00", "measurements": [{"angle_deg": 0}]}',
        '{"measured_at": "2026-01-01T00:00:00", "measurements": [{"angle_deg": 0, "point_mm": [0, 0, 0]}]}',
        '{"measured_at": "2026-01-01T00:00:00+00:00", "measurements": [{"angle_deg": 0, "point_mm": [0, null, 0]}]}',
    ],
)
def test_a_damaged_file_of_measurements_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(InvalidCalibrationRecord, match=r"m\.json"):
        read_walkout_measurements(tmp_path / "m.json")


def test_one_ball_is_wanted_in_each_image_of_an_imager_against_the_treatment_beam(draw: Drawing) -> None:
    with pytest.raises(BallsNotRecognised, match="2 balls"):
        ball_views(ErringRoom(draw).acquire(), 4.0)
