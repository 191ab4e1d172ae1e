"""The blocking façade moves a simulated couch, also right after it was opened."""

from __future__ import annotations

import pytest

import isoalign
from isoalign.geometry import Representation, TableTopPosition, displacement_between

pytestmark = pytest.mark.system


def test_first_move_right_after_opening() -> None:
    """Regression: a bar pressed before the couch had heard the pendant did not count; the first move was refused."""
    with isoalign.open_room(scene="empty", seed=1) as room:
        room.clear("test begins", "test")
        target = TableTopPosition(Representation.IEC_61217, 5.0, 705.0, -118.0, 0.5, -0.5, 1.0)
        arrived = room.move_couch(target)
        moved = displacement_between(target, arrived)
        assert moved.distance_mm < 0.1
        assert moved.angle_deg < 0.02
        assert room.simulation is not None
        true = displacement_between(target, room.simulation.control("couch").true_position())
        assert true.distance_mm < 0.1
        images = room.acquire()
        assert [image.acquisition.imager for image in images] == ["A", "B"]
        assert images[0].pixels.min() < images[0].pixels.max()
