"""CT Image: a volume to slices, planning or acquired.

Source: DICOM PS3.3 A.3, C.7.6.2, C.7.6.3, C.8.2.1; which attributes and values: sections B.2.6 to B.2.9 of the
conformance statement.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from isoalign.dicom.errors import UnsupportedPixelData
from isoalign.dicom.identity import CT_IMAGE, new_uid
from isoalign.dicom.object_settings import DEFAULT_SETTINGS, ObjectSettings
from isoalign.dicom.objects.characters import declare_characters
from isoalign.dicom.objects.common import Series, date_time, decimal, decimals, new_dataset
from isoalign.dicom.objects.ct_acquisition import CtAcquisition, set_acquisition, set_plan_reference
from isoalign.dicom.objects.pixels import set_pixels, set_window
from isoalign.records import Patient, Plan, Study, Volume

SOFT_TISSUE_WINDOW = (40.0, 400.0)
"""Centre and width in HU with which a CT is shown at first."""


def build_ct_images(
    volume: Volume,
    *,
    patient: Patient,
    study: Study,
    series: Series,
    created_at: datetime,
    tube_voltage_kv: float = 120.0,
    acquisition: CtAcquisition | None = None,
    plan: Plan | None = None,
    settings: ObjectSettings = DEFAULT_SETTINGS,
) -> list[Dataset]:
    """One CT Image per slice of ``volume``, with the volume's own instance UIDs where each is one of its slices.

    Parameters
    ----------
    acquisition : CtAcquisition, optional
        For a CT that was taken in the room; its tube voltage counts, and not ``tube_voltage_kv``.
    plan : Plan, optional
        The plan that the CT was taken for.

    Raises
    ------
    UnsupportedPixelData
        When the CT numbers do not fit 16 bits.
    CharactersNotWritable
    """
    slices = len(volume.hounsfield)
    uids = volume.sop_instance_uids
    if len(uids) != slices or volume.slice_offsets_mm is not None:
        uids = tuple(new_uid() for _ in range(slices))
    offset = -int(np.floor(min(float(volume.hounsfield.min()), -1024.0)))
    stored = np.rint(volume.hounsfield.astype(np.float64) + offset)
    if stored.max() > np.iinfo(np.uint16).max:
        raise UnsupportedPixelData(f"CT numbers up to {float(volume.hounsfield.max()):.0f} HU do not fit 16 bits")
    images = []
    for index, (uid, pixels) in enumerate(zip(uids, stored.astype(np.uint16), strict=True)):
        image = new_dataset(
            CT_IMAGE,
            modality="CT",
            patient=patient,
            study=study,
            series=series,
            created_at=created_at,
            sop_instance_uid=uid,
            settings=settings,
        )
        _set_image(image, volume, index, created_at)
        image.KVP = decimal(tube_voltage_kv)
        image.AcquisitionNumber = 1
        if acquisition is not None:
            set_acquisition(image, acquisition)
        if plan is not None:
            set_plan_reference(image, plan)
        image.RescaleIntercept = decimal(-offset)
        image.RescaleSlope = decimal(1.0)
        image.RescaleType = "HU"
        set_window(image, *SOFT_TISSUE_WINDOW)
        set_pixels(image, pixels)
        images.append(declare_characters(image, settings))
    return images


def _set_image(image: Dataset, volume: Volume, index: int, created_at: datetime) -> None:
    image.SeriesDate, image.SeriesTime = date_time(created_at)
    image.ContentDate, image.ContentTime = date_time(created_at)
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.PatientPosition = volume.patient_position.value
    image.Laterality = ""
    image.FrameOfReferenceUID = UID(volume.frame_of_reference_uid)
    image.PositionReferenceIndicator = ""
    image.InstanceNumber = index + 1
    image.SliceThickness = decimal(volume.spacing_mm[2])
    image.PixelSpacing = decimals((volume.spacing_mm[1], volume.spacing_mm[0]))
    image.ImageOrientationPatient = decimals(np.concatenate([volume.axes[:, 0], volume.axes[:, 1]]))
    image.ImagePositionPatient = decimals(volume.origin_mm + index * volume.spacing_mm[2] * volume.axes[:, 2])
