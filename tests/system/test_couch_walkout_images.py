"""The axis of an erring couch from images of the panel simulator, with the couch top in the beam, noise and scatter.

The simulators' own exact ray caster and couch make the images, without links and without time; what was planted is
known to them alone.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from isoalign.calibration import fit_couch_walkout, measure_walkout
from isoalign.geometry import Representation, TableTopPosition, fixed_from_table
from isoalign.records import Acquisition, Radiograph, Technique
from isoalign.room.facade import STEEL_MU_PER_MM, TWO_BALLS_MM
from isoalign.simulators.panel_image import expose
from isoalign.simulators.scene import ImagerTruth, Scene, SceneSphere
from isoalign.simulators.support_axis import SupportAxisErrors

TECHNIQUE = Technique(100.0, 100.0, 50.0)
SETUP = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)
IMAGERS = {
    name: ImagerTruth(gantry_angle_deg=gantry, sad_mm=1000.0, sid_mm=1500.0, rows=512, columns=384, pixel_mm=0.776)
    for name, gantry in (("A", 0.0), ("B", 90.0))
}


class ImagedRoom:
    """A room whose couch goes where it is sent, but for its axis."""

    def __init__(self, errors: SupportAxisErrors) -> None:
        on_table = fixed_from_table(SETUP).inverse().apply(np.array(TWO_BALLS_MM))
        spheres = tuple(SceneSphere(centre, 4.0, STEEL_MU_PER_MM) for centre in on_table)
        self.scene = Scene(IMAGERS, seed=4, spheres=spheres, fixed_table_position=SETUP)
        self.errors, self.position, self.count = errors, SETUP, 0

    def couch_position(self) -> TableTopPosition:
        return self.position

    def move_couch(self, target: TableTopPosition, *, on_progress: Any = None) -> TableTopPosition:
        self.position = replace(target)
        return self.position

    def acquire(self) -> tuple[Radiograph, ...]:
        self.count += 1
        true = TableTopPosition.from_values(
            Representation.IEC_61217, self.errors.applied_to(np.array(self.position.values))
        )
        images = []
        for name, truth in IMAGERS.items():
            number = self.count * 16 + zlib.crc32(name.encode()) % 16
            pixels = expose(self.scene, name, fixed_from_table(true), TECHNIQUE, number)
            taken = Acquisition(name, number, TECHNIQUE, datetime(2026, 3, 1, tzinfo=UTC), self.position)
            images.append(Radiograph(pixels, truth.geometry(), taken))
        return tuple(images)


@pytest.mark.parametrize(
    "planted",
    [SupportAxisErrors((0.5, -0.3), (0.08, -0.05)), SupportAxisErrors((-0.4, 0.6), (-0.06, 0.1), 0.2)],
    ids=["rigid", "walking"],
)
def test_the_axis_is_found_in_images(planted: SupportAxisErrors) -> None:
    measured = measure_walkout(ImagedRoom(planted), angles_deg=(0.0, -60.0, -30.0, -90.0, 30.0, 60.0, 90.0))
    found = fit_couch_walkout(measured.measurements)
    assert not found.outliers
    assert found.tilt_deg is not None
    np.testing.assert_allclose(found.tilt_deg, planted.lean_deg, atol=0.05)
    # the true way of the axis: displaced, and walking twice around in a turn, from where it is at angle 0
    turns = np.deg2rad(np.linspace(-90.0, 90.0, 7))
    walk = planted.walk_mm * np.column_stack([np.cos(2 * turns) - 1.0, np.sin(2 * turns)])
    foot = np.array(planted.offset_mm)
    near = np.array(TWO_BALLS_MM[0][:2]) - foot
    x, y = found.levers_mm[0]
    for turn, off in zip(turns, walk, strict=True):
        c, s = np.cos(turn), np.sin(turn)
        true = foot + off + np.array([c * near[0] - s * near[1], s * near[0] + c * near[1]])
        used = found.offset.at(np.rad2deg(turn))[:2] + np.array([c * x - s * y, s * x + c * y])
        assert np.linalg.norm(used - true) < 0.1
    if not planted.walk_mm:
        assert np.linalg.norm(found.axis_mm - foot) <= max(found.uncertainty95_mm, 0.06)
        assert found.residual_rms_mm < 0.05
