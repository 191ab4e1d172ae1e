"""RT Images of quality checks: field images whose geometry is stated but that lack much of what the standard asks for.

Portal images of record-and-verify systems come without the 128 byte preamble, without a frame of reference, often
without a valid UID. Nothing of that decides where a ball is. What does (angles, distances, pixel spacing, first pixel)
is required and never guessed. Source: DICOM PS3.3 C.8.8.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from isoalign.dicom.errors import InvalidAttribute, MissingAttribute, NotDicom
from isoalign.dicom.objects.attributes import attribute_name, has_value, items, number, require_type_1, text
from isoalign.dicom.objects.files import is_dicom, read_bytes
from isoalign.dicom.objects.pixels import stored_values
from isoalign.dicom.objects.rt_image_reader import GEOMETRY, read_axis, read_grid
from isoalign.geometry import ProjectionGeometry

PIXELS = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation", "PixelData")
ANGLES = ("GantryAngle", "PatientSupportAngle")


@dataclass(frozen=True, slots=True)
class ReadBeamImage:
    """A field image as read; angles in degrees, IEC 61217 as DICOM defines them."""

    pixels: npt.NDArray[np.integer] = field(repr=False)
    geometry: ProjectionGeometry
    patient_support_angle_deg: float
    beam_limiting_device_angle_deg: float
    taken_at: datetime | None


def read_beam_image(content: bytes, name: str) -> ReadBeamImage:
    """The field image in the bytes of a file; ``name`` is what messages call it.

    Raises
    ------
    NotDicom, TruncatedFile, MissingAttribute, InvalidAttribute, UnsupportedPixelData
    """
    dataset = read_bytes(content, name) if is_dicom(content) else _without_preamble(content, name)
    if text(dataset, "Modality") != "RTIMAGE":
        raise NotDicom(f"{name} is not an RT Image", file=name)
    sources = (dataset, *items(dataset, "ExposureSequence")[:1])
    require_type_1(dataset, (*PIXELS, *GEOMETRY), name)
    for keyword in ANGLES:
        if not any(has_value(source, keyword) for source in sources):
            raise MissingAttribute(f"{name}: {attribute_name(keyword)} is missing or empty")
    support, collimator = (
        next((number(source, keyword, name) for source in sources if has_value(source, keyword)), 0.0)
        for keyword in ("PatientSupportAngle", "BeamLimitingDeviceAngle")
    )
    return ReadBeamImage(
        np.array(stored_values(dataset)),
        ProjectionGeometry.from_axis(read_axis(dataset, sources, name), read_grid(dataset, name)),
        float(support or 0.0),
        float(collimator or 0.0),
        _taken_at(dataset, name),
    )


def _taken_at(dataset: Dataset, name: str) -> datetime | None:
    """Acquisition or content date and time; in the local zone of this computer where the image names none."""
    for kind in ("Acquisition", "Content"):
        date, time = text(dataset, f"{kind}Date"), text(dataset, f"{kind}Time") or "000000"
        if not date:
            continue
        try:
            zone = text(dataset, "TimezoneOffsetFromUTC")
            pattern = f"%Y%m%d %H%M%S{' %z' if zone else ''}"
            return datetime.strptime(f"{date} {time[:6]} {zone}".strip(), pattern).astimezone()
        except ValueError as error:
            raise InvalidAttribute(f"{name}: {kind} Date and Time {date} {time} are no moment") from error
    return None


def _without_preamble(content: bytes, name: str) -> Dataset:
    """A dataset that begins with its first element, little endian."""
    try:
        dataset = pydicom.dcmread(BytesIO(content), force=True)
        is_image = "PixelData" in dataset and "Modality" in dataset
    except (EOFError, OSError, ValueError, KeyError, NotImplementedError, AttributeError, TypeError) as error:
        raise NotDicom(f"{name} is not a DICOM file: {error}", file=name) from error
    if not is_image:
        raise NotDicom(f"{name} is not a DICOM file", file=name)
    is_implicit, _ = dataset.original_encoding
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
    return dataset
