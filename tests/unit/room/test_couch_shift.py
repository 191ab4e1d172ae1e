"""From two files to a couch move, against plain 4x4 matrices that share no code with the package.

The oracle lays the planned point set into the room, plants an error there, writes the registration that a matcher would
write, lets the couch go where the package says, and looks where the points are then.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.dicom.objects import (
    Dataset,
    ExportContext,
    Series,
    VerificationFrame,
    build_case,
    build_spatial_registration,
    read_file,
    read_plan,
    write_file,
)
from isoalign.geometry import (
    DicomPatient,
    Fixed,
    InvalidGeometry,
    NotARotation,
    OutOfTravel,
    PatientPosition,
    Pose,
    Representation,
    TableTopPosition,
    TravelLimits,
)
from isoalign.records import Match, Patient, Structure, Verdict, Volume
from isoalign.room.couch_shift import CouchShift, FrameAxes, MatrixMeaning, find_couch_shift
from isoalign.room.errors import BeamUnknown, PatientPositionsDiffer, RegistrationNotUsable, TableTopUnknown

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
Matrix = npt.NDArray[np.float64]
ISOCENTRE = (12.0, -34.0, 56.0)
ERROR = (7.0, -5.0, 3.0, 1.5, -2.0, 2.5)
"""Lateral, longitudinal, vertical in the room, mm; pitch, roll, yaw, degrees: large enough that order matters."""
POINTS = np.array([[0, 0, 0], [80, 0, 0], [0, 90, 0], [0, 0, 120], [-60, 40, -100]], dtype=float) + ISOCENTRE

# Columns: where the patient's left, back and head point to in the room with the couch at zero. X is to the right of
# an observer at the foot end who faces the gantry, Y points to the gantry, Z up. Typed by hand.
LIES = {
    "HFS": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
    "HFP": [[-1, 0, 0], [0, 0, 1], [0, 1, 0]],
    "FFS": [[-1, 0, 0], [0, 0, -1], [0, -1, 0]],
    "HFDL": [[0, -1, 0], [0, 0, 1], [-1, 0, 0]],
    "SITTING": [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
}


def turn(axis: str, angle_deg: float) -> Matrix:
    """Pitch: +Y goes to +Z. Roll: +X goes to -Z. Patient support: +X goes to +Y. (IEC 61217)"""
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    full = np.eye(4)
    full[:3, :3] = {
        "pitch": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "roll": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "support": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }[axis]
    return full


def shift(x: float, y: float, z: float) -> Matrix:
    full = np.eye(4)
    full[:3, 3] = x, y, z
    return full


def table(lateral: float, longitudinal: float, vertical: float, pitch: float, roll: float, psa: float) -> Matrix:
    """Table top to room."""
    return turn("support", psa) @ shift(lateral, longitudinal, vertical) @ turn("pitch", pitch) @ turn("roll", roll)


def lies(term: str) -> Matrix:
    full = np.eye(4)
    full[:3, :3] = LIES[term]
    return full


def points(matrix: Matrix) -> Matrix:
    return POINTS @ matrix[:3, :3].T + matrix[:3, 3]


@dataclass(frozen=True)
class Scene:
    """What is true in the room. ``planned`` and ``actual``: planning frame to room."""

    term: str
    planned_table: tuple[float, ...]
    start: tuple[float, ...]

    @property
    def angles(self) -> Matrix:
        return table(0, 0, 0, *self.planned_table[3:])

    @property
    def planned(self) -> Matrix:
        return self.angles @ lies(self.term) @ shift(*(-np.array(ISOCENTRE)))

    @property
    def actual(self) -> Matrix:
        x, y, z, pitch, roll, yaw = ERROR
        error = shift(x, y, z) @ turn("support", yaw) @ turn("pitch", pitch) @ turn("roll", roll)
        return error @ self.planned

    def after(self, found: CouchShift) -> Matrix:
        """Where the patient, who stays on the table top, is when the couch has moved."""
        return table(*found.target.values) @ np.linalg.inv(table(*self.start)) @ self.actual


def scene(term: str = "HFS", psa: float = 30.0) -> Scene:
    return Scene(term, (-12.0, 640.0, -95.0, 1.25, -0.75, psa), (-4.0, 655.0, -101.0, 0.5, 1.0, psa - 1.5))


def volume(term: str) -> Volume:
    values = np.zeros((4, 8, 8), np.int16)
    return Volume(values, np.full(3, -8.0), np.array([1.0, 1.0, 2.0]), np.eye(3), "", PatientPosition(term))


Files = tuple[Path, Path]
Change = Callable[[Dataset], None]


def write(folder: Path, at: Scene, *, matrix: Matrix | None = None, change: Change | None = None) -> Files:
    """Registration and plan as the package writes them; the matrix of the planning item may be another."""
    square = np.array([[-5, -5, -1.0], [5, -5, -1], [5, 5, -1], [-5, 5, -1]])
    objects = build_case(
        volume(at.term),
        (Structure(1, "BODY", "EXTERNAL", "CLOSED_PLANAR", (square,)),),
        ISOCENTRE,
        patient=Patient("P-1", "Test^Only"),
        created_at=NOW,
        table_top=TableTopPosition(Representation.IEC_61217, *at.planned_table),
    )
    start = TableTopPosition(Representation.IEC_61217, *at.start)
    planned, actual = (Pose(Fixed, DicomPatient, m[:3, :3], m[:3, 3]) for m in (at.planned, at.actual))
    match = Match("2D/3D", planned, actual, Verdict.ACCEPTED, (), (), 5, True, 1.0, np.zeros(3), np.zeros(3))
    frame = VerificationFrame(PatientPosition(at.term), start)
    registration = build_spatial_registration(
        match,
        start,
        [],
        ExportContext(read_plan(objects.plan), 1, frame, "ROOM 1"),
        series=Series(5),
        instance_number=1,
        created_at=NOW,
    )
    if matrix is not None:
        set_matrix(registration, 1, matrix)
    if change is not None:
        change(registration)
    return write_file(registration, folder / "reg.dcm"), write_file(objects.plan, folder / "plan.dcm")


def transformation(registration: Dataset, item: int) -> Dataset:
    found: Dataset = registration.RegistrationSequence[item].MatrixRegistrationSequence[0].MatrixSequence[0]
    return found


def set_matrix(registration: Dataset, item: int, matrix: Matrix) -> None:
    transformation(registration, item).FrameOfReferenceTransformationMatrix = [f"{v:.12f}"[:16] for v in matrix.ravel()]


def start_of(at: Scene) -> TableTopPosition:
    return TableTopPosition(Representation.IEC_61217, *at.start)


@pytest.mark.parametrize("psa", [0.0, 30.0, 90.0, -45.0])
@pytest.mark.parametrize("term", sorted(LIES))
def test_after_the_move_the_patient_is_where_the_plan_wants_the_patient(term: str, psa: float, tmp_path: Path) -> None:
    at = scene(term, psa)
    found = find_couch_shift(*write(tmp_path, at), table_top=start_of(at))
    assert np.abs(points(at.actual) - points(at.planned)).max() > 5.0, "the error is there"
    np.testing.assert_allclose(points(at.after(found)), points(at.planned), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.move.error.translation_mm, ERROR[:3], rtol=0, atol=1e-6)
    assert found.move.error.patient_support_angle_deg == pytest.approx(ERROR[5], abs=1e-6)
    assert found.rotation_error < 1e-9
    assert abs(found.target.patient_support_angle_deg - psa) < 10, "no turn more than needed"


def test_the_table_position_may_be_given_in_another_representation(tmp_path: Path) -> None:
    at = scene()
    files = write(tmp_path, at)
    isocentric = start_of(at).in_representation(Representation.ISOCENTRIC_STANDARD)
    assert find_couch_shift(*files, table_top=isocentric).target.values == pytest.approx(
        find_couch_shift(*files, table_top=start_of(at)).target.values, abs=1e-9
    )


def test_without_a_table_position_the_plans_own_is_taken(tmp_path: Path) -> None:
    at = Scene("HFS", scene().planned_table, scene().planned_table)
    found = find_couch_shift(*write(tmp_path, at))
    assert found.table_top_from_plan
    assert found.start.values == pytest.approx(at.planned_table)
    np.testing.assert_allclose(points(at.after(found)), points(at.planned), rtol=0, atol=1e-6)


def test_an_empty_table_position_is_never_taken_for_zero(tmp_path: Path) -> None:
    at = scene()
    registration, plan = write(tmp_path, at)
    emptied = read_file(plan)
    emptied.IonBeamSequence[0].IonControlPointSequence[0].TableTopVerticalPosition = None
    write_file(emptied, plan)
    with pytest.raises(TableTopUnknown, match="beam 1 leaves the table-top position empty") as caught:
        find_couch_shift(registration, plan)
    assert "--table" in caught.value.hint
    found = find_couch_shift(registration, plan, table_top=start_of(at))
    np.testing.assert_allclose(points(at.after(found)), points(at.planned), rtol=0, atol=1e-6)


@pytest.mark.parametrize("axes", list(FrameAxes))
@pytest.mark.parametrize("term", ["HFS", "FFS", "SITTING"])
def test_the_frame_of_the_images_may_lie_anywhere(term: str, axes: FrameAxes, tmp_path: Path) -> None:
    """Its axes turn with the table top or stay in the room; the machine isocentre is where it is said to be."""
    at = scene(term, -45.0)
    isocentre = (-3.0, 14.0, 25.0)
    turned = table(0, 0, 0, *at.start[3:]) if axes is FrameAxes.TABLE else np.eye(4)
    room_from_images = turned @ lies(term) @ shift(*(-np.array(isocentre)))
    files = write(tmp_path, at, matrix=np.linalg.inv(room_from_images) @ at.actual)
    found = find_couch_shift(*files, table_top=start_of(at), verification_isocentre_mm=isocentre, axes=axes)
    np.testing.assert_allclose(points(at.after(found)), points(at.planned), rtol=0, atol=1e-6)
    other = FrameAxes.ROOM if axes is FrameAxes.TABLE else FrameAxes.TABLE
    wrong = find_couch_shift(*files, table_top=start_of(at), verification_isocentre_mm=isocentre, axes=other)
    assert np.abs(points(at.after(wrong)) - points(at.planned)).max() > 10.0
    wrong = find_couch_shift(*files, table_top=start_of(at), axes=axes)
    assert np.abs(points(at.after(wrong)) - points(at.planned)).max() > 10.0


def test_the_direction_of_the_matrices_flips_the_result(tmp_path: Path) -> None:
    at = scene()
    registration, plan = write(tmp_path, at)
    wrong = find_couch_shift(registration, plan, table_top=start_of(at), meaning=MatrixMeaning.INVERSE)
    assert np.abs(points(at.after(wrong)) - points(at.planned)).max() > 10.0

    def invert(dataset: Dataset) -> None:
        leads = np.array(transformation(dataset, 1).FrameOfReferenceTransformationMatrix, dtype=float).reshape(4, 4)
        set_matrix(dataset, 1, np.linalg.inv(leads))

    files = write(tmp_path, at, change=invert)
    right = find_couch_shift(*files, table_top=start_of(at), meaning=MatrixMeaning.INVERSE)
    np.testing.assert_allclose(points(at.after(right)), points(at.planned), rtol=0, atol=1e-6)


def in_the_planning_frame(dataset: Dataset) -> None:
    """The same registration, written the other way about: its own frame of reference is the planning CT's."""
    images, planning = dataset.RegistrationSequence
    leads = np.array(transformation(dataset, 1).FrameOfReferenceTransformationMatrix, dtype=float).reshape(4, 4)
    dataset.FrameOfReferenceUID = planning.FrameOfReferenceUID
    set_matrix(dataset, 0, np.linalg.inv(leads))
    set_matrix(dataset, 1, np.eye(4))
    dataset.RegistrationSequence = [planning, images]


def test_a_registration_in_the_planning_frame_means_the_same(tmp_path: Path) -> None:
    """Its planning item has the identity; taking that for the match would say that nothing is to be moved."""
    at = scene("HFP")
    files = write(tmp_path, at, change=in_the_planning_frame)
    found = find_couch_shift(*files, table_top=start_of(at))
    np.testing.assert_allclose(points(at.after(found)), points(at.planned), rtol=0, atol=1e-6)
    assert found.verification_frame_uid != found.planning_frame_uid


def add_item(dataset: Dataset) -> None:
    again = deepcopy(dataset.RegistrationSequence[1])
    dataset.RegistrationSequence = [*dataset.RegistrationSequence, again]


def rename_planning(dataset: Dataset) -> None:
    dataset.RegistrationSequence[1].FrameOfReferenceUID = "1.2.3"


def one_frame_only(dataset: Dataset) -> None:
    dataset.FrameOfReferenceUID = dataset.RegistrationSequence[1].FrameOfReferenceUID
    set_matrix(dataset, 1, np.eye(4))
    dataset.RegistrationSequence = [dataset.RegistrationSequence[1]]


def move_own_frame(dataset: Dataset) -> None:
    set_matrix(dataset, 0, shift(1, 0, 0))


def affine(dataset: Dataset) -> None:
    transformation(dataset, 1).FrameOfReferenceTransformationMatrixType = "AFFINE"


def untyped(dataset: Dataset) -> None:
    del transformation(dataset, 1).FrameOfReferenceTransformationMatrixType


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rename_planning, r"no item leads from it; the registration's own is 2\.25\.\d+, its items have 2.*, 1\.2\.3"),
        (add_item, "2 items could be meant"),
        (one_frame_only, "no item leads from it"),
        (move_own_frame, "not the identity"),
        (affine, "'AFFINE', not 'RIGID'"),
        (untyped, "'empty', not 'RIGID'"),
    ],
)
def test_a_registration_that_does_not_join_two_frames_rigidly_is_refused(
    change: Change, said: str, tmp_path: Path
) -> None:
    with pytest.raises(RegistrationNotUsable, match=said):
        find_couch_shift(*write(tmp_path, scene(), change=change))


def scaled(dataset: Dataset) -> None:
    set_matrix(dataset, 1, np.diag([1.001, 1.001, 1.001, 1.0]))


def mirrored(dataset: Dataset) -> None:
    set_matrix(dataset, 1, np.diag([-1.0, 1.0, 1.0, 1.0]))


def projective(dataset: Dataset) -> None:
    set_matrix(dataset, 1, np.eye(4) + 0.5 * np.eye(4)[[3, 0, 1, 2]] * np.array([[0], [0], [0], [1]]))


@pytest.mark.parametrize(
    ("change", "kind"), [(scaled, NotARotation), (mirrored, NotARotation), (projective, InvalidGeometry)]
)
def test_a_matrix_that_is_no_rigid_map_is_refused_with_its_file(
    change: Change, kind: type[Exception], tmp_path: Path
) -> None:
    registration, plan = write(tmp_path, scene(), change=change)
    with pytest.raises(kind, match=r"reg\.dcm"):
        find_couch_shift(registration, plan)


def test_a_rounded_matrix_is_accepted_and_its_distance_told(tmp_path: Path) -> None:
    def rounded(dataset: Dataset) -> None:
        leads = np.array(transformation(dataset, 1).FrameOfReferenceTransformationMatrix, dtype=float).reshape(4, 4)
        set_matrix(dataset, 1, leads.round(5))

    at = scene()
    found = find_couch_shift(*write(tmp_path, at, change=rounded), table_top=start_of(at))
    assert 1e-7 < found.rotation_error < 1e-4
    np.testing.assert_allclose(points(at.after(found)), points(at.planned), rtol=0, atol=0.01)


def test_images_in_another_patient_position_are_refused(tmp_path: Path) -> None:
    def prone(dataset: Dataset) -> None:
        dataset.PatientPosition = "HFP"

    with pytest.raises(PatientPositionsDiffer, match="in patient position HFP, the plan is for HFS"):
        find_couch_shift(*write(tmp_path, scene("HFS"), change=prone))


def test_an_unknown_beam_is_told_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BeamUnknown, match="no treatment beam 9; it has 1"):
        find_couch_shift(*write(tmp_path, scene()), beam_number=9)


def travel(pitch_deg: float = 5.0, lateral_mm: float = 500.0) -> TravelLimits:
    return TravelLimits(
        {
            "lateral": (-lateral_mm, lateral_mm),
            "longitudinal": (0.0, 1500.0),
            "vertical": (-500.0, 100.0),
            "pitch": (-pitch_deg, pitch_deg),
            "roll": (-5.0, 5.0),
            "patient_support_angle": (-95.0, 95.0),
        }
    )


def test_limits_keep_the_isocentre_and_tell_the_rotation_that_remains(tmp_path: Path) -> None:
    at = Scene("HFS", (-12.0, 640.0, -95.0, 0.0, 0.0, 90.0), (-4.0, 655.0, -101.0, 0.0, 0.0, 90.0))
    found = find_couch_shift(*write(tmp_path, at), table_top=start_of(at), limits=travel(pitch_deg=0.5))
    assert found.limited is not None
    assert found.limited.limited_axes == ("pitch",)
    assert abs(found.target.pitch_deg) == pytest.approx(0.5)
    left = at.after(found) @ np.linalg.inv(at.planned)
    np.testing.assert_allclose(left[:3, 3], 0.0, rtol=0, atol=1e-6)
    angle = np.degrees(np.arccos((np.trace(left[:3, :3]) - 1.0) / 2.0))
    assert found.limited.remaining.angle_deg == pytest.approx(angle, abs=1e-6)
    assert angle > 0.5


def test_limits_that_are_not_reached_change_nothing(tmp_path: Path) -> None:
    at = scene()
    files = write(tmp_path, at)
    free = find_couch_shift(*files, table_top=start_of(at))
    bound = find_couch_shift(*files, table_top=start_of(at), limits=travel())
    assert free.limited is None
    assert bound.limited is not None
    assert bound.limited.limited_axes == ()
    assert bound.target.values == pytest.approx(free.target.values)


def test_a_turn_more_is_no_reason_to_limit(tmp_path: Path) -> None:
    at = scene(psa=-45.0)
    given = TableTopPosition(Representation.IEC_61217, *at.start[:5], at.start[5] + 360.0)
    found = find_couch_shift(*write(tmp_path, at), table_top=given, limits=travel())
    assert found.limited is not None
    assert found.limited.limited_axes == ()
    assert 300.0 < found.target.patient_support_angle_deg < 330.0, "continuous with what was given"
    np.testing.assert_allclose(points(at.after(found)), points(at.planned), rtol=0, atol=1e-6)


def test_a_translation_out_of_reach_is_refused(tmp_path: Path) -> None:
    at = scene()
    with pytest.raises(OutOfTravel, match="lateral"):
        find_couch_shift(*write(tmp_path, at), table_top=start_of(at), limits=travel(lateral_mm=1.0))
