"""Patient positions: how the DICOM patient frame lies in the IEC fixed frame at couch angle zero.

One generator makes every orientation from two anatomical facts: which direction enters the bore first (towards the
gantry, +Yf) and which one points down (-Zf).

Source: DICOM PS3.3 C.7.3.1.1.2 and C.8.8.12.1.2; IEC 61217 clause 3.11.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import InvalidGeometry, UnknownPatientPosition
from isoalign.geometry.frames import DicomPatient, Fixed
from isoalign.geometry.pose import Array, Pose

LEFT, POSTERIOR, SUPERIOR = np.eye(3)
RIGHT, ANTERIOR, INFERIOR = -np.eye(3)


class PatientPosition(Enum):
    """Terms of Patient Position (0018,5100): what enters first, what points down (DICOM patient axes)."""

    HFS = "HFS"
    HFP = "HFP"
    HFDL = "HFDL"
    HFDR = "HFDR"
    FFS = "FFS"
    FFP = "FFP"
    FFDL = "FFDL"
    FFDR = "FFDR"
    LFS = "LFS"
    LFP = "LFP"
    RFS = "RFS"
    RFP = "RFP"
    AFDL = "AFDL"
    AFDR = "AFDR"
    PFDL = "PFDL"
    PFDR = "PFDR"
    SITTING = "SITTING"

    @classmethod
    def parse(cls, term: str) -> PatientPosition:
        """The position of a DICOM term.

        Raises
        ------
        UnknownPatientPosition
        """
        try:
            return cls(term.strip().upper())
        except ValueError:
            raise UnknownPatientPosition(f"unknown patient position {term!r}", term=term) from None


_FIRST = {"HF": SUPERIOR, "FF": INFERIOR, "LF": LEFT, "RF": RIGHT, "AF": ANTERIOR, "PF": POSTERIOR}
_DOWN = {"S": POSTERIOR, "P": ANTERIOR, "DL": LEFT, "DR": RIGHT}


def fixed_rotation_from_dicom(position: PatientPosition) -> Array:
    """Rotation from DICOM patient axes to IEC fixed axes with all couch angles zero, shape (3, 3)."""
    if position is PatientPosition.SITTING:
        # with patient support angle 0 the patient looks along +Yf (DICOM PS3.3 C.8.8.25.6.3)
        towards_gantry, up = ANTERIOR, SUPERIOR
    else:
        towards_gantry, up = _FIRST[position.value[:2]], -_DOWN[position.value[2:]]
    return np.array([np.cross(towards_gantry, up), towards_gantry, up])


def planned_fixed_from_dicom(position: PatientPosition, isocentre_mm: npt.ArrayLike) -> Pose[Fixed, DicomPatient]:
    """Where the patient should be: the plan's isocentre at the machine's, axes as the patient position says.

    Parameters
    ----------
    position : PatientPosition
    isocentre_mm : array_like, shape (3,)
        Isocentre in the DICOM patient frame, mm.
    """
    isocentre = np.asarray(isocentre_mm, dtype=np.float64)
    if isocentre.shape != (3,) or not np.isfinite(isocentre).all():
        raise InvalidGeometry("an isocentre is three finite coordinates in mm")
    rotation = fixed_rotation_from_dicom(position)
    return Pose(Fixed, DicomPatient, rotation, -rotation @ isocentre)
