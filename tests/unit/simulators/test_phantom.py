"""The head phantom: shaped like a head, like no mirror image of itself, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.geometry import PatientPosition
from isoalign.records import Structure
from isoalign.simulators.phantom import PhantomCase, head_phantom


@pytest.fixture(scope="module")
def case() -> PhantomCase:
    return head_phantom(0)


def index_of(case: PhantomCase, point_mm: np.ndarray) -> tuple[int, int, int]:
    column, row, number = np.linalg.solve(case.volume.dicom_from_index, np.append(point_mm, 1.0))[:3]
    return round(number), round(row), round(column)


def structure(case: PhantomCase, name: str) -> Structure:
    return next(one for one in case.structures if one.name == name)


def test_size_and_frame(case: PhantomCase) -> None:
    volume = case.volume
    assert max(volume.hounsfield.shape) <= 230
    assert volume.hounsfield.dtype == np.int16
    assert volume.patient_position is PatientPosition.HFS
    assert np.abs(volume.origin_mm).min() > 10.0
    extent = np.array(volume.hounsfield.shape[::-1]) * volume.spacing_mm
    assert (extent > (170, 200, 230)).all()


def test_ct_numbers_of_a_head(case: PhantomCase) -> None:
    values = case.volume.hounsfield
    assert values.min() == -1000
    assert values.max() == 3071
    body = values > -300
    litres = body.sum() * case.volume.spacing_mm.prod() / 1e6
    assert 3.5 < litres < 6.0
    bone = (values > 250).sum() / body.sum()
    assert 0.08 < bone < 0.25
    inside_air = ((values < -500) & ~outside(values)).sum() / body.sum()
    assert 0.005 < inside_air < 0.06


def outside(values: np.ndarray) -> np.ndarray:
    """Air that is joined to the room along a row, column or slice direction without matter between."""
    air = values < -500
    reached = np.zeros_like(air)
    for axis in range(3):
        for turned in (False, True):
            view = np.flip(air, axis) if turned else air
            run = np.logical_and.accumulate(view, axis=axis)
            reached |= np.flip(run, axis) if turned else run
    return reached


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_no_mirror_image_is_the_head_itself(case: PhantomCase, axis: int) -> None:
    values = np.clip(case.volume.hounsfield.astype(np.float32), -1000, 2000)
    bone = values > 300
    # the best overlap of the bones with their mirror image, over shifts of the mirror
    best = 0.0
    for shift in range(-12, 13, 2):
        mirrored = np.roll(np.flip(bone, axis), shift, axis)
        best = max(best, float((bone & mirrored).sum() / (bone | mirrored).sum()))
    assert best < (0.9 if axis == 2 else 0.45)


def test_texture_everywhere(case: PhantomCase) -> None:
    values = case.volume.hounsfield.astype(float)
    number, row, column = index_of(case, case.isocentre_mm)
    brain = values[number + 24 : number + 32, row - 10 : row + 10, column - 5 : column + 15]
    assert 4.0 < brain.std() < 60.0
    spongy = values[(values > 400) & (values < 900)]
    assert spongy.std() > 60.0


def test_same_seed_same_head(case: PhantomCase) -> None:
    again, other = head_phantom(0), head_phantom(1, series_instance_uid="1.2.4")
    assert other.volume.series_instance_uid == "1.2.4"
    assert np.array_equal(case.volume.hounsfield, again.volume.hounsfield)
    assert not np.array_equal(case.volume.hounsfield, other.volume.hounsfield)
    assert case.volume.frame_of_reference_uid == again.volume.frame_of_reference_uid
    assert case.volume.frame_of_reference_uid != other.volume.frame_of_reference_uid
    assert case.volume.frame_of_reference_uid.startswith("2.25.")
    assert len(case.volume.frame_of_reference_uid) <= 64


def test_markers_shine_and_lie_apart(case: PhantomCase) -> None:
    assert case.marker_centres_mm.shape == (4, 3)
    for centre in case.marker_centres_mm:
        number, row, column = index_of(case, centre)
        assert case.volume.hounsfield[number, row, column] == 3071
    distances = np.linalg.norm(case.marker_centres_mm[:, None] - case.marker_centres_mm[None], axis=-1)
    lengths = np.sort(distances[np.triu_indices(4, 1)])
    assert lengths.min() > 30.0
    assert np.diff(lengths).min() > 1.0  # no two pairs alike


def test_structures(case: PhantomCase) -> None:
    names = [one.name for one in case.structures]
    assert names[:4] == ["BODY", "BRAIN", "PTV", "ISO"]
    assert [one.number for one in case.structures] == list(range(1, len(names) + 1))
    assert structure(case, "BODY").interpreted_type == "EXTERNAL"
    assert structure(case, "ISO").contours_mm[0][0] == pytest.approx(case.isocentre_mm)
    heights = case.volume.origin_mm[2] + np.arange(case.volume.hounsfield.shape[0]) * case.volume.spacing_mm[2]
    for name in ("BODY", "BRAIN", "PTV"):
        for contour in structure(case, name).contours_mm:
            assert len(contour) >= 8
            assert np.ptp(contour[:, 2]) == 0.0
            assert np.abs(heights - contour[0, 2]).min() < 0.006


def area_mm2(contour: np.ndarray) -> float:
    x, y = contour[:, 0], contour[:, 1]
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def test_body_contours_hold_the_body(case: PhantomCase) -> None:
    body = structure(case, "BODY").contours_mm
    drawn = sum(area_mm2(contour) for contour in body) * case.volume.spacing_mm[2]
    voxels = (~outside(case.volume.hounsfield)).sum() * case.volume.spacing_mm.prod()
    assert drawn == pytest.approx(voxels, rel=0.03)


def test_isocentre_lies_in_the_target_and_the_target_in_the_brain_slices(case: PhantomCase) -> None:
    target = structure(case, "PTV").contours_mm
    heights = np.array([contour[0, 2] for contour in target])
    nearest = target[int(np.argmin(np.abs(heights - case.isocentre_mm[2])))]
    assert heights.min() < case.isocentre_mm[2] < heights.max()
    spread = nearest[:, :2] - case.isocentre_mm[:2]
    turns = np.unwrap(np.arctan2(spread[:, 1], spread[:, 0]))
    assert abs(turns[-1] - turns[0]) > 6.0  # the contour goes round it
