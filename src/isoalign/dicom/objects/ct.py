"""CT Image: slices to a volume, with every condition checked.

Source: DICOM PS3.3 C.7.6.2, C.7.6.3, C.8.2.1; conditions on reference CT: section 2.2.4.1 of the conformance
statement. A varying slice distance is allowed: the slices are then interpolated linearly to equal distances, and the
user is told. Where nothing lists the slices, a distance of a whole multiple of the others is refused: that is far more
often a lost slice than a wish.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from isoalign.dicom.errors import (
    GappyCt,
    MissingSlices,
    MixedSeries,
    NotAxial,
    SeveralFramesOfReference,
)
from isoalign.dicom.identity import CT_IMAGE
from isoalign.dicom.objects.attributes import label_of, number, require_sop_class, require_type_1, vector
from isoalign.dicom.objects.pixels import stored_values
from isoalign.geometry import Array, PatientPosition
from isoalign.records import Volume

IN_PLANE_TOLERANCE_MM = 0.1
"""Largest difference of the in-plane origin between slices; from the conformance statement."""
AXIAL_TOLERANCE = 1e-3
"""Largest deviation of the slice normal from the patient's long axis, as a sine (0.06 degrees)."""
SPACING_TOLERANCE = 0.01
"""Largest relative deviation of one slice distance from the median, for slices of equal distance."""
MULTIPLE_TOLERANCE = 0.05
"""How near to a whole multiple of the usual distance a distance is taken for a gap, as a part of that distance."""
SMALLEST_SPACING_MM = 0.5
"""Slices of varying distance are interpolated to their smallest distance, but not to a smaller one than this."""
ROUNDING_MM = 1e-6
"""Coordinates are decimal strings; a difference of exactly 0.1 mm must not fail by its last bit."""

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
    _require_same_corner(positions, axes)
    along = positions @ axes[:, 2]
    regular = _is_regular(along, positions, complete=bool(wanted))
    hounsfield = _hounsfield(ordered)
    offsets = along - along[0]
    if not regular:
        hounsfield = _at_equal_distances(hounsfield, offsets)
    rows_mm, columns_mm = vector(ordered[0], "PixelSpacing", 2, label_of(ordered[0]))
    return Volume(
        hounsfield=hounsfield,
        origin_mm=positions[0],
        spacing_mm=np.array([columns_mm, rows_mm, offsets[-1] / (len(hounsfield) - 1)]),
        axes=axes,
        frame_of_reference_uid=str(ordered[0].FrameOfReferenceUID),
        patient_position=PatientPosition.parse(str(ordered[0].PatientPosition)),
        series_instance_uid=str(ordered[0].SeriesInstanceUID),
        sop_instance_uids=tuple(str(one.SOPInstanceUID) for one in ordered),
        slice_offsets_mm=None if regular else offsets,
    )


def spacing_advice(volume: Volume) -> tuple[str, ...]:
    """What the user should know about the slice distances of a volume as read; empty for equal distances."""
    if volume.slice_offsets_mm is None:
        return ()
    distances = np.diff(volume.slice_offsets_mm)
    advice = (
        f"the CT slices lie {distances.min():.3f} to {distances.max():.3f} mm apart; they were interpolated to "
        f"{volume.spacing_mm[2]:.3f} mm. Equal distances are recommended: details along the patient are as coarse as "
        "the widest distance"
    )
    return (advice,)


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


def _require_same_corner(positions: Array, axes: Array) -> None:
    spread = np.ptp(positions @ axes[:, :2], axis=0)
    if (spread > IN_PLANE_TOLERANCE_MM + ROUNDING_MM).any():
        raise MixedSeries(
            f"the upper left corners of the CT slices differ by {spread[0]:.2f} and {spread[1]:.2f} mm in the plane, "
            f"more than {IN_PLANE_TOLERANCE_MM} mm"
        )


def _is_regular(along: Array, positions: Array, *, complete: bool) -> bool:
    """Whether the slices lie at equal distances; refuses what looks like a lost slice unless all are known to be here.

    Raises
    ------
    GappyCt
    """
    distances = np.diff(along)
    if float(distances.min()) < 1e-3:
        index = int(distances.argmin())
        raise GappyCt(
            f"two CT slices lie at the same place (z = {positions[index, 2]:.2f} mm)",
            position_mm=float(positions[index, 2]),
        )
    usual = float(np.median(distances))
    multiples = distances / usual
    gaps = (multiples > 1.5) & (np.abs(multiples - np.rint(multiples)) < MULTIPLE_TOLERANCE)
    if gaps.any() and not complete:
        index = int(gaps.argmax())
        raise GappyCt(
            f"the CT has a gap: {distances[index]:.3f} mm instead of {usual:.3f} mm between the slices at "
            f"z = {positions[index, 2]:.2f} and {positions[index + 1, 2]:.2f} mm",
            distance_mm=float(distances[index]),
            usual_mm=usual,
            between_z_mm=[float(positions[index, 2]), float(positions[index + 1, 2])],
        )
    return bool((np.abs(distances - usual) <= max(SPACING_TOLERANCE * usual, 0.005)).all())


def _at_equal_distances(
    hounsfield: npt.NDArray[np.int16] | npt.NDArray[np.float32], offsets_mm: Array
) -> npt.NDArray[np.int16] | npt.NDArray[np.float32]:
    """Slices at ``offsets_mm`` (ascending from 0), interpolated linearly to equal distances; same type of numbers."""
    smallest = max(float(np.diff(offsets_mm).min()), SMALLEST_SPACING_MM)
    wanted = np.linspace(0.0, offsets_mm[-1], max(round(float(offsets_mm[-1]) / smallest), 1) + 1)
    below = np.clip(np.searchsorted(offsets_mm, wanted, side="right") - 1, 0, len(offsets_mm) - 2)
    share = (wanted - offsets_mm[below]) / (offsets_mm[below + 1] - offsets_mm[below])
    resampled = np.empty((len(wanted), *hounsfield.shape[1:]), dtype=hounsfield.dtype)
    for index, (lower, weight) in enumerate(zip(below, share, strict=True)):
        mixed = hounsfield[lower] * (1.0 - weight) + hounsfield[lower + 1] * weight
        resampled[index] = np.rint(mixed) if hounsfield.dtype.kind == "i" else mixed
    resampled.setflags(write=False)
    return resampled


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
