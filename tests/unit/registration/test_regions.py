"""Parts of the CT and of the images that are to be matched, collimator blades, and input that must be refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter

from isoalign.geometry import DicomPatient, Fixed, Pose, residual_of, setup_error
from isoalign.imaging import EmptyVolume
from isoalign.records import InvalidRecord, Radiograph, Verdict, Volume
from isoalign.registration import (
    BoxRegion,
    ConstantVolume,
    EmptyRegion,
    MaskRegion,
    PreparedVolume,
    SphereRegion,
    UndefinedVoxels,
    VolumeTooThin,
    WrongFrameOfReference,
    check_capture,
    match_2d3d,
    prepare,
)
from isoalign.registration.blades import field_of_blades

Patient = Callable[[int], Volume]
Expose = Callable[..., tuple[Radiograph, Radiograph]]
Planned = Pose[Fixed, DicomPatient]

ERROR = setup_error(4.0, -3.0, 2.0, 1.0, -2.0, 1.5)
CENTRE_MM = np.array([12.0, -150.0, 30.0])


def collimated(image: Radiograph, top: int, bottom: int, left: int, right: int) -> Radiograph:
    """The image behind blades that leave so many pixels free; half a percent goes through, and the dark stays."""
    field = np.zeros(image.pixels.shape)
    field[top:bottom, left:right] = 1.0
    through = 0.005 + 0.995 * gaussian_filter(field, 0.7)
    pixels = np.maximum(image.pixels - 180.0, 0.0) * through + 180.0
    return replace(image, pixels=pixels.astype(np.uint16))


def test_blades_are_found_and_anatomy_is_not_taken_for_one(patient: Patient, take: Expose) -> None:
    image = take(patient(0), ERROR)[0]
    assert field_of_blades(image.pixels.astype(np.float32), 30000.0) is None
    seen = collimated(image, 30, 131, 24, 104).pixels.astype(np.float32)
    field = field_of_blades(seen, float(np.percentile(seen, 99.5)))
    assert field is not None
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    for found, true in ((rows[0], 30), (columns[0], 24)):
        assert true < found <= true + 16
    for found, true in ((rows[-1], 130), (columns[-1], 103)):
        assert true - 16 <= found < true


def test_a_collimated_image_is_matched(
    prepared: PreparedVolume, patient: Patient, take: Expose, planned: Planned
) -> None:
    """Blades used to spoil the local means: such images failed."""
    images = [collimated(one, 26, 132, 20, 106) for one in take(patient(0), ERROR)]
    match = match_2d3d(prepared, images, planned)
    left = residual_of(match.found @ (ERROR @ planned).inverse())
    assert match.verdict is Verdict.ACCEPTED, match.reasons
    assert left.distance_mm < 0.3
    assert left.angle_deg < 0.3


def test_a_region_decides_which_part_of_a_bent_patient_is_matched(
    patient: Patient, take: Expose, planned: Planned
) -> None:
    """The upper half lies 4 mm aside: each half is found where it is."""
    volume = patient(0)
    bent = volume.hounsfield.copy()
    bent[33:] = np.roll(bent[33:], 2, axis=2)
    images = take(replace(volume, hounsfield=bent), ERROR)
    half_mm = np.array([70.0, 85.0, 30.0])
    found = {}
    for name, along_mm in (("lower", -36.0), ("upper", 36.0)):
        middle_mm = CENTRE_MM + np.array([0.0, 0.0, along_mm])
        region = BoxRegion("1.2.3", middle_mm - half_mm, middle_mm + half_mm)
        match = match_2d3d(prepare(volume, region=region), images, planned)
        at_middle = match.found.apply(middle_mm) - (ERROR @ planned).apply(middle_mm)
        found[name] = float(np.linalg.norm(at_middle))
    assert found["lower"] < 0.5
    assert 3.5 < found["upper"] < 4.5


def test_pixels_may_be_chosen(prepared: PreparedVolume, patient: Patient, take: Expose, planned: Planned) -> None:
    images = take(patient(0), ERROR)
    spoilt = images[0].pixels.copy()
    spoilt[100:130, 40:90] = 4000
    chosen = np.ones(spoilt.shape, np.bool_)
    chosen[96:134, 36:94] = False
    match = match_2d3d(prepared, (replace(images[0], pixels=spoilt), images[1]), planned, regions=(chosen, None))
    assert match.verdict is Verdict.ACCEPTED, match.reasons
    assert residual_of(match.found @ (ERROR @ planned).inverse()).distance_mm < 0.3


def test_capture_is_checked_on_request(
    prepared: PreparedVolume, patient: Patient, take: Expose, planned: Planned
) -> None:
    images = take(patient(0), ERROR)
    match = match_2d3d(prepared, images, planned)
    told: list[float] = []
    check = check_capture(prepared, images, match, starts=3, progress=lambda part, _: told.append(part))
    assert check.starts == 3
    assert check.returned >= 2
    assert told[-1] == 1.0


@pytest.mark.parametrize("chosen", [np.zeros((160, 128), np.bool_), np.ones((10, 10), np.bool_)], ids=["none", "shape"])
def test_pixels_that_cannot_be_chosen_are_refused(
    prepared: PreparedVolume, patient: Patient, take: Expose, planned: Planned, chosen: npt.NDArray[np.bool_]
) -> None:
    with pytest.raises(EmptyRegion):
        match_2d3d(prepared, take(patient(0), ERROR), planned, regions=(chosen, None))


def test_a_region_outside_the_images_is_refused(patient: Patient, take: Expose, planned: Planned) -> None:
    dot = SphereRegion("1.2.3", CENTRE_MM, 3.0)
    with pytest.raises(EmptyRegion):
        match_2d3d(prepare(patient(0), region=dot), take(patient(0), ERROR), planned)


def test_regions_that_make_no_sense_are_refused(patient: Patient) -> None:
    volume = patient(0)
    with pytest.raises(WrongFrameOfReference):
        prepare(volume, region=SphereRegion("9.9.9", CENTRE_MM, 30.0))
    with pytest.raises(EmptyRegion):
        prepare(volume, region=SphereRegion("1.2.3", CENTRE_MM + 500.0, 30.0))
    empty = MaskRegion("1.2.3", np.zeros(volume.hounsfield.shape, np.bool_), volume.dicom_from_index)
    with pytest.raises(EmptyRegion):
        prepare(volume, region=empty)


def test_volumes_that_cannot_be_matched_are_refused(patient: Patient) -> None:
    volume = patient(0)
    holed = np.zeros((100, 101, 102), np.float32)
    holed[10, 10, 10] = np.nan
    with pytest.raises(UndefinedVoxels):
        prepare(replace(volume, hounsfield=holed))
    with pytest.raises(InvalidRecord, match="NaN"):
        replace(volume, hounsfield=holed[:20])
    with pytest.raises(ConstantVolume):
        prepare(replace(volume, hounsfield=np.full_like(volume.hounsfield, 40)))
    air = np.full_like(volume.hounsfield, -1000)
    air[0, 0, 0] = -990
    with pytest.raises(EmptyVolume):
        prepare(replace(volume, hounsfield=air))
    with pytest.raises(VolumeTooThin):
        prepare(replace(volume, hounsfield=volume.hounsfield[30:33].copy()))
    with pytest.raises(InvalidRecord, match="at least 2 voxels"):
        replace(volume, hounsfield=volume.hounsfield[30:31].copy())
    with pytest.raises(InvalidRecord, match="right-handed"):
        replace(volume, axes=np.diag([1.0, 1.0, -1.0]))
