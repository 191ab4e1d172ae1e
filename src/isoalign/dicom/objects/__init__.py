"""DICOM objects: datasets to records and back. Nothing here talks to the network."""

from pydicom.dataset import Dataset

from isoalign.dicom.object_settings import CharacterRepertoire, ObjectSettings, PrivateCreators
from isoalign.dicom.objects.case import CaseDatasets, build_case
from isoalign.dicom.objects.common import Series, encode_file, read_patient, read_study, write_file
from isoalign.dicom.objects.contour_resampling import carried_onto
from isoalign.dicom.objects.ct import read_volume, spacing_advice
from isoalign.dicom.objects.ct_acquisition import CtAcquisition, read_ct_acquisition, read_plan_reference
from isoalign.dicom.objects.ct_writer import build_ct_images
from isoalign.dicom.objects.extended_interface import (
    ExtendedInterface,
    add_extended_interface,
    read_extended_interface,
)
from isoalign.dicom.objects.files import read_bytes, read_file
from isoalign.dicom.objects.ion_plan import build_ion_plan
from isoalign.dicom.objects.isocentres import (
    IsocentreKind,
    isocentre_angles_deg,
    isocentre_structure,
    marker_structure,
)
from isoalign.dicom.objects.plan import read_plan
from isoalign.dicom.objects.registration import (
    ReadRegistration,
    build_spatial_registration,
    read_spatial_registration,
    verification_from_planning,
)
from isoalign.dicom.objects.rt_image import ExportContext, JawPair, RtImageDetails, build_drr_image, build_rt_image
from isoalign.dicom.objects.rt_image_reader import ReadRtImage, read_rt_image
from isoalign.dicom.objects.structure_set import (
    ReadStructureSet,
    RelatedStructureSet,
    is_marker,
    read_structure_set,
)
from isoalign.dicom.objects.structure_set_writer import build_marker_structure_set, build_structure_set, set_related
from isoalign.dicom.objects.verification_frame import VerificationFrame

__all__ = [
    "CaseDatasets",
    "CharacterRepertoire",
    "CtAcquisition",
    "Dataset",
    "ExportContext",
    "ExtendedInterface",
    "IsocentreKind",
    "JawPair",
    "ObjectSettings",
    "PrivateCreators",
    "ReadRegistration",
    "ReadRtImage",
    "ReadStructureSet",
    "RelatedStructureSet",
    "RtImageDetails",
    "Series",
    "VerificationFrame",
    "add_extended_interface",
    "build_case",
    "build_ct_images",
    "build_drr_image",
    "build_ion_plan",
    "build_marker_structure_set",
    "build_rt_image",
    "build_spatial_registration",
    "build_structure_set",
    "carried_onto",
    "encode_file",
    "is_marker",
    "isocentre_angles_deg",
    "isocentre_structure",
    "marker_structure",
    "read_bytes",
    "read_ct_acquisition",
    "read_extended_interface",
    "read_file",
    "read_patient",
    "read_plan",
    "read_plan_reference",
    "read_rt_image",
    "read_spatial_registration",
    "read_structure_set",
    "read_study",
    "read_volume",
    "set_related",
    "spacing_advice",
    "verification_from_planning",
    "write_file",
]
