"""The 3D/3D match against bodies from formulas, scanned at known poses, and everything it must refuse."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from scipy.spatial.transform import Rotation

from isoalign.clock import ManualClock
from isoalign.geometry import (
    DicomPatient,
    PatientPosition,
    Pose,
    Representation,
    TableTopPosition,
    couch_move,
    fixed_from_verification,
    planned_fixed_from_dicom,
    rotation_angle_deg,
)
from isoalign.records import Verdict, Volume
from isoalign.records.arrays import InvalidRecord
from isoalign.registration import (
    BoxRegion,
    ConstantVolume,
    EmptyRegion,
    MaskRegion,
    MatchCancelled,
    Metric,
    PreparedScan,
    ScanMatchSettings,
    SphereRegion,
    UndefinedVoxels,
    VolumeTooThin,
    WrongFrameOfReference,
    match_3d3d,
    prepare_scan,
)
from isoalign.simulators.body_scan import (
    EASY_CONE_BEAM,
    HARD_CONE_BEAM,
    ScanFaults,
    ScanGrid,
    couch,
    scan,
    trunk,
)

ScanPose = Pose[DicomPatient, DicomPatient]
GRID = ScanGrid((128, 128, 128), (2.0, 2.0, 2.0))
IDENTITY: ScanPose = Pose.identity(DicomPatient, DicomPatient)
CORNERS = np.stack(np.meshgrid([-80, 0, 80], [-60, 0, 60], [-80, 0, 80]), axis=-1).reshape(-1, 3)


def placed(translation_mm: tuple[float, float, float], rotation_deg: tuple[float, float, float]) -> ScanPose:
    rotation = Rotation.from_rotvec(rotation_deg, degrees=True).as_matrix()
    return Pose(DicomPatient, DicomPatient, rotation, translation_mm)


def target_error_mm(found: ScanPose, truth: ScanPose) -> float:
    return float(np.linalg.norm(found.apply(CORNERS) - truth.apply(CORNERS), axis=1).mean())


USUAL = placed((6.0, -4.0, 8.0), (1.0, -2.0, 1.5))
FAR = placed((-25.0, 25.0, 25.0), (8.0, -8.0, 8.0))


@pytest.fixture(scope="session")
def planning() -> Volume:
    return scan(trunk(0), IDENTITY, GRID, still=couch(), frame_of_reference_uid="2.25.1")


@pytest.fixture(scope="session")
def prepared_scan(planning: Volume) -> PreparedScan:
    return prepare_scan(planning)


def of_the_day(pose: ScanPose, faults: ScanFaults = EASY_CONE_BEAM, *, seed: int = 0, gas: int | None = None) -> Volume:
    return scan(trunk(0, gas_seed=gas), pose, GRID, faults=faults, still=couch(82.0, 5.0), seed=seed)


@pytest.mark.parametrize("pose", [IDENTITY, USUAL, FAR], ids=["none", "usual", "far"])
def test_a_cone_beam_ct_is_found(prepared_scan: PreparedScan, pose: ScanPose) -> None:
    match = match_3d3d(prepared_scan, of_the_day(pose))
    assert match.verdict is Verdict.ACCEPTED, match.reasons
    error_mm = target_error_mm(match.verification_from_planning, pose)
    assert error_mm < 0.15
    assert match.figures.restart_mm is not None
    assert match.figures.restart_mm < 0.1
    assert 1.0 <= match.figures.condition < 50.0
    assert (match.planning_frame_uid, match.verification_frame_uid) == ("2.25.1", "2.25.7")
    sigma_mm = np.sqrt(np.diag(match.covariance))[:3]
    centre_error = match.verification_from_planning.apply(match.centre_mm) - pose.apply(match.centre_mm)
    assert (np.abs(centre_error) < 4 * sigma_mm).all()


@pytest.mark.parametrize("pose", [USUAL, FAR], ids=["usual", "far"])
def test_a_short_noisy_scan_with_other_gas_is_found(prepared_scan: PreparedScan, pose: ScanPose) -> None:
    match = match_3d3d(prepared_scan, of_the_day(pose, HARD_CONE_BEAM, gas=77))
    assert match.verdict is not Verdict.FAILED, match.reasons
    assert target_error_mm(match.verification_from_planning, pose) < 0.35


@pytest.mark.parametrize(
    "away", [placed((-17.0, 6.0, 20.0), (6.0, -6.0, 2.0)), placed((8.0, 13.0, 22.0), (-2.0, -2.0, -2.0))]
)
def test_a_start_that_leads_to_the_next_vertebra_is_not_left_there(prepared_scan: PreparedScan, away: ScanPose) -> None:
    """The edges of a vertebra correlate well with those of the next one; parts and halves tell, and it goes on."""
    match = match_3d3d(prepared_scan, of_the_day(USUAL, HARD_CONE_BEAM, gas=77), start=USUAL @ away)
    assert target_error_mm(match.verification_from_planning, USUAL) < 0.35


def test_a_region_that_no_near_start_shows_is_looked_for_further_away(planning: Volume) -> None:
    """A slab of 68 mm about the region, 96 mm from where the frames say."""
    prepared = prepare_scan(planning, region=SphereRegion("2.25.1", np.array([0.0, 40.0, 0.0]), 30.0))
    day = of_the_day(IDENTITY)
    first = 47
    slab = np.ascontiguousarray(day.hounsfield[first : len(day.hounsfield) - first])
    shifted = replace(day, hounsfield=slab, origin_mm=day.origin_mm + np.array([0.0, 0.0, first * 2.0 + 96.0]))
    match = match_3d3d(prepared, shifted)
    assert target_error_mm(match.verification_from_planning, placed((0.0, 0.0, 96.0), (0.0, 0.0, 0.0))) < 0.3
    assert match.verdict is not Verdict.ACCEPTED


def test_the_result_leads_the_couch_to_the_planned_place(prepared_scan: PreparedScan) -> None:
    """Moved by the correction, the middle of the body lies where the plan wants it."""
    match = match_3d3d(prepared_scan, of_the_day(USUAL))
    planned = planned_fixed_from_dicom(PatientPosition.HFS, (3.0, 4.0, 5.0))
    in_room = fixed_from_verification(PatientPosition.HFS, (0.0, 0.0, 0.0))
    result = match.in_room(in_room, planned)
    start = TableTopPosition(Representation.IEC_61217, 0.0, 0.0, 0.0)
    move = couch_move(match.verification_from_planning, in_room, planned, start)
    corrected = move.correction @ in_room @ USUAL
    np.testing.assert_allclose(corrected.apply(CORNERS), planned.apply(CORNERS), atol=0.3)
    assert result.kind == "3D/3D"
    assert result.verdict is match.verdict
    np.testing.assert_allclose(result.residual.translation_mm, move.error.translation_mm, atol=1e-9)
    assert ((result.sigma_mm > 0) & (result.sigma_mm < 0.3)).all()


def test_a_start_far_away_is_taken_from_another_registration(prepared_scan: PreparedScan) -> None:
    away = placed((300.0, -200.0, 150.0), (0.0, 0.0, 30.0))
    day = scan(trunk(0), IDENTITY, GRID, frame_of_reference_uid="2.25.7")
    moved = replace(day, origin_mm=away.apply(day.origin_mm), axes=away.rotation @ day.axes)
    match = match_3d3d(prepared_scan, moved, start=away, start_frames=("2.25.1", "2.25.7"))
    assert match.verdict is Verdict.ACCEPTED, match.reasons
    assert target_error_mm(match.verification_from_planning, away) < 0.1


def test_a_region_decides_what_fits(planning: Volume) -> None:
    """The lower half moved apart from the upper one: each region finds its own half, the whole is not accepted."""
    upper, lower = of_the_day(USUAL, seed=1), of_the_day(placed((2.0, -4.0, 4.0), (1.0, -2.0, 1.5)), seed=2)
    voxels = upper.hounsfield.copy()
    voxels[:64] = lower.hounsfield[:64]
    both = replace(upper, hounsfield=voxels)
    top = prepare_scan(planning, region=BoxRegion("2.25.1", np.array([-200, -200, 10]), np.array([200, 200, 110])))
    match = match_3d3d(top, both)
    assert target_error_mm(match.verification_from_planning, USUAL) < 0.5
    assert match_3d3d(prepare_scan(planning), both).verdict is not Verdict.ACCEPTED


def test_masks_in_plan_and_day_leave_voxels_out(planning: Volume) -> None:
    day = of_the_day(USUAL)
    spoiled = day.hounsfield.copy()
    spoiled[:, :, 70:] = 1500
    mask = np.zeros(spoiled.shape, np.bool_)
    mask[:, :, 68:] = True
    body = binary_dilation(planning.hounsfield > -400, iterations=3)
    region = MaskRegion("2.25.1", body, planning.dicom_from_index)
    match = match_3d3d(prepare_scan(planning, region=region), replace(day, hounsfield=spoiled), excluded=mask)
    assert target_error_mm(match.verification_from_planning, USUAL) < 0.3


def test_a_region_that_ends_at_its_own_edges_is_doubted_when_only_half_is_seen(planning: Volume) -> None:
    """The result is off by 0.45 mm; mutual information, which sees more than edges, notices."""
    region = MaskRegion("2.25.1", planning.hounsfield > -400, planning.dicom_from_index)
    mask = np.zeros(planning.hounsfield.shape, np.bool_)
    mask[:, :, 68:] = True
    match = match_3d3d(prepare_scan(planning, region=region), of_the_day(USUAL), excluded=mask)
    assert match.verdict is Verdict.DOUBTFUL
    assert any("second metric" in reason for reason in match.reasons)


def test_mutual_information_matches_inverted_contrast(planning: Volume) -> None:
    """An image whose greys fall where CT numbers rise, as in some magnetic resonance images."""
    settings = ScanMatchSettings(metric=Metric.INFORMATION)
    day = of_the_day(USUAL, ScanFaults(noise_hu=10.0))
    inverted = replace(day, hounsfield=(800 - 0.8 * np.clip(day.hounsfield, -300, 700)).astype(np.int16))
    match = match_3d3d(prepare_scan(planning, settings=settings), inverted)
    assert target_error_mm(match.verification_from_planning, USUAL) < 0.3
    assert match.metric is Metric.INFORMATION


def test_another_patient_and_a_mirrored_one_are_not_accepted(prepared_scan: PreparedScan) -> None:
    other = scan(trunk(5), USUAL, GRID, faults=EASY_CONE_BEAM)
    day = of_the_day(IDENTITY)
    mirrored = replace(day, hounsfield=np.ascontiguousarray(day.hounsfield[:, :, ::-1]))
    for volume in (other, mirrored):
        match = match_3d3d(prepared_scan, volume)
        assert match.verdict is not Verdict.ACCEPTED, match.figures
        assert match.reasons


def test_displaced_starts_come_back(prepared_scan: PreparedScan) -> None:
    match = match_3d3d(prepared_scan, of_the_day(USUAL), capture_starts=10)
    assert match.capture is not None
    assert (match.capture.starts, match.capture.returned) == (10, 10)
    assert match.capture.reach_mm == pytest.approx(24.0)


def test_the_same_input_gives_the_same_numbers_on_any_number_of_threads(prepared_scan: PreparedScan) -> None:
    day = of_the_day(USUAL)
    before = numba.get_num_threads()
    found = []
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            found.append(match_3d3d(prepared_scan, day).verification_from_planning.matrix)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-9)


def test_progress_time_and_cancelling(prepared_scan: PreparedScan) -> None:
    heard: list[float] = []
    clock = ManualClock()

    def hear(fraction: float, text: str) -> None:
        assert text
        heard.append(fraction)
        clock.advance(0.5)

    match = match_3d3d(prepared_scan, of_the_day(USUAL), progress=hear, clock=clock)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert match.duration_s == pytest.approx(0.5 * len(heard))
    with pytest.raises(MatchCancelled):
        match_3d3d(prepared_scan, of_the_day(USUAL), cancelled=lambda: True)


def test_a_thin_volume_is_refused(planning: Volume, prepared_scan: PreparedScan) -> None:
    thin = replace(planning, hounsfield=planning.hounsfield[:3])
    with pytest.raises(VolumeTooThin, match=r"6\.0 mm"):
        match_3d3d(prepared_scan, thin)
    with pytest.raises(InvalidRecord, match="at least 2 voxels"):
        replace(planning, hounsfield=planning.hounsfield[:1])


def test_mirrored_axes_are_refused(planning: Volume) -> None:
    with pytest.raises(InvalidRecord, match="right-handed"):
        replace(planning, axes=np.diag([1.0, 1.0, -1.0]))


def test_constant_and_undefined_voxels_are_refused(planning: Volume, prepared_scan: PreparedScan) -> None:
    with pytest.raises(ConstantVolume):
        match_3d3d(prepared_scan, replace(planning, hounsfield=np.full_like(planning.hounsfield, 40)))
    voxels = planning.hounsfield.astype(np.float32)
    voxels[60, 60, 60] = np.nan
    with pytest.raises(UndefinedVoxels):
        match_3d3d(prepared_scan, replace(planning, hounsfield=voxels))


def test_regions_without_structure_or_of_another_frame_are_refused(planning: Volume) -> None:
    with pytest.raises(EmptyRegion, match="voxels with edges"):
        prepare_scan(planning, region=SphereRegion("2.25.1", np.array([0.0, 0.0, 0.0]), 4.0))
    with pytest.raises(WrongFrameOfReference):
        prepare_scan(planning, region=SphereRegion("2.25.9", np.array([0.0, 0.0, 0.0]), 40.0))


def test_a_start_of_another_frame_and_volumes_that_do_not_meet_are_refused(
    planning: Volume, prepared_scan: PreparedScan
) -> None:
    with pytest.raises(WrongFrameOfReference):
        match_3d3d(prepared_scan, planning, start=IDENTITY, start_frames=("2.25.1", "2.25.99"))
    away = replace(planning, origin_mm=planning.origin_mm + 900.0)
    with pytest.raises(EmptyRegion, match="show the region"):
        match_3d3d(prepared_scan, away)


def test_the_turn_of_the_truth_is_what_it_says() -> None:
    """The check itself: a pose with a known angle."""
    assert rotation_angle_deg(placed((0, 0, 0), (3.0, 0.0, 4.0)).rotation) == pytest.approx(5.0)
