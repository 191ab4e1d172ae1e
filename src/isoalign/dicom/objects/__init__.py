"""DICOM objects: datasets to records and back. Nothing here talks to the network."""

from pydicom.dataset import Dataset

from isoalign.dicom.objects.case import CaseDatasets, build_case
from isoalign.dicom.objects.common import Series, encode_file, read_patient, read_study, write_file
from isoalign.dicom.objects.ct import build_ct_images, read_volume
from isoalign.dicom.objects.files import read_bytes, read_file
from isoalign.dicom.objects.ion_plan import build_ion_plan
from isoalign.dicom.objects.plan import read_plan
from isoalign.dicom.objects.registration import (
    ReadRegistration,
    build_spatial_registration,
    read_spatial_registration,
    verification_from_planning,
)
from isoalign.dicom.objects.rt_image import ExportContext, build_drr_image, build_rt_image
from isoalign.dicom.objects.structure_set import ReadStructureSet, build_structure_set, read_structure_set
from isoalign.dicom.objects.verification_frame import VerificationFrame

__all__ = [
    "CaseDatasets",
    "Dataset",
    "ExportContext",
    "ReadRegistration",
    "ReadStructureSet",
    "Series",
    "VerificationFrame",
    "build_case",
    "build_ct_images",
    "build_drr_image",
    "build_ion_plan",
    "build_rt_image",
    "build_spatial_registration",
    "build_structure_set",
    "encode_file",
    "read_bytes",
    "read_file",
    "read_patient",
    "read_plan",
    "read_spatial_registration",
    "read_structure_set",
    "read_study",
    "read_volume",
    "verification_from_planning",
    "write_file",
]
