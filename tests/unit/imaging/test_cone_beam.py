"""Reconstructions of bodies whose line integrals are exact formulas, written here and nowhere in the package."""

from __future__ import annotations

import math
from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt
import pytest

from isoalign.geometry import (
    Fixed,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    XrayImageReceptor,
    planned_fixed_from_dicom,
)
from isoalign.geometry.nine_parameter import NineParameters
from isoalign.imaging import LagCorrection, LagModel, detector_calibration
from isoalign.imaging.cone_beam import (
    AnglesOutOfOrder,
    ArcTooShort,
    ConeBeamReconstruction,
    DetectorTooFarAside,
    HounsfieldCalibration,
    MirroredGeometry,
    ProjectionPreparation,
    RampFilter,
    RampWindow,
    ReconstructionGrid,
    ReconstructionSettings,
    ScanArc,
    TooFewProjections,
    UniformScatter,
    UnusableProjection,
    UnusableReconstruction,
    UnusableScanGeometry,
    UnusableWaterScan,
    geometry_from_matrix,
    reconstruct,
    water_scan,
)

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
WATER = 0.02
GRID = ReconstructionGrid.centred((20, 44, 48), (3.0, 3.2, 2.5))
PIXELS = PixelGrid.centred(40, 80, 3.0)


def ellipsoid(geometry: ProjectionGeometry, centre: npt.ArrayLike, semi_axes: npt.ArrayLike) -> Float64:
    """Length of each ray inside an ellipsoid along the fixed axes: the roots of a quadratic."""
    scale = np.asarray(semi_axes, dtype=np.float64)
    pixels = geometry.pixel_centres_mm()
    ray = pixels - geometry.source_mm
    length = np.linalg.norm(ray, axis=-1)
    start, along = (geometry.source_mm - np.asarray(centre)) / scale, ray / scale
    a, b, c = (along**2).sum(-1), (along @ start), float(start @ start) - 1.0
    return 2 * np.sqrt(np.clip(b * b - a * c, 0.0, None)) / a * length


def cylinder(geometry: ProjectionGeometry, radius: float) -> Float64:
    """Length of each ray inside an endless cylinder about the Y axis."""
    ray = geometry.pixel_centres_mm() - geometry.source_mm
    length = np.linalg.norm(ray, axis=-1)
    ray, start = ray[..., [0, 2]], geometry.source_mm[[0, 2]]
    a, b, c = (ray**2).sum(-1), ray @ start, float(start @ start) - radius**2
    return 2 * np.sqrt(np.clip(b * b - a * c, 0.0, None)) / a * length


BODY = ((0.0, 0.0, 0.0), (48.0, 60.0, 40.0), WATER)
LESION = ((18.0, 6.0, -12.0), (12.0, 10.0, 11.0), 0.01)


def body(geometry: ProjectionGeometry) -> Float32:
    return sum(value * ellipsoid(geometry, centre, axes) for centre, axes, value in (BODY, LESION)).astype(np.float32)  # type: ignore[union-attr]


def circle(
    count: int = 120, span: float = 360.0, start: float = 0.0, aside: float = 0.0, pixels: PixelGrid = PIXELS
) -> list[ProjectionGeometry]:
    angles = start + span * np.arange(count) / (count if abs(span) == 360.0 else count - 1)
    return [ProjectionGeometry.from_axis(ImagerAxis(float(a), 1000.0, 1500.0, (aside, 0.0)), pixels) for a in angles]


def inside(part: tuple[npt.ArrayLike, npt.ArrayLike, float], shrink: float) -> npt.NDArray[np.bool_]:
    centre, axes, _ = part
    return ((GRID.points_mm() - np.asarray(centre)) ** 2 / (np.asarray(axes) * shrink) ** 2).sum(-1) < 1


def check(found: Float32, *, even: float = 0.012) -> None:
    """Body and lesion have their attenuation within 0.5 %, and what is beside the body has none."""
    near = np.abs(GRID.points_mm()[..., 1]) < 22
    lesion = inside(LESION, 0.6) & near
    plain = inside(BODY, 0.75) & ~inside(LESION, 1.4) & near
    beside = ~inside(BODY, 1.25) & near & (np.hypot(GRID.points_mm()[..., 0], GRID.points_mm()[..., 2]) < 60)
    assert found[plain].mean() == pytest.approx(WATER, rel=0.005)
    assert found[plain].std() < even * WATER
    assert found[lesion].mean() == pytest.approx(WATER + 0.01, rel=0.005)
    assert abs(found[beside].mean()) < 0.005 * WATER


@pytest.mark.parametrize(
    "scan",
    [
        circle(),
        circle(span=-360.0, start=75.0),
        circle(75, 205.0, start=-100.0),
        circle(75, -205.0, start=10.0),
        circle(100, 290.0),
        circle(aside=60.0),
        circle(span=-360.0, aside=-60.0),
        circle(aside=25.0),
    ],
    ids=["whole", "backwards", "short", "short back", "long", "half fan", "half fan other side", "quarter fan"],
)
def test_every_kind_of_scan_gives_the_body(scan: list[ProjectionGeometry]) -> None:
    check(reconstruct([body(one) for one in scan], scan, GRID).attenuation())


@pytest.mark.parametrize("window", RampWindow)
def test_every_window_keeps_the_values_and_damps_noise(window: RampWindow) -> None:
    scan = circle(90)
    rng = np.random.default_rng(3)
    noise = [rng.normal(0.0, 0.02, (PIXELS.rows, PIXELS.columns)).astype(np.float32) for _ in scan]
    settings = ReconstructionSettings(RampFilter(window, 0.8))
    check(reconstruct([body(one) for one in scan], scan, GRID, settings).attenuation())
    spread = [reconstruct(noise, scan, GRID, one).attenuation().std() for one in (ReconstructionSettings(), settings)]
    assert spread[1] < 0.9 * spread[0]


def test_a_truncated_body_needs_its_continuation() -> None:
    """A panel that sees 60 % of a water cylinder: cupping of hundreds of HU without, tens with the continuation."""
    pixels = PixelGrid.centred(16, 64, 3.0)
    scan = circle(90, pixels=pixels)
    images = [(WATER * cylinder(one, 105.0)).astype(np.float32) for one in scan]
    grid = ReconstructionGrid.centred((4, 48, 48), 2.5)
    radius = np.hypot(grid.points_mm()[..., 0], grid.points_mm()[..., 2])
    errors = []
    for correct in (False, True):
        found = reconstruct(images, scan, grid, ReconstructionSettings(truncation_correction=correct)).attenuation()
        errors.append(1000 * np.abs(found[radius < 55] / WATER - 1).mean())
    assert errors[0] > 150
    assert errors[1] < 30


def test_a_body_that_is_not_truncated_stays_as_it_is() -> None:
    scan = circle(90)
    images = [body(one) for one in scan]
    check(reconstruct(images, scan, GRID, ReconstructionSettings(truncation_correction=True)).attenuation())
    aside = circle(120, aside=60.0)
    images = [body(one) for one in aside]
    check(reconstruct(images, aside, GRID, ReconstructionSettings(truncation_correction=True)).attenuation())


def wobbling() -> list[ProjectionGeometry]:
    """A C-arm that sags: panel and source some millimetres and a degree or two off, differently at every angle."""
    made = []
    for number, angle in enumerate(np.arange(0.0, 360.0, 3.0)):
        phase = math.radians(angle)
        made.append(
            NineParameters(
                1000.0 + 3.0 * math.sin(phase),
                1500.0 - 4.0 * math.cos(2 * phase),
                float(angle + 0.4 * math.sin(3 * phase)),
                5.0 * math.cos(phase),
                -4.0 * math.sin(phase + 0.5),
                1.2 * math.sin(phase),
                1.0 + 0.8 * math.cos(phase),
                1.5 * math.sin(2 * phase) + 0.1 * (number % 2),
                -2.0 * math.cos(phase),
            ).to_geometry(PIXELS)
        )
    return made


def test_a_wobbling_arc_needs_its_calibration() -> None:
    scan, ideal = wobbling(), circle()
    images = [body(one) for one in scan]
    check(reconstruct(images, scan, GRID).attenuation())
    truth = np.where(inside(LESION, 1.0), WATER + 0.01, np.where(inside(BODY, 1.0), WATER, 0.0))
    near = np.abs(GRID.points_mm()[..., 1]) < 22
    known, assumed, perfect = (
        np.sqrt(np.mean((reconstruct(given, arc, GRID).attenuation() - truth)[near] ** 2))
        for given, arc in ((images, scan), (images, ideal), ([body(one) for one in ideal], ideal))
    )
    assert known < 1.05 * perfect
    assert assumed > 1.5 * known


def test_projection_matrices_say_the_same_as_the_poses() -> None:
    for one in wobbling()[::17]:
        matrix = -3.7 * one.projection_matrix()
        size = {"rows": 40, "columns": 80, "row_spacing_mm": 3.0, "column_spacing_mm": 3.0}
        found = geometry_from_matrix(matrix, **size)  # type: ignore[arg-type]
        points = np.random.default_rng(0).uniform(-60, 60, (20, 3))
        np.testing.assert_allclose(found.project(points), one.project(points), atol=1e-7)
        np.testing.assert_allclose(found.source_mm, one.source_mm, atol=1e-6)
        np.testing.assert_allclose(found.pixel_centres_mm(), one.pixel_centres_mm(), atol=1e-6)
        with pytest.raises(MirroredGeometry, match="mirrors"):
            geometry_from_matrix(np.diag([-1.0, 1.0, 1.0]) @ matrix, **size)  # type: ignore[arg-type]
        with pytest.raises(UnusableScanGeometry, match="pixels"):
            geometry_from_matrix(np.diag([1.02, 1.0, 1.0]) @ matrix, **size)  # type: ignore[arg-type]
    for broken in (np.zeros((3, 4)), np.full((3, 4), np.nan), np.eye(4)):
        with pytest.raises(UnusableScanGeometry):
            geometry_from_matrix(broken, rows=4, columns=4, row_spacing_mm=1.0, column_spacing_mm=1.0)


@pytest.mark.parametrize(
    "scan", [circle(37), circle(41, 230.0), circle(37, aside=60.0)], ids=["whole", "short", "half"]
)
def test_one_by_one_gives_the_same_numbers(scan: list[ProjectionGeometry]) -> None:
    """Also when somebody looks at the result on the way; bit for bit."""
    images = [body(one) for one in scan]
    expected = reconstruct(images, scan, GRID).attenuation()
    growing = ConeBeamReconstruction(ScanArc.of(scan), GRID)
    seen = []
    for number, (image, one) in enumerate(zip(images, scan, strict=True)):
        growing.add(image, one)
        assert growing.count == number + 1
        if number in (0, 1, 5, 20):
            seen.append(float(growing.attenuation(partial=True)[inside(BODY, 0.5)].mean()))
    assert seen == sorted(seen)
    np.testing.assert_array_equal(growing.attenuation(), expected)
    np.testing.assert_array_equal(growing.attenuation(partial=True), expected)


def test_the_number_of_threads_changes_nothing() -> None:
    scan = wobbling()[::3]
    images = [body(one) for one in scan]
    before = numba.get_num_threads()
    found = []
    try:
        for threads in (1, min(2, before)):
            numba.set_num_threads(threads)
            found.append(reconstruct(images, scan, GRID).attenuation())
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_progress_may_stop_it() -> None:
    scan = circle(40)
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> bool:
        told.append((done, total))
        return done < 7

    growing = reconstruct([body(one) for one in scan], scan, GRID, progress=progress)
    assert told == [(number, 40) for number in range(1, 8)]
    assert growing.count == 7
    with pytest.raises(TooFewProjections):
        growing.attenuation()
    assert growing.attenuation(partial=True).max() > 0


@pytest.mark.parametrize(
    "position", [PatientPosition.HFS, PatientPosition.FFP, PatientPosition.HFDR, PatientPosition.LFS]
)
def test_the_volume_lies_where_the_patient_is(position: PatientPosition) -> None:
    """The lesion is found at its place in the patient frame, whatever way the patient lies."""
    scan = circle(90)
    pose = planned_fixed_from_dicom(position, (30.0, -20.0, 100.0))
    grid = ReconstructionGrid.centred((24, 40, 40), 3.0, position)
    growing = reconstruct([(0.02 * ellipsoid(one, *LESION[:2])).astype(np.float32) for one in scan], scan, grid)
    volume = growing.volume(
        pose, position, calibration=HounsfieldCalibration(WATER, 0.0), frame_of_reference_uid="1.2.3"
    )
    assert volume.hounsfield.dtype == np.int16
    assert volume.patient_position is position
    mass = np.clip(volume.hounsfield + 1000.0, 0, None) * (volume.hounsfield > -500)
    k, j, i = np.mgrid[[slice(0, n) for n in mass.shape]]
    centre = [float((mass * index).sum() / mass.sum()) for index in (i, j, k)]
    found = pose.apply((volume.dicom_from_index @ [*centre, 1.0])[:3])
    np.testing.assert_allclose(found, LESION[0], atol=0.3)
    if position is not PatientPosition.LFS:
        np.testing.assert_allclose(volume.axes, np.eye(3), atol=1e-12)
    assert volume.hounsfield[mass > 0].max() == pytest.approx(0, abs=60)
    np.testing.assert_array_equal(
        volume.hounsfield, np.rint(np.maximum((growing.attenuation() - np.float32(WATER)) * 50000, -1024))
    )


def test_a_water_cylinder_calibrates_ct_numbers() -> None:
    """Attenuation that a beam of another energy would give: the cylinder becomes 0 HU, air -1000 HU."""
    scan = circle(120)
    images = [(0.0187 * cylinder(one, 45.0)).astype(np.float32) for one in scan]
    found = reconstruct(images, scan, GRID).attenuation()
    seen = water_scan(found, GRID, 45.0)
    assert seen.calibration.water_per_mm == pytest.approx(0.0187, rel=0.005)
    assert abs(seen.cupping_hu) < 10
    hounsfield = seen.calibration.hounsfield(found)
    radius = np.hypot(GRID.points_mm()[..., 0], GRID.points_mm()[..., 2])
    assert abs(hounsfield[radius < 35].mean()) < 5
    assert hounsfield[(radius > 51) & (radius < 57)].mean() == pytest.approx(-1000, abs=5)
    with pytest.raises(UnusableWaterScan, match="no water cylinder"):
        water_scan(np.zeros_like(found), GRID, 45.0)
    with pytest.raises(UnusableWaterScan, match="too few"):
        water_scan(found, GRID, 400.0)
    with pytest.raises(UnusableWaterScan, match="not even"):
        water_scan(((1 + (radius > 25)) * (radius < 45)).astype(np.float32), GRID, 45.0)
    with pytest.raises(UnusableReconstruction, match="calibration"):
        HounsfieldCalibration(0.0, 0.01)


def test_frames_of_a_real_panel_become_line_integrals() -> None:
    """Planted offset, gain, a dead line, lag and even scatter are all taken off again."""
    rng = np.random.default_rng(8)
    shape = (PIXELS.rows, PIXELS.columns)
    offset, gain = rng.uniform(100, 200, shape), rng.uniform(0.8, 1.2, shape)
    dead = np.zeros(shape, bool)
    dead[:, 30] = True
    opened, ratio, trapped, rate = 20000.0, 0.2, 0.05, 0.3

    def read(light: npt.ArrayLike) -> Float64:
        return np.where(dead, 0.0, offset + gain * np.asarray(light))

    scan = circle(40)
    truth = [body(one) for one in scan]
    frames, held = [], np.zeros(shape)
    for image in truth:
        light = opened * np.exp(-image.astype(np.float64))
        light = light + ratio * light[light < 0.6 * opened].mean()
        frames.append(read((1 - trapped) * light + held * (1 - math.exp(-rate))))
        held = held * math.exp(-rate) + trapped * light
    calibration = detector_calibration(read(0.0), [read(opened)], known_defects=dead)
    scale = calibration.floods[0].level
    prepare = ProjectionPreparation(
        scale,
        detector=calibration,
        lag=LagCorrection(LagModel((rate,), (trapped,))),
        scatter=UniformScatter(scale, ratio),
    )
    found = [prepare(frame, one) for frame, one in zip(frames, scan, strict=True)]
    behind = (np.array(truth) > 0.8) & ~dead
    error = np.abs(np.array(found) - truth)[behind]
    assert error.mean() < 0.01
    assert np.percentile(error, 99) < 0.03
    assert np.array_equal(ProjectionPreparation(1.0)(np.ones(shape), scan[0]), np.zeros(shape))
    with pytest.raises(UnusableReconstruction, match="scatter"):
        UniformScatter(-1.0, 0.2)


def spoiled(change: Callable[[Float32], Float32]) -> Float32:
    return change(body(circle(20)[0]))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda image: np.where(image > 1.5, np.nan, image), "NaN"),
        (lambda image: np.where(image > 1.5, np.inf, image), "infinite"),
        (np.zeros_like, "shows nothing"),
        (lambda image: image.T, "the geometry has"),
        (lambda image: image[None], "the geometry has"),
    ],
)
def test_projections_that_cannot_be_used(change: Callable[[Float32], Float32], what: str) -> None:
    growing = ConeBeamReconstruction(ScanArc(0.0, 360.0), GRID)
    with pytest.raises(UnusableProjection, match=what):
        growing.add(spoiled(change), circle(20)[0])
    assert growing.count == 0


def test_another_panel_on_the_way_is_refused() -> None:
    scan = circle(40)
    growing = ConeBeamReconstruction(ScanArc(0.0, 360.0), GRID)
    growing.add(body(scan[0]), scan[0])
    other = scan[1].with_grid(PixelGrid.centred(30, 80, 3.0))
    with pytest.raises(UnusableProjection, match="in a scan of"):
        growing.add(body(other), other)


def test_arcs_that_cannot_be_used() -> None:
    def run(scan: list[ProjectionGeometry]) -> None:
        reconstruct([body(one) for one in scan], scan, GRID).attenuation()

    with pytest.raises(ArcTooShort, match="shorter than the 18"):
        run(circle(40, 170.0))
    with pytest.raises(ArcTooShort, match="a displaced detector needs a full turn"):
        run(circle(60, 230.0, aside=60.0))
    with pytest.raises(DetectorTooFarAside):
        run(circle(40, aside=120.0))
    with pytest.raises(TooFewProjections, match="8 projections"):
        run(circle(8))
    with pytest.raises(TooFewProjections, match="degrees without"):
        run(circle(20))
    scan = circle(60)
    with pytest.raises(TooFewProjections, match="without a projection"):
        run(scan[:20] + scan[24:])
    with pytest.raises(AnglesOutOfOrder, match="projection 4"):
        run([*scan[:3], scan[1], *scan[3:]])
    growing = ConeBeamReconstruction(ScanArc(0.0, 360.0), GRID)
    with pytest.raises(AnglesOutOfOrder, match="the first projection"):
        growing.add(body(scan[30]), scan[30])
    for one in scan[:40]:
        growing.add(body(one), one)
    with pytest.raises(ArcTooShort, match="cover 234"):
        growing.attenuation()
    for wrong in ((0.0, 0.0), (0.0, 400.0), (0.0, math.nan)):
        with pytest.raises(UnusableReconstruction):
            ScanArc(*wrong)
    with pytest.raises(UnusableReconstruction, match="two projections"):
        ScanArc.of(scan[:1])


def test_geometries_grids_and_filters_that_cannot_be_used() -> None:
    growing = ConeBeamReconstruction(ScanArc(0.0, 360.0), GRID)
    image = body(circle(20)[0])
    on_axis = ProjectionGeometry(
        np.array([0.0, 900.0, 0.0]), Pose(Fixed, XrayImageReceptor, np.eye(3), (0, 0, -500)), PIXELS
    )
    turned = NineParameters(1000.0, 1500.0, 0.0, 0.0, 0.0, 40.0).to_geometry(PIXELS)
    for geometry in (on_axis, turned):
        with pytest.raises(UnusableScanGeometry):
            growing.add(image, geometry)
    wide = ReconstructionGrid.centred((4, 40, 40), 60.0)
    scan = circle(40)
    with pytest.raises(UnusableReconstruction, match="before the source"):
        reconstruct([body(one) for one in scan], scan, wide).attenuation()
    for shape, spacing in (((1, 40, 40), 1.0), ((4, 40, 40), 0.0), ((4, 40, 40), math.nan), ((2000, 2000, 2000), 0.1)):
        with pytest.raises(UnusableReconstruction):
            ReconstructionGrid.centred(shape, spacing)
    with pytest.raises(UnusableReconstruction, match="third column"):
        ReconstructionGrid((4, 4, 4), (1.0, 1.0, 1.0), np.zeros(3), np.eye(3))
    with pytest.raises(UnusableReconstruction, match="finite"):
        ReconstructionGrid((4, 4, 4), (1.0, 1.0, 1.0), np.full(3, np.nan), np.eye(3))
    for cut_off in (0.0, 1.5, math.nan):
        with pytest.raises(UnusableReconstruction, match="cut-off"):
            RampFilter(cut_off=cut_off)
