"""From images and from shadows to a record: the golden input, gates, and the stored form."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.calibration import (
    BallPhantom,
    BallsNotRecognised,
    GateFailed,
    ImagerShadows,
    InvalidCalibrationRecord,
    KvCalibration,
    KvGates,
    Underdetermined,
    built_in_phantom,
    calibrate_from_shadows,
    calibrate_kv_imagers,
    calibration_to_dict,
    geometries_from_dict,
    nearest_axis,
    read_geometries,
    read_shadows,
    triangulate,
    write_calibration,
)
from isoalign.geometry import ImagerAxis, PixelGrid, ProjectionGeometry, Representation, TableTopPosition
from isoalign.records import Acquisition, Radiograph, Technique

Drawing = Callable[..., npt.NDArray[np.uint16]]
GOLDEN = Path(__file__).parents[3] / "calibration" / "kv_imager_geometry" / "golden"
GRID = PixelGrid.centred(1024, 768, 0.388)
WHEN = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
BELIEVED = {
    name: ProjectionGeometry.from_axis(ImagerAxis(angle, 1000.0, 1500.0), GRID)
    for name, angle in (("A", 0.0), ("B", 90.0))
}
TRUE = {
    "A": ProjectionGeometry.from_axis(ImagerAxis(0.3, 1000.3, 1498.0, (2.0, -4.0), 0.7), GRID),
    "B": ProjectionGeometry.from_axis(ImagerAxis(89.5, 999.8, 1503.0, (-3.0, 3.5), -0.4), GRID),
}


def shadows_of(name: str, *, seed: int = 0, noise_px: float = 0.05) -> ImagerShadows:
    found = TRUE[name].project(built_in_phantom().centres_mm)
    rng = np.random.default_rng(seed)
    return ImagerShadows(name, BELIEVED[name], rng.permutation(found + rng.normal(0.0, noise_px, found.shape)))


@cache
def calibration(**changes: float) -> KvCalibration:
    images = [shadows_of("A", seed=1, **changes), shadows_of("B", seed=2, **changes)]
    return calibrate_from_shadows(built_in_phantom(), images, WHEN)


def test_golden_input_made_without_this_package() -> None:
    phantom, images, measured_at = read_shadows(GOLDEN / "shadows.json")
    truth = json.loads((GOLDEN / "truth.json").read_text())
    result = calibrate_from_shadows(phantom, images, measured_at)
    result.require_published()
    assert result.triangulation_errors_mm.max() < 0.1
    for one in result.imagers:
        found, expected = nearest_axis(one.fit.geometry), truth[one.name]
        assert found.gantry_angle_deg == pytest.approx(expected["gantry_angle_deg"], abs=0.01)
        assert found.receptor_angle_deg == pytest.approx(expected["receptor_angle_deg"], abs=0.01)
        x, y = found.receptor_translation_mm
        assert x == pytest.approx(expected["receptor_x_mm"], abs=0.2)
        assert y == pytest.approx(expected["receptor_y_mm"], abs=0.2)
        assert found.sad_mm == pytest.approx(expected["sad_mm"], abs=1.0)
        assert found.sid_mm == pytest.approx(expected["sid_mm"], abs=1.0)


def test_from_images(draw: Drawing) -> None:
    position = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)
    images = []
    for number, name in enumerate(TRUE):
        acquisition = Acquisition(name, number, Technique(100.0, 100.0, 50.0), WHEN, position)
        images.append(Radiograph(draw(TRUE[name], built_in_phantom()), BELIEVED[name], acquisition))
    result = calibrate_kv_imagers(built_in_phantom(), images, notes={"operator": "physicist"})
    result.require_published()
    assert result.measured_at == WHEN
    assert result.notes["operator"] == "physicist"
    for name, truth in TRUE.items():
        fit = result.imager(name).fit
        assert fit.rms_px < 0.1
        assert fit.geometry.project(built_in_phantom().centres_mm) == pytest.approx(
            truth.project(built_in_phantom().centres_mm), abs=0.1
        )
    with pytest.raises(Underdetermined, match="'C'"):
        result.imager("C")
    with pytest.raises(Underdetermined, match="no image"):
        calibrate_kv_imagers(built_in_phantom(), [])


def test_held_out_balls_are_not_in_the_fit_that_finds_them() -> None:
    result = calibration()
    assert len(result.held_out) == 6
    assert 0.0 < result.triangulation_errors_mm.max() < 0.1
    spoiled = [shadows_of("A", seed=1), shadows_of("B", seed=2)]
    moved = built_in_phantom().centres_mm.copy()
    moved[result.held_out[0]] += (0.0, 0.35, 0.0)  # the phantom file is wrong about one held-out ball
    wrong = calibrate_from_shadows(BallPhantom("wrong", moved, 1.5), spoiled, WHEN)
    assert any(f"ball {result.held_out[0]} disagrees" in failure for failure in wrong.failures())
    strict = dataclasses.replace(result, gates=KvGates(triangulation_mm=1e-3))
    assert any("held-out ball is found" in failure for failure in strict.failures())


def test_gates() -> None:
    with pytest.raises(GateFailed, match=r"exceeds 0\.3 px") as caught:
        calibration(noise_px=0.5).require_published()
    assert caught.value.exit_code == 9
    assert calibration().failures() == ()
    strict = dataclasses.replace(calibration(), gates=KvGates(isocentre_offset_mm=0.5))
    assert all("isocentre" in failure for failure in strict.failures())
    assert len(strict.failures()) == 2


def test_one_imager_alone_proves_nothing() -> None:
    alone = calibrate_from_shadows(built_in_phantom(), [shadows_of("A")], WHEN)
    assert alone.imagers[0].fit.rms_px < 0.1
    with pytest.raises(GateFailed, match="nothing proves"):
        alone.require_published()


def test_a_phantom_the_wrong_way_round_is_refused_or_fails() -> None:
    turned = BallPhantom("turned", built_in_phantom().centres_mm * (-1.0, -1.0, 1.0), 1.5)
    try:
        result = calibrate_from_shadows(turned, [shadows_of("A"), shadows_of("B")], WHEN)
    except BallsNotRecognised:
        return
    assert result.failures()


def test_imagers_swapped_is_refused() -> None:
    swapped = [
        ImagerShadows("A", BELIEVED["A"], shadows_of("B").column_row),
        ImagerShadows("B", BELIEVED["B"], shadows_of("A").column_row),
    ]
    with pytest.raises(BallsNotRecognised):
        calibrate_from_shadows(built_in_phantom(), swapped, WHEN)


def test_record_round_trip(tmp_path: Path) -> None:
    result = calibration()
    stored = read_geometries(write_calibration(result, tmp_path / "record.json"))
    assert list(stored) == ["A", "B"]
    for name, geometry in stored.items():
        fitted = result.imager(name).fit.geometry
        assert geometry.projection_matrix() == pytest.approx(fitted.projection_matrix(), rel=1e-12)
        assert geometry.grid == fitted.grid


def test_the_hash_changes_with_every_input() -> None:
    base = calibration()
    again = calibrate_from_shadows(built_in_phantom(), [shadows_of("A", seed=1), shadows_of("B", seed=2)], WHEN)
    other_noise = calibration(noise_px=0.051)
    phantom = BallPhantom("x", built_in_phantom().centres_mm, 1.5)
    other_phantom = calibrate_from_shadows(phantom, [shadows_of("A", seed=1), shadows_of("B", seed=2)], WHEN)
    assert base.inputs_sha256 == again.inputs_sha256
    assert len({base.inputs_sha256, other_noise.inputs_sha256, other_phantom.inputs_sha256}) == 3


def test_failed_calibrations_are_not_written_and_not_read(tmp_path: Path) -> None:
    failed = calibration(noise_px=0.5)
    with pytest.raises(GateFailed):
        write_calibration(failed, tmp_path / "record.json")
    assert not (tmp_path / "record.json").exists()
    with pytest.raises(InvalidCalibrationRecord, match="failed its gates"):
        geometries_from_dict(calibration_to_dict(failed))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "isoalign kV imager geometry", "version": 2}'])
def test_records_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    file = tmp_path / "record.json"
    file.write_text(text)
    with pytest.raises(InvalidCalibrationRecord):
        read_geometries(file)
    with pytest.raises(InvalidCalibrationRecord):
        read_geometries(tmp_path / "absent.json")
    with pytest.raises(InvalidCalibrationRecord):
        read_shadows(file)


def test_a_damaged_record_is_refused() -> None:
    raw = calibration_to_dict(calibration())
    raw["imagers"][0]["geometry"]["fixed_from_receptor"][0][0] = 3.0
    with pytest.raises(InvalidCalibrationRecord, match="damaged"):
        geometries_from_dict(raw)


def test_triangulation_finds_points_and_refuses_one_direction() -> None:
    points = np.array([[0.0, 0.0, 0.0], [40.0, -70.0, 25.0], [-60.0, 90.0, -50.0]])
    geometries = [TRUE["A"], TRUE["B"]]
    found = triangulate(geometries, [one.project(points) for one in geometries])
    assert found == pytest.approx(points, abs=1e-9)
    same = [TRUE["A"], BELIEVED["A"]]
    with pytest.raises(Underdetermined, match="same direction"):
        triangulate(same, [one.project(points) for one in same])
    with pytest.raises(Underdetermined, match="two or more"):
        triangulate(geometries[:1], [geometries[0].project(points)])
