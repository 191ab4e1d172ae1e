"""CT Image: slices to a volume, with every condition checked, and a volume to slices.

Source: DICOM PS3.3 C.7.6.2, C.7.6.3, C.8.2.1; conditions on reference CT: section 2.2.4.1 of the conformance
statement. The statement allows a varying slice distance and recommends an equal one; here it must be equal, because
the volume is a regular grid and a gap is far more often a lost slice than a wish.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import UID

from isoalign.dicom.errors import (
    GappyCt,
    MissingSlices,
    MixedSeries,
    NotAxial,
    SeveralFramesOfReference,
    UnsupportedPixelData,
)
from isoalign.dicom.identity import CT_IMAGE
from isoalign.dicom.objects.attributes import label_of, number, require_sop_class, require_type_1, vector
from isoalign.dicom.objects.common import Series, date_time, decimal, decimals, new_dataset
from isoalign.dicom.objects.pixels import set_pixels, stored_values
from isoalign.geometry import Array, PatientPosition
from isoalign.records import Patient, Study, Volume

IN_PLANE_TOLERANCE_MM = 0.1
"""Largest difference of the in-plane origin between slices; from the conformance statement."""
AXIAL_TOLERANCE = 1e-3
"""Largest deviation of the slice normal from the patient's long axis, as a sine (0.06 degrees)."""
SPACING_TOLERANCE = 0.01
"""Largest relative deviation of one slice distance from the median."""

TYPE_1 = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "ImageType",
    "PatientPosition",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleIntercept",
    "RescaleSlope",
    "PixelData",
)


def read_volume(slices: Iterable[Dataset], *, expected_uids: Sequence[str] = ()) -> Volume:
    """The volume of one axial CT series.

    Parameters
    ----------
    slices : iterable of Dataset
        CT Image datasets in any order. Those that ``expected_uids`` does not name are left out when it is given.
    expected_uids : sequence of str
        The slices that the structure set references; all must be there.

    Raises
    ------
    WrongObject, MissingAttribute, InvalidAttribute, MissingSlices, SeveralFramesOfReference, MixedSeries, NotAxial,
    GappyCt, TruncatedFile, UnsupportedPixelData
    """
    wanted = set(expected_uids)
    found = [one for one in slices if not wanted or str(one.get("SOPInstanceUID", "")) in wanted]
    require_all_slices(expected_uids, [str(one.SOPInstanceUID) for one in found])
    if len(found) < 2:
        raise MissingSlices(f"a CT volume needs at least 2 slices, not {len(found)}")
    for one in found:
        require_sop_class(one, CT_IMAGE)
        require_type_1(one, TYPE_1, label_of(one))
    _require_one_series(found)
    axes = _axes(found[0])
    _require_same_orientation(found)
    ordered, positions = _sorted_along(found, axes[:, 2])
    spacing = _slice_spacing_mm(positions, axes)
    rows_mm, columns_mm = vector(ordered[0], "PixelSpacing", 2, label_of(ordered[0]))
    return Volume(
        hounsfield=_hounsfield(ordered),
        origin_mm=positions[0],
        spacing_mm=np.array([columns_mm, rows_mm, spacing]),
        axes=axes,
        frame_of_reference_uid=str(ordered[0].FrameOfReferenceUID),
        patient_position=PatientPosition.parse(str(ordered[0].PatientPosition)),
        series_instance_uid=str(ordered[0].SeriesInstanceUID),
        sop_instance_uids=tuple(str(one.SOPInstanceUID) for one in ordered),
    )


def require_all_slices(expected: Sequence[str], found: Iterable[str]) -> None:
    """Refuse a CT from which slices are missing.

    Raises
    ------
    MissingSlices
        Says how many, and names them (the first ten in the message, all in the facts).
    """
    present = set(found)
    missing = [uid for uid in expected if uid not in present]
    if missing:
        named = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        raise MissingSlices(
            f"{len(missing)} of {len(expected)} CT slices that the structure set references are missing: {named}",
            missing=missing,
            expected=len(expected),
        )


def _require_one_series(slices: Sequence[Dataset]) -> None:
    frames = sorted({str(one.FrameOfReferenceUID) for one in slices})
    if len(frames) > 1:
        raise SeveralFramesOfReference(
            f"the CT slices use {len(frames)} frames of reference: {', '.join(frames)}", frames=frames
        )
    for keyword in ("SeriesInstanceUID", "Rows", "Columns", "PixelSpacing", "PatientPosition"):
        values = sorted({str(one[keyword].value) for one in slices})
        if len(values) > 1:
            raise MixedSeries(
                f"the CT slices differ in {keyword}: {', '.join(values[:5])}", attribute=keyword, values=values
            )


def _axes(first: Dataset) -> Array:
    """Columns: direction of rising column index, row index and slice index."""
    where = label_of(first)
    orientation = vector(first, "ImageOrientationPatient", 6, where)
    along_rows, along_columns = orientation[:3], orientation[3:]
    normal = np.cross(along_rows, along_columns)
    skewed = abs(float(along_rows @ along_columns)) > 1e-3 or abs(float(np.linalg.norm(normal)) - 1.0) > 1e-3
    if skewed:
        raise MixedSeries(f"{where}: Image Orientation (Patient) (0020,0037) is not two orthogonal unit vectors")
    if float(np.hypot(normal[0], normal[1])) > AXIAL_TOLERANCE:
        tilt_deg = float(np.degrees(np.arccos(min(1.0, abs(float(normal[2]))))))
        raise NotAxial(
            f"{where} is not transverse: its normal is tilted by {tilt_deg:.2f} degrees from the patient's long axis",
            tilt_deg=tilt_deg,
        )
    first_axis = along_rows / np.linalg.norm(along_rows)
    third_axis = np.cross(first_axis, along_columns)
    third_axis /= np.linalg.norm(third_axis)
    return np.column_stack([first_axis, np.cross(third_axis, first_axis), third_axis])


def _require_same_orientation(slices: Sequence[Dataset]) -> None:
    orientations = np.array([vector(one, "ImageOrientationPatient", 6, label_of(one)) for one in slices])
    differing = np.abs(orientations - orientations[0]).max(axis=1)
    worst = int(differing.argmax())
    if differing[worst] > 1e-4:
        raise MixedSeries(f"{label_of(slices[worst])} is oriented differently from the other CT slices")


def _sorted_along(slices: Sequence[Dataset], normal: Array) -> tuple[list[Dataset], Array]:
    positions = np.array([vector(one, "ImagePositionPatient", 3, label_of(one)) for one in slices])
    order = np.argsort(positions @ normal, kind="stable")
    return [slices[int(index)] for index in order], positions[order]


def _slice_spacing_mm(positions: Array, axes: Array) -> float:
    in_plane = positions @ axes[:, :2]
    spread = np.ptp(in_plane, axis=0)
    if (spread > IN_PLANE_TOLERANCE_MM).any():
        raise MixedSeries(
            f"the upper left corners of the CT slices differ by {spread[0]:.2f} and {spread[1]:.2f} mm in the plane, "
            f"more than {IN_PLANE_TOLERANCE_MM} mm"
        )
    along = positions @ axes[:, 2]
    distances = np.diff(along)
    usual = float(np.median(distances))
    for index, distance in enumerate(distances):
        if distance < 1e-3:
            raise GappyCt(
                f"two CT slices lie at the same place (z = {positions[index, 2]:.2f} mm)",
                position_mm=float(positions[index, 2]),
            )
        if abs(distance - usual) > max(SPACING_TOLERANCE * usual, 0.005):
            raise GappyCt(
                f"the CT has a gap: {distance:.3f} mm instead of {usual:.3f} mm between the slices at "
                f"z = {positions[index, 2]:.2f} and {positions[index + 1, 2]:.2f} mm",
                distance_mm=float(distance),
                usual_mm=usual,
                between_z_mm=[float(positions[index, 2]), float(positions[index + 1, 2])],
            )
    return float(along[-1] - along[0]) / len(distances)


def _hounsfield(slices: Sequence[Dataset]) -> npt.NDArray[np.int16] | npt.NDArray[np.float32]:
    """CT numbers of sorted slices: int16 where they are whole and fit, float32 otherwise."""
    rescale = [
        (number(one, "RescaleSlope", label_of(one)) or 1.0, number(one, "RescaleIntercept", label_of(one)) or 0.0)
        for one in slices
    ]
    values: npt.NDArray[np.int16] | npt.NDArray[np.float32] | None = None
    if all(slope.is_integer() and intercept.is_integer() for slope, intercept in rescale):
        values = _whole_hounsfield(slices, rescale)
    if values is None:
        values = np.stack(
            [
                (stored_values(one).astype(np.float64) * slope + intercept).astype(np.float32)
                for one, (slope, intercept) in zip(slices, rescale, strict=True)
            ]
        )
    values.setflags(write=False)
    return values


def _whole_hounsfield(
    slices: Sequence[Dataset], rescale: Sequence[tuple[float, float]]
) -> npt.NDArray[np.int16] | None:
    """CT numbers as int16; None when one of them does not fit."""
    limits = np.iinfo(np.int16)
    values = np.empty((len(slices), int(slices[0].Rows), int(slices[0].Columns)), dtype=np.int16)
    for index, (one, (slope, intercept)) in enumerate(zip(slices, rescale, strict=True)):
        stored = stored_values(one)
        extremes = [int(value) * int(slope) + int(intercept) for value in (stored.min(), stored.max())]
        if min(extremes) < limits.min or max(extremes) > limits.max:
            return None
        values[index] = stored.astype(np.int32) * int(slope) + int(intercept)
    return values


def build_ct_images(
    volume: Volume,
    *,
    patient: Patient,
    study: Study,
    series: Series,
    created_at: datetime,
    tube_voltage_kv: float = 120.0,
) -> list[Dataset]:
    """One CT Image per slice of ``volume``, with the volume's own instance UIDs where it has them."""
    uids = volume.sop_instance_uids or (None,) * len(volume.hounsfield)
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
        )
        image.SeriesDate, image.SeriesTime = date_time(created_at)
        image.ContentDate, image.ContentTime = date_time(created_at)
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.PatientPosition = volume.patient_position.value
        image.Laterality = ""
        image.FrameOfReferenceUID = UID(volume.frame_of_reference_uid)
        image.PositionReferenceIndicator = ""
        image.InstanceNumber = index + 1
        image.AcquisitionNumber = 1
        image.SliceThickness = decimal(volume.spacing_mm[2])
        image.KVP = decimal(tube_voltage_kv)
        image.PixelSpacing = decimals((volume.spacing_mm[1], volume.spacing_mm[0]))
        image.ImageOrientationPatient = decimals(np.concatenate([volume.axes[:, 0], volume.axes[:, 1]]))
        image.ImagePositionPatient = decimals(volume.origin_mm + index * volume.spacing_mm[2] * volume.axes[:, 2])
        image.RescaleIntercept = decimal(-offset)
        image.RescaleSlope = decimal(1.0)
        image.RescaleType = "HU"
        set_pixels(image, pixels)
        images.append(image)
    return images
