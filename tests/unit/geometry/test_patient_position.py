"""Patient positions against image orientations and statements typed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.geometry import (
    PatientPosition,
    UnknownPatientPosition,
    fixed_rotation_from_dicom,
    planned_fixed_from_dicom,
)

IMAGE_ORIENTATIONS = [  # axial scans, rows towards +Xf and columns towards -Zf: known Image Orientation (Patient)
    ("HFS", (1, 0, 0), (0, 1, 0)),
    ("HFP", (-1, 0, 0), (0, -1, 0)),
    ("FFS", (-1, 0, 0), (0, 1, 0)),
    ("FFP", (1, 0, 0), (0, -1, 0)),
    ("HFDL", (0, -1, 0), (1, 0, 0)),
    ("HFDR", (0, 1, 0), (-1, 0, 0)),
    ("FFDL", (0, 1, 0), (1, 0, 0)),
    ("FFDR", (0, -1, 0), (-1, 0, 0)),
]


@pytest.mark.parametrize(("term", "row", "column"), IMAGE_ORIENTATIONS)
def test_eight_known_image_orientations(term: str, row: tuple[int, ...], column: tuple[int, ...]) -> None:
    fixed_from_dicom = fixed_rotation_from_dicom(PatientPosition.parse(term))
    np.testing.assert_array_equal(fixed_from_dicom @ row, (1, 0, 0))
    np.testing.assert_array_equal(fixed_from_dicom @ column, (0, 0, -1))


OTHERS = [  # DICOM direction -> fixed direction, typed by hand from the meaning of the term
    ("LFS", (1, 0, 0), (0, 1, 0)),
    ("RFS", (-1, 0, 0), (0, 1, 0)),
    ("LFP", (0, -1, 0), (0, 0, -1)),
    ("AFDL", (0, -1, 0), (0, 1, 0)),
    ("AFDL", (1, 0, 0), (0, 0, -1)),
    ("PFDR", (0, 1, 0), (0, 1, 0)),
    ("PFDR", (-1, 0, 0), (0, 0, -1)),
    ("SITTING", (0, -1, 0), (0, 1, 0)),
    ("SITTING", (0, 0, 1), (0, 0, 1)),
    ("SITTING", (1, 0, 0), (-1, 0, 0)),
]


@pytest.mark.parametrize(("term", "dicom", "fixed"), OTHERS)
def test_decubitus_side_first_and_sitting(term: str, dicom: tuple[int, ...], fixed: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(fixed_rotation_from_dicom(PatientPosition.parse(term)) @ dicom, fixed)


@pytest.mark.parametrize("position", list(PatientPosition))
def test_every_position_is_a_proper_rotation_of_its_own(position: PatientPosition) -> None:
    rotation = fixed_rotation_from_dicom(position)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    same = [p for p in PatientPosition if np.array_equal(fixed_rotation_from_dicom(p), rotation)]
    assert same == [position]


def test_planned_pose_puts_the_isocentre_at_the_origin() -> None:
    pose = planned_fixed_from_dicom(PatientPosition.HFS, (10.0, -170.0, -2.0))
    np.testing.assert_allclose(pose.apply((10.0, -170.0, -2.0)), 0, atol=1e-12)
    np.testing.assert_allclose(pose.apply((10.0, -170.0, 98.0)), (0, 100, 0), atol=1e-12)


def test_unknown_term_is_refused_by_name() -> None:
    with pytest.raises(UnknownPatientPosition, match="HFX"):
        PatientPosition.parse("HFX")
