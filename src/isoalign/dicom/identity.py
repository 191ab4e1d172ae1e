"""Who made our objects: UIDs, implementation and manufacturer.

New UIDs are UUIDs as decimal numbers under ``2.25`` (DICOM PS3.5 B.2), so no registered root is needed and no two
installations can make the same one.
"""

from __future__ import annotations

import re
import uuid

from pydicom.uid import UID, CTImageStorage, RTImageStorage, RTIonPlanStorage, RTStructureSetStorage
from pydicom.uid import SpatialRegistrationStorage as _SpatialRegistrationStorage

from isoalign import __version__

MANUFACTURER = "isoalign"
MODEL_NAME = "isoalign"
SOFTWARE_VERSION = __version__
IMPLEMENTATION_CLASS_UID = UID("2.25.136993647594208853509363157367057217532")
"""Drawn once for this implementation; not configurable."""
IMPLEMENTATION_VERSION_NAME = f"ISOALIGN_{__version__}".replace(".", "_")[:16]

CT_IMAGE = str(CTImageStorage)
RT_IMAGE = str(RTImageStorage)
RT_ION_PLAN = str(RTIonPlanStorage)
RT_STRUCTURE_SET = str(RTStructureSetStorage)
SPATIAL_REGISTRATION = str(_SpatialRegistrationStorage)
VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
"""The one instance that every storage commitment names; DICOM PS3.4 J.3.5."""
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"

SHORT_NAMES = {
    CT_IMAGE: "CT Image",
    RT_IMAGE: "RT Image",
    RT_ION_PLAN: "RT Ion Plan",
    RT_STRUCTURE_SET: "RT Structure Set",
    SPATIAL_REGISTRATION: "Spatial Registration",
}

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


def new_uid() -> str:
    """A new UID under 2.25, at most 44 characters."""
    return f"2.25.{uuid.uuid4().int}"


def is_uid(text: str) -> bool:
    """Whether the text is digits in components, at most 64 characters, so that it is safe as a file name.

    Components with leading zeros are accepted: they are not valid, but devices in the field write them.
    """
    return len(text) <= 64 and _UID.fullmatch(text) is not None
