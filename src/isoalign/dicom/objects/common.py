"""What all objects share: patient, study, equipment, file meta information, references and text."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ImplicitVRLittleEndian
from pydicom.valuerep import DSfloat, format_number_as_ds

from isoalign.dicom import identity
from isoalign.dicom.object_settings import DEFAULT_SETTINGS, ObjectSettings
from isoalign.dicom.objects.attributes import text
from isoalign.records import Patient, Study

DS_LENGTH = 16
"""Characters of a decimal string, PS3.5 6.2."""
SEXES = {"F": "F", "M": "M", "FEMALE": "F", "MALE": "M"}
"""What is written for the patient's sex; anything else is O (section B.2.1 of the conformance statement)."""


@dataclass(frozen=True, slots=True)
class Series:
    """The series that new instances belong to. Numbers count up over the series of one session, from 1."""

    number: int
    series_instance_uid: str = field(default_factory=identity.new_uid)


def read_patient(dataset: Dataset) -> Patient:
    """The patient's identity as the dataset carries it."""
    return Patient(
        patient_id=text(dataset, "PatientID"),
        name=text(dataset, "PatientName"),
        birth_date=text(dataset, "PatientBirthDate"),
        sex=text(dataset, "PatientSex"),
        birth_time=text(dataset, "PatientBirthTime"),
    )


def read_study(dataset: Dataset) -> Study:
    """The study that the dataset belongs to."""
    return Study(
        study_instance_uid=text(dataset, "StudyInstanceUID"),
        study_id=text(dataset, "StudyID"),
        study_date=text(dataset, "StudyDate"),
        study_time=text(dataset, "StudyTime"),
        accession_number=text(dataset, "AccessionNumber"),
        referring_physician=text(dataset, "ReferringPhysicianName"),
        description=text(dataset, "StudyDescription"),
    )


def new_dataset(
    sop_class_uid: str,
    *,
    modality: str,
    patient: Patient,
    study: Study,
    series: Series,
    created_at: datetime,
    sop_instance_uid: str | None = None,
    settings: ObjectSettings = DEFAULT_SETTINGS,
) -> Dataset:
    """A dataset with the SOP common, patient, study, series and equipment attributes, and file meta information."""
    dataset = Dataset()
    dataset.SOPClassUID = UID(sop_class_uid)
    dataset.SOPInstanceUID = UID(sop_instance_uid or identity.new_uid())
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = date_time(created_at)
    dataset.PatientName = patient.name
    dataset.PatientID = patient.patient_id
    dataset.PatientBirthDate = patient.birth_date
    if patient.birth_time:
        dataset.PatientBirthTime = patient.birth_time
    dataset.PatientSex = SEXES.get(patient.sex.upper(), "O")
    dataset.StudyInstanceUID = UID(study.study_instance_uid)
    dataset.StudyDate = study.study_date
    dataset.StudyTime = study.study_time
    dataset.StudyID = study.study_id
    dataset.AccessionNumber = study.accession_number
    dataset.ReferringPhysicianName = study.referring_physician
    if study.description:
        dataset.StudyDescription = study.description
    dataset.Modality = modality
    dataset.SeriesInstanceUID = UID(series.series_instance_uid)
    dataset.SeriesNumber = series.number
    dataset.Manufacturer = identity.MANUFACTURER
    dataset.ManufacturerModelName = identity.MODEL_NAME
    dataset.SoftwareVersions = identity.SOFTWARE_VERSION
    if settings.station_name:
        dataset.StationName = settings.station_name[:16]
    dataset.file_meta = file_meta(dataset)
    return dataset


def file_meta(dataset: Dataset, transfer_syntax: UID = ImplicitVRLittleEndian) -> FileMetaDataset:
    """File meta information of an object that this node writes (implicit little endian by default)."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = identity.IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = identity.IMPLEMENTATION_VERSION_NAME
    return meta


def encode_file(dataset: Dataset) -> bytes:
    """The dataset as the bytes of a DICOM file, with a preamble of zeros."""
    buffer = BytesIO()
    dataset.preamble = b"\x00" * 128
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def write_file(dataset: Dataset, path: Path) -> Path:
    """Write a DICOM file so that it is either whole under its name or not there."""
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        file.write(encode_file(dataset))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return path


def date_time(moment: datetime) -> tuple[str, str]:
    """DICOM date and time of a moment."""
    return moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")


def parse_date_time(date: str, time: str) -> datetime | None:
    """The moment of a DICOM date and time, in UTC as this program writes them; None when either is missing or wrong."""
    for pattern in ("%Y%m%d%H%M%S.%f", "%Y%m%d%H%M%S", "%Y%m%d%H%M"):
        try:
            return datetime.strptime(date + time, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def decimal(value: float) -> DSfloat:
    """A decimal string of at most 16 characters, as precise as that allows, with noise below 1e-12 removed."""
    return DSfloat(decimal_text(value), auto_format=True)


def decimal_text(value: float) -> str:
    """The characters of :func:`decimal`."""
    cleaned = round(float(value), 12) + 0.0  # turns -0.0 into 0.0
    plain = repr(cleaned)
    return plain if len(plain) <= DS_LENGTH and math.isfinite(cleaned) else format_number_as_ds(cleaned)


def decimals(values: npt.ArrayLike) -> list[DSfloat]:
    """Decimal strings of an array, in row-major order."""
    return [decimal(float(value)) for value in np.asarray(values, dtype=np.float64).ravel()]


def reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """An item that refers to an instance."""
    item = Dataset()
    item.ReferencedSOPClassUID = UID(sop_class_uid)
    item.ReferencedSOPInstanceUID = UID(sop_instance_uid)
    return item


def referenced_series(series_instance_uid: str, sop_class_uid: str, sop_instance_uids: Sequence[str]) -> Dataset:
    """An item of Referenced Series Sequence (0008,1115)."""
    item = Dataset()
    item.SeriesInstanceUID = UID(series_instance_uid)
    item.ReferencedInstanceSequence = [reference(sop_class_uid, uid) for uid in sop_instance_uids]
    return item
