"""The isocenter reference system: signs by hand from the standard, and its relation to IEC 61217."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.geometry import (
    ImagerAxis,
    InvalidGeometry,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    table_top_position,
)
from isoalign.geometry.c_arm import CArmAngles
from isoalign.geometry.imaging_errors import AnglesUndetermined, PointBehindSource
from isoalign.geometry.isocenter_reference_system import (
    FIXED_FROM_XRAY_ISOCENTER,
    PositionerAngles,
    XrayIsocenter,
    XrayPositioner,
    XrayTablePosition,
    table_rotation_from_dicom,
)

H = np.sqrt(0.5)

POSITIONER = [  # primary, secondary, rotation; a positioner axis; its direction as (left, down, head).  By hand
    ((0, 0, 0), "source", (0, 1, 0)),  # under the table
    ((0, 0, 0), "rows", (1, 0, 0)),
    ((0, 0, 0), "up", (0, 0, 1)),
    ((90, 0, 0), "source", (-1, 0, 0)),  # -Y towards +X is positive: the detector goes to the left, the source right
    ((90, 0, 0), "up", (0, 0, 1)),
    ((90, 0, 0), "rows", (0, 1, 0)),
    ((0, 90, 0), "source", (0, 0, -1)),  # detector to the head, source to the feet
    ((0, 90, 0), "up", (0, 1, 0)),
    ((0, 45, 0), "source", (0, H, -H)),
    ((0, 0, 90), "rows", (0, 0, -1)),  # clockwise, looking towards the source: rows to the feet
    ((0, 0, 90), "up", (1, 0, 0)),
    ((0, 0, 90), "source", (0, 1, 0)),
    ((90, 90, 0), "source", (0, 0, -1)),
    ((90, 90, 0), "up", (-1, 0, 0)),
]
AXES = {"rows": (1, 0, 0), "source": (0, 1, 0), "up": (0, 0, 1)}


@pytest.mark.parametrize(("angles", "axis", "direction"), POSITIONER)
def test_positioner_axes(angles: tuple[float, ...], axis: str, direction: tuple[float, ...]) -> None:
    pose = PositionerAngles(*angles).isocenter_from_positioner()
    np.testing.assert_allclose(pose.apply(AXES[axis]), direction, atol=1e-12)


TABLE = [  # horizontal rotation, head tilt, cradle tilt; table axis; direction as (left, down, head).  By hand
    ((90, 0, 0), (0, 0, 1), (1, 0, 0)),  # +Z towards +X
    ((90, 0, 0), (1, 0, 0), (0, 0, -1)),
    ((0, 90, 0), (0, 0, 1), (0, -1, 0)),  # the head goes up
    ((0, 90, 0), (1, 0, 0), (1, 0, 0)),
    ((0, 0, 90), (1, 0, 0), (0, -1, 0)),  # the left goes up
    ((0, 0, 90), (0, 0, 1), (0, 0, 1)),
    ((90, 90, 0), (0, 0, 1), (0, -1, 0)),  # the head of a turned table goes up, too
    ((90, 0, 90), (1, 0, 0), (0, -1, 0)),
]


@pytest.mark.parametrize(("angles", "axis", "direction"), TABLE)
def test_table_axes(angles: tuple[float, ...], axis: tuple[float, ...], direction: tuple[float, ...]) -> None:
    pose = XrayTablePosition(0.0, 0.0, 0.0, *angles).isocenter_from_table()
    np.testing.assert_allclose(pose.apply(axis), direction, atol=1e-12)


def test_printed_products_of_the_rotations() -> None:
    """P = (R2 R1)^T R3^T Pp and P = (R3 R2 R1)^T Pt + T, each R written out as a matrix that undoes one angle."""
    a, b, c = np.radians((25.0, -15.0, 40.0))
    r1 = np.array([[np.cos(a), np.sin(a), 0], [-np.sin(a), np.cos(a), 0], [0, 0, 1]])
    r2 = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    r3 = np.array([[np.cos(c), 0, -np.sin(c)], [0, 1, 0], [np.sin(c), 0, np.cos(c)]])
    found = PositionerAngles(25.0, -15.0, 40.0).isocenter_from_positioner().rotation
    np.testing.assert_allclose(found, (r2 @ r1).T @ r3.T, atol=1e-12)
    t1 = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    t2 = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    t3 = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    table = XrayTablePosition(1.0, 2.0, 3.0, 25.0, -15.0, 40.0).isocenter_from_table()
    np.testing.assert_allclose(table.rotation, (t3 @ t2 @ t1).T, atol=1e-12)
    np.testing.assert_array_equal(table.translation_mm, (1.0, 2.0, 3.0))


DIRECTIONS = [  # position; patient left, posterior, head in table axes.  DICOM PS3.17 FFF.1.2.2.2
    ("HFS", (1, 0, 0), (0, 1, 0), (0, 0, 1)),
    ("HFP", (-1, 0, 0), (0, -1, 0), (0, 0, 1)),
    ("HFDR", (0, -1, 0), (1, 0, 0), (0, 0, 1)),
    ("HFDL", (0, 1, 0), (-1, 0, 0), (0, 0, 1)),
    ("FFS", (-1, 0, 0), (0, 1, 0), (0, 0, -1)),
    ("FFP", (1, 0, 0), (0, -1, 0), (0, 0, -1)),
    ("FFDR", (0, -1, 0), (-1, 0, 0), (0, 0, -1)),
    ("FFDL", (0, 1, 0), (1, 0, 0), (0, 0, -1)),
]


@pytest.mark.parametrize(("position", "left", "posterior", "head"), DIRECTIONS)
def test_patient_on_the_table(
    position: str, left: tuple[int, ...], posterior: tuple[int, ...], head: tuple[int, ...]
) -> None:
    """A table of the standard that knows nothing of IEC 61217 agrees with the patient positions used there."""
    rotation = table_rotation_from_dicom(PatientPosition.parse(position))
    np.testing.assert_array_equal(rotation, np.array([left, posterior, head]).T)


def test_isocenter_axes_in_the_fixed_frame() -> None:
    np.testing.assert_array_equal(FIXED_FROM_XRAY_ISOCENTER.apply((1, 0, 0)), (1, 0, 0))
    np.testing.assert_array_equal(FIXED_FROM_XRAY_ISOCENTER.apply((0, 1, 0)), (0, 0, -1))
    np.testing.assert_array_equal(FIXED_FROM_XRAY_ISOCENTER.apply((0, 0, 1)), (0, 1, 0))


IEC = [  # X, Y, Z, horizontal rotation, head and cradle tilt; IEC lateral, longitudinal, vertical, pitch, roll, psa
    ((10, 20, 30, 0, 0, 0), (10, 30, -20, 0, 0, 0)),
    ((0, 0, 0, 0, 5, 0), (0, 0, 0, 5, 0, 0)),  # head up is + pitch
    ((0, 0, 0, 0, 0, 5), (0, 0, 0, 0, -5, 0)),  # left up is - roll
    ((0, 0, 0, 20, 0, 0), (0, 0, 0, 0, 0, -20)),  # head to the left, +Xf: clockwise from above
    ((0, 0, 100, 90, 0, 0), (-100, 0, 0, 0, 0, -90)),  # IEC translations turn with the support, these do not
]


@pytest.mark.parametrize(("xray", "iec"), IEC)
def test_table_as_iec_table_top(xray: tuple[float, ...], iec: tuple[float, ...]) -> None:
    position = table_top_position(XrayTablePosition(*xray).fixed_from_table())
    found = (
        position.lateral_mm,
        position.longitudinal_mm,
        position.vertical_mm,
        position.pitch_deg,
        position.roll_deg,
        position.patient_support_angle_deg,
    )
    assert found == pytest.approx(iec, abs=1e-9)


def test_positioner_is_a_gantry_with_pitch_and_receptor_angle() -> None:
    """Source and receptor of the C-arm's own frames, and those of an RT Image: Xr is -Xp, Yr is Zp, Zr is Yp."""
    for values in ((0.0, 0.0, 0.0), (35.0, -20.0, 0.0), (-120.0, 40.0, 70.0)):
        angles = PositionerAngles(*values)
        fixed_from_positioner = FIXED_FROM_XRAY_ISOCENTER @ angles.isocenter_from_positioner()
        geometry = ProjectionGeometry.from_axis(angles.imager_axis(750.0, 1200.0), PixelGrid.centred(10, 10, 1.0))
        np.testing.assert_allclose(fixed_from_positioner.apply((0, 750.0, 0)), geometry.source_mm, atol=1e-9)
        np.testing.assert_allclose(
            fixed_from_positioner.apply((0, -450.0, 0)), geometry.fixed_from_receptor.translation_mm, atol=1e-9
        )
        axes = geometry.fixed_from_receptor.rotation
        np.testing.assert_allclose(
            fixed_from_positioner.rotation, axes @ [[-1, 0, 0], [0, 0, 1], [0, 1, 0]], atol=1e-12
        )


def test_printed_projection_and_the_mirrored_rows() -> None:
    """Pu = SID / (ISO - Pyp) Pxp: seen from behind the detector, so u runs against the rows of an RT Image."""
    angles = PositionerAngles(35.0, -20.0, 10.0)
    grid = PixelGrid(2, 2, 1.0, 1.0, (0.0, 0.0))
    geometry = ProjectionGeometry.from_axis(angles.imager_axis(750.0, 1200.0), grid)
    points = np.random.default_rng(8).uniform(-60, 60, (30, 3))
    inside = angles.isocenter_from_positioner().inverse().apply(points)
    by_hand = inside[:, (0, 2)] * (1200.0 / (750.0 - inside[:, 1]))[:, None]
    uv = angles.project_mm(points, 750.0, 1200.0)
    np.testing.assert_allclose(uv, by_hand, atol=1e-9)
    column_row = geometry.project(FIXED_FROM_XRAY_ISOCENTER.apply(points))
    np.testing.assert_allclose(column_row, -uv, atol=1e-9)
    with pytest.raises(PointBehindSource):
        angles.project_mm(angles.isocenter_from_positioner().apply((0, 750.0, 0)), 750.0, 1200.0)


def test_supine_patient_sees_the_same_angles_in_both_systems() -> None:
    """Angles to the patient (XA) and to the equipment (X-Ray 3D) are the same only for a supine patient, head first."""
    source = PositionerAngles(30.0, 20.0, 55.0).isocenter_from_positioner().apply((0, 1, 0))
    xa = CArmAngles(30.0, 20.0).source_direction
    np.testing.assert_allclose(table_rotation_from_dicom(PatientPosition.HFS) @ xa, source, atol=1e-12)
    assert np.abs(table_rotation_from_dicom(PatientPosition.FFS) @ xa - source).max() > 0.5


def test_poles_need_a_held_angle() -> None:
    for pole in (90.0, -90.0):
        angles = PositionerAngles(20.0, pole, 10.0)
        with pytest.raises(AnglesUndetermined):
            PositionerAngles.of_pose(angles.isocenter_from_positioner())
        held = PositionerAngles.of_pose(angles.isocenter_from_positioner(), held_primary_deg=20.0)
        assert (held.primary_deg, held.secondary_deg) == (20.0, pole)
        assert held.detector_rotation_deg == pytest.approx(10.0, abs=1e-9)
        table = XrayTablePosition(1.0, 2.0, 3.0, 20.0, pole, 10.0)
        with pytest.raises(AnglesUndetermined):
            XrayTablePosition.of_pose(table.isocenter_from_table())
        back = XrayTablePosition.of_pose(table.isocenter_from_table(), held_horizontal_rotation_deg=20.0)
        assert (back.horizontal_rotation_deg, back.head_tilt_deg) == (20.0, pole)
        assert back.cradle_tilt_deg == pytest.approx(10.0, abs=1e-9)


def test_positioner_that_moves_the_isocenter_is_refused() -> None:
    with pytest.raises(InvalidGeometry):
        PositionerAngles.of_pose(Pose(XrayIsocenter, XrayPositioner, np.eye(3), (0.0, 0.0, 1.0)))


def test_axis_of_the_c_arm_in_rt_image_terms() -> None:
    assert PositionerAngles(-32.0, 2.0).imager_axis(765.0, 1190.0) == ImagerAxis(
        148.0, 765.0, 1190.0, (0.0, 0.0), 0.0, 2.0
    )
