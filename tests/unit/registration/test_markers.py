"""Markers: found in CT and in kV images, matched to the plan, refused where they do not tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    ImagerAxis,
    NotObservable,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    planned_fixed_from_dicom,
    residual_of,
    setup_error,
)
from isoalign.records import CtReference, MarkerState, Patient, Structure, StructureSet, Study, Verdict
from isoalign.registration import (
    ArcTooShort,
    BlankRadiograph,
    ConstantVolume,
    ImageMarkers,
    MarkerShape,
    MarkersNotFound,
    MarkerTooSmall,
    NoPlannedMarkers,
    PlannedMarkers,
    TooMuchMetal,
    UndefinedVoxels,
    UnusableMarkerShape,
    ViewsTooParallel,
    WrongFrameOfReference,
    WrongNumberOfViews,
    detect_markers_in_ct,
    detect_markers_in_image,
    match_markers,
    match_shadows,
    planned_markers,
    triangulate_track,
)
from isoalign.simulators.marker_ct import marker_ct
from isoalign.simulators.marker_images import MarkerCamera, MarkerSolid
from isoalign.simulators.materials import metal
from isoalign.simulators.solids import Cylinder

ISOCENTRE_MM = np.array([12.0, -150.0, 30.0])
SEEDS_MM = np.array([[-14.0, 9.0, 6.0], [12.0, -6.0, 15.0], [3.0, 16.0, -13.0], [-6.0, -15.0, -9.0]])
ERROR = setup_error(4.0, -3.0, 2.5, 1.5, -1.0, 2.0)


@pytest.fixture(scope="module")
def planned() -> Pose[Fixed, DicomPatient]:
    return planned_fixed_from_dicom(PatientPosition.HFS, ISOCENTRE_MM)


def imager(angle_deg: float) -> ProjectionGeometry:
    return ProjectionGeometry.from_axis(ImagerAxis(angle_deg, 1000.0, 1500.0), PixelGrid.centred(512, 512, 0.4))


def plan_of(points_mm: np.ndarray, planned: Pose[Fixed, DicomPatient]) -> PlannedMarkers:
    names = tuple(f"SEED{number + 1}" for number in range(len(points_mm)))
    return PlannedMarkers(names, planned.inverse().apply(points_mm), "1.2.3")


def shadows_of(
    points_mm: np.ndarray, geometry: ProjectionGeometry, seed: int, extra: int = 0, noise_px: float = 0.1
) -> ImageMarkers:
    """Noisy projections in a random order, and shadows of other things."""
    rng = np.random.default_rng(seed)
    pixels = geometry.project(points_mm) + rng.normal(0.0, noise_px, (len(points_mm), 2))
    pixels = rng.permutation(np.concatenate([pixels, rng.uniform(180.0, 330.0, (extra, 2))]))
    return ImageMarkers("A", pixels, np.full(len(pixels), 0.1), np.ones(len(pixels)), np.zeros(len(pixels)))


@pytest.mark.parametrize(("diameter_mm", "length_mm"), [(1.6, None), (1.2, 3.0)])
def test_markers_in_a_ct_are_found_to_a_fifth_of_a_voxel_and_nothing_else(
    diameter_mm: float, length_mm: float | None
) -> None:
    errors, planted = [], 0
    for seed in range(2):
        case = marker_ct(seed, markers=3, diameter_mm=diameter_mm, length_mm=length_mm)
        planted += len(case.centres_mm)
        found = detect_markers_in_ct(case.volume, MarkerShape(diameter_mm, length_mm))
        for centre in found.centres_mm:
            away = np.abs((case.centres_mm - centre) / case.volume.spacing_mm)
            errors.append(float(away.max(axis=1).min()))
    assert len(errors) >= planted - 1, "markers in bone or beside metal may be left out, few of them"
    assert np.median(errors) < 0.1
    assert max(errors) < 0.4


@pytest.mark.parametrize("seed", [239, 289])
def test_the_beads_of_a_thin_rod_across_slices_are_no_markers(seed: int) -> None:
    """Pieces of a rod that passes from slice to slice look like seeds; half as bright, they hang together."""
    case = marker_ct(seed, diameter_mm=1.2, length_mm=5.0)
    found = detect_markers_in_ct(case.volume, MarkerShape(1.2, 5.0))
    away = (found.centres_mm[:, None] - case.centres_mm) / case.volume.spacing_mm
    assert np.abs(away).max(axis=2).min(axis=1).max() < 1.0
    assert len(found) >= len(case.centres_mm) - 1


def test_a_ct_without_markers_shows_none_and_bad_volumes_are_refused() -> None:
    volume = marker_ct(4, markers=0, shape=(24, 40, 40)).volume
    assert len(detect_markers_in_ct(volume)) == 0
    with pytest.raises(ConstantVolume):
        detect_markers_in_ct(replace(volume, hounsfield=np.zeros_like(volume.hounsfield)))
    undefined = volume.hounsfield.astype(np.float32)
    bright = np.full_like(volume.hounsfield, 3000)
    bright[0] = 0
    with pytest.raises(TooMuchMetal):
        detect_markers_in_ct(replace(volume, hounsfield=bright))
    with pytest.raises(MarkerTooSmall):
        detect_markers_in_ct(volume, MarkerShape(0.2))
    large = replace(volume, hounsfield=np.resize(undefined, (120, 100, 100)))
    values = large.hounsfield.copy()
    values[3, 3, 3] = np.nan
    with pytest.raises(UndefinedVoxels):
        detect_markers_in_ct(replace(large, hounsfield=values))
    with pytest.raises(UnusableMarkerShape):
        MarkerShape(2.0, 1.0)


def test_balls_and_seeds_in_a_radiograph_are_found_to_a_fifth_of_a_pixel() -> None:
    camera = MarkerCamera(0.0, 256, 256, 0.4)
    for shape, length in ((MarkerShape(1.6), None), (MarkerShape(1.2, 3.0), 3.0)):
        solids = [MarkerSolid(point, shape.diameter_mm, length, (0.6, 0.7, 0.3)) for point in 1.2 * SEEDS_MM]
        radiograph = camera.expose([one.solid() for one in solids], 3)
        found = detect_markers_in_image(radiograph, shape)
        true = camera.geometry.project(np.array([one.centre_mm for one in solids]))
        away = np.linalg.norm(found.column_row[:, None] - true[None], axis=-1)
        assert len(found) == len(true)
        assert away.min(axis=1).max() < 0.2
    with pytest.raises(MarkerTooSmall):
        detect_markers_in_image(radiograph, MarkerShape(0.1))
    with pytest.raises(BlankRadiograph):
        detect_markers_in_image(replace(radiograph, pixels=np.full_like(radiograph.pixels, 7)))


@pytest.mark.parametrize("angle_deg", [0.0, 7.5, 11.25, 33.75, 56.25, 78.75])
def test_the_end_of_a_wire_is_no_seed(angle_deg: float) -> None:
    """Sixteen directions around a long seed once left room for a wire to pass between two of them."""
    camera = MarkerCamera(0.0, 200, 200, 0.388)
    way = np.array([np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg)), 0.0])
    wire = Cylinder(-4.0 * way, 40.0 * way, 0.5, metal(0.35))
    seed = MarkerSolid(np.array([-12.0, 12.0, 0.0]), 1.2, 5.0, (0.6, 0.7, 0.3))
    found = detect_markers_in_image(camera.expose([wire, seed.solid()], 3, scatter=0.3), MarkerShape(1.2, 5.0))
    assert len(found) == 1
    assert np.linalg.norm(found.column_row[0] - camera.geometry.project(seed.centre_mm)) < 0.2


def test_two_images_lead_from_pixels_to_the_set_up_error(planned: Pose[Fixed, DicomPatient]) -> None:
    cameras = [MarkerCamera(angle, 256, 256, 0.4) for angle in (0.0, 90.0)]
    solids = [MarkerSolid(ERROR.apply(point)).solid() for point in SEEDS_MM]
    radiographs = [camera.expose(solids, number, name="AB"[number]) for number, camera in enumerate(cameras)]
    match = match_markers(radiographs, plan_of(SEEDS_MM, planned), planned)
    assert match.verdict is Verdict.ACCEPTED, match.reasons
    assert (
        np.linalg.norm(match.found.apply(plan_of(SEEDS_MM, planned).points_mm) - ERROR.apply(SEEDS_MM), axis=1).max()
        < 0.3
    )
    record = match.as_match()
    assert record.kind == "marker"
    np.testing.assert_allclose(record.residual.translation_mm, residual_of(ERROR).translation_mm, atol=0.3)
    with pytest.raises(WrongNumberOfViews):
        match_markers(radiographs[:1], plan_of(SEEDS_MM, planned), planned)


@pytest.mark.parametrize("seed", range(4))
def test_three_seeds_at_90_degrees_among_other_shadows(planned: Pose[Fixed, DicomPatient], seed: int) -> None:
    views = imager(0.0), imager(90.0)
    true = ERROR.apply(SEEDS_MM[:3])
    shadows = shadows_of(true, views[0], seed, extra=2), shadows_of(true, views[1], seed + 50, extra=3)
    match = match_shadows(views, shadows, plan_of(SEEDS_MM[:3], planned), planned)
    away = match.found.apply(planned.inverse().apply(SEEDS_MM[:3])) - true
    assert np.linalg.norm(away, axis=1).max() < 0.3
    assert match.rotation_known
    assert match.sigma_deg is not None
    assert (match.sigma_deg > 0.05).all(), "rotations from close markers are weak, and that must show"
    assert match.verdict is Verdict.ACCEPTED, match.reasons


def test_views_less_than_45_degrees_apart_are_refused(planned: Pose[Fixed, DicomPatient]) -> None:
    for second in (44.0, 180.0, 137.0):
        views = imager(0.0), imager(second)
        shadows = shadows_of(SEEDS_MM, views[0], 1), shadows_of(SEEDS_MM, views[1], 2)
        with pytest.raises(ViewsTooParallel):
            match_shadows(views, shadows, plan_of(SEEDS_MM, planned), planned)
    views = imager(0.0), imager(46.0)
    shadows = shadows_of(SEEDS_MM, views[0], 1), shadows_of(SEEDS_MM, views[1], 2)
    assert match_shadows(views, shadows, plan_of(SEEDS_MM, planned), planned).rotation_known


@pytest.mark.parametrize(
    "points_mm",
    [SEEDS_MM[:1], SEEDS_MM[:2], np.outer([-12.0, 1.0, 14.0, 20.0], [0.6, 0.64, 0.48])],
    ids=["one", "two", "on a line"],
)
def test_markers_that_do_not_tell_rotations_give_the_translation_only(
    planned: Pose[Fixed, DicomPatient], points_mm: np.ndarray
) -> None:
    views = imager(0.0), imager(90.0)
    shift = np.array([5.0, -4.0, 3.0])
    shadows = shadows_of(points_mm + shift, views[0], 1), shadows_of(points_mm + shift, views[1], 2)
    match = match_shadows(views, shadows, plan_of(points_mm, planned), planned)
    assert not match.rotation_known
    assert match.observed.not_available == ("pitch_deg", "roll_deg", "yaw_deg")
    assert match.sigma_deg is None
    seen = match.observed.require("lateral_mm", "longitudinal_mm", "vertical_mm")
    np.testing.assert_allclose(seen, shift, atol=0.2)
    with pytest.raises(NotObservable):
        match.as_match()
    record = match.as_match(unknown_as_planned=True)
    assert "taken as planned" in record.reasons[-1]
    assert (record.sigma_deg == 180.0).all()
    assert (match.verdict is Verdict.DOUBTFUL) == (len(points_mm) == 1)


@pytest.mark.parametrize("moved", range(4))
def test_a_migrated_marker_is_named_and_does_not_pull_the_match(planned: Pose[Fixed, DicomPatient], moved: int) -> None:
    views = imager(0.0), imager(90.0)
    true = SEEDS_MM.copy()
    true[moved] += (2.5, -2.0, 3.0)
    true = ERROR.apply(true)
    shadows = shadows_of(true, views[0], 1), shadows_of(true, views[1], 2)
    match = match_shadows(views, shadows, plan_of(SEEDS_MM, planned), planned)
    assert match.verdict is Verdict.DOUBTFUL
    assert [name for name, _ in match.figures.migrated] == [f"SEED{moved + 1}"]
    assert match.markers[moved].state is MarkerState.MIGRATED
    assert match.markers[moved].distance_mm == pytest.approx(4.4, abs=0.5)
    rest = np.arange(4) != moved
    away = match.found.apply(planned.inverse().apply(SEEDS_MM)) - true
    assert np.linalg.norm(away[rest], axis=1).max() < 0.3


def test_an_ambiguous_set_is_doubted(planned: Pose[Fixed, DicomPatient]) -> None:
    """The same two markers twice, 8 mm apart: nothing tells which is which."""
    views = imager(0.0), imager(90.0)
    apart = np.array([4.0, 3.0, 2.0])
    twice = np.concatenate([SEEDS_MM[:2] + apart, SEEDS_MM[:2] - apart])
    shadows = shadows_of(twice, views[0], 1, noise_px=0.02), shadows_of(twice, views[1], 2, noise_px=0.02)
    match = match_shadows(views, shadows, plan_of(SEEDS_MM[:2], planned), planned)
    assert match.verdict is Verdict.DOUBTFUL
    assert any("another way" in reason for reason in match.reasons)


def test_another_patients_markers_are_not_accepted(planned: Pose[Fixed, DicomPatient]) -> None:
    views = imager(0.0), imager(90.0)
    rng = np.random.default_rng(8)
    for number in range(20):
        other = rng.uniform(-18.0, 18.0, (4, 3))
        shadows = shadows_of(other, views[0], number), shadows_of(other, views[1], number + 99)
        try:
            match = match_shadows(views, shadows, plan_of(SEEDS_MM, planned), planned)
        except MarkersNotFound:
            continue
        assert match.verdict is not Verdict.ACCEPTED


def test_no_shadow_at_all_is_an_error(planned: Pose[Fixed, DicomPatient]) -> None:
    views = imager(0.0), imager(90.0)
    nothing = ImageMarkers("A", np.zeros((0, 2)), np.zeros(0), np.zeros(0), np.zeros(0))
    with pytest.raises(MarkersNotFound):
        match_shadows(views, (nothing, nothing), plan_of(SEEDS_MM, planned), planned)


def test_planned_markers_come_from_the_structure_set() -> None:
    structures = (
        Structure(1, "BODY", "EXTERNAL", "CLOSED_PLANAR", (np.zeros((3, 3)),)),
        Structure(2, "GOLD", "MARKER", "POINT", (np.array([[1.0, 2.0, 3.0]]), np.array([[4.0, 5.0, 6.0]]))),
        Structure(3, "CLIP", "CONTROL", "POINT", (np.array([[7.0, 8.0, 9.0]]),), marker_subtype="MARKER"),
        Structure(4, "RING", "MARKER", "CLOSED_PLANAR", (np.zeros((3, 3)),)),
    )
    whole = StructureSet("1.2", "SET", Patient("P"), Study("1.3"), "1.4", CtReference("1.3", "1.5", ()), structures)
    found = planned_markers(whole, frame_of_reference_uid="1.4")
    assert found.names == ("GOLD 1", "GOLD 2", "CLIP")
    np.testing.assert_array_equal(found.points_mm, np.arange(1.0, 10.0).reshape(3, 3))
    with pytest.raises(WrongFrameOfReference):
        planned_markers(whole, frame_of_reference_uid="1.5")
    with pytest.raises(NoPlannedMarkers):
        planned_markers(replace(whole, structures=structures[:1]))


def test_a_track_over_an_arc_is_triangulated_though_a_quarter_of_it_is_wrong() -> None:
    rng = np.random.default_rng(3)
    geometries = [imager(float(angle)) for angle in range(0, 60, 2)]
    pixels = np.stack([one.project(SEEDS_MM[0]) for one in geometries]) + rng.normal(0.0, 0.3, (30, 2))
    pixels[::4] += (9.0, -14.0)
    found = triangulate_track(geometries, pixels)
    assert np.linalg.norm(found.point_mm - SEEDS_MM[0]) < 0.3
    assert not found.used[::4].any()
    assert (np.sqrt(np.diag(found.covariance)) < 0.3).all()
    with pytest.raises(ArcTooShort):
        triangulate_track(geometries[:5], pixels[:5])
    with pytest.raises(ArcTooShort):
        triangulate_track(geometries[:1], pixels[:1])
