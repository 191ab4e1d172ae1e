"""The blocking façade moves a simulated couch, also right after it was opened."""

from __future__ import annotations

import pytest
from room_cases import make_marker_case

import isoalign
from isoalign.geometry import (
    Representation,
    TableTopPosition,
    displacement_between,
    fixed_from_table,
    residual_of,
)
from isoalign.records import Verdict
from isoalign.room.errors import SettingsInvalid

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


def test_a_script_chooses_how_images_are_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isoalign.room.facade.builtin_case", lambda **_: make_marker_case())
    with isoalign.open_room(scene="markers", seed=3) as room:
        patient = room.patient()
        images = room.acquire()
        by_markers = room.match(patient, images, method="markers")
        assert by_markers.verdict is Verdict.ACCEPTED
        assert [one.name for one in by_markers.markers] == [f"GOLD{number}" for number in range(1, 6)]
        assert room.simulation is not None
        assert room.simulation._patient is not None
        lies = fixed_from_table(room.simulation.control("couch").true_position())
        true = lies @ room.simulation._patient.table_from_dicom
        by_default = room.match(patient)
        assert (by_markers.kind, by_default.kind) == ("marker", "2D/3D")
        for match in (by_markers, by_default):
            missed = residual_of(match.found @ true.inverse())
            assert missed.distance_mm < 0.3
            assert missed.angle_deg < 0.2
        with pytest.raises(SettingsInvalid, match="bones"):
            room.match(patient, images, method="bones")
