"""Points that a structure set carries for positioning: isocentres with the table's angles, and implanted markers.

Source: sections 2.2.3.1, 2.2.4.1 and B.2.12 of the conformance statement.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt

from isoalign.geometry import TableTopPosition, display_angle_deg, nearest_equivalent_deg
from isoalign.records import Structure


class IsocentreKind(Enum):
    """Which isocentre a point is: RT ROI Interpreted Type (3006,00A4)."""

    INITIAL_LASER = "INITLASERISO"
    """Where the isocentre was before the CT was taken."""
    ACQUISITION = "ACQ_ISOCENTER"
    """Where it was while the CT was taken."""
    INITIAL_MATCH = "INITMATCHISO"
    """Where it was when the first match began; not defined for a CT of an in-room scanner."""


LABELS = {
    IsocentreKind.INITIAL_LASER: "InitLaserIso",
    IsocentreKind.ACQUISITION: "AcqIsocenter",
    IsocentreKind.INITIAL_MATCH: "InitMatchIso",
}
"""ROI Observation Label (3006,0085), also the name of the structure."""
ANGLE_PROPERTIES = ("PAT SUPPORT_ANGLE", "T TOP_PITCH_ANGLE", "T TOP_ROLL_ANGLE")
"""ROI Physical Property (3006,00B2) of the three table angles, in degrees; readers take an underscore for a space."""
MARKER_SUBTYPE = "MARKER"


def isocentre_structure(
    kind: IsocentreKind, number: int, point_mm: npt.ArrayLike, table_top: TableTopPosition
) -> Structure:
    """An isocentre as a point of a structure set.

    Parameters
    ----------
    number : int
        ROI number.
    point_mm : array_like, shape (3,)
        The machine isocentre in the DICOM patient frame of the CT.
    table_top : TableTopPosition
        Where the table top was at that moment, any representation: the angles are the same in each.
    """
    angles = (table_top.patient_support_angle_deg, table_top.pitch_deg, table_top.roll_deg)
    return Structure(
        number,
        LABELS[kind],
        kind.value,
        "POINT",
        (np.asarray(point_mm, dtype=np.float64).reshape(1, 3),),
        observation_label=LABELS[kind],
        physical_properties=tuple(
            (name, display_angle_deg(angle)) for name, angle in zip(ANGLE_PROPERTIES, angles, strict=True)
        ),
    )


def isocentre_angles_deg(structure: Structure) -> tuple[float, float, float] | None:
    """Patient support, pitch and roll angle that an isocentre was stored with; None when one of them is missing."""
    found = {name.replace("_", " "): value for name, value in structure.physical_properties}
    wanted = [name.replace("_", " ") for name in ANGLE_PROPERTIES]
    if not all(name in found for name in wanted):
        return None
    support, pitch, roll = (nearest_equivalent_deg(found[name], 0.0) for name in wanted)
    return support, pitch, roll


def marker_structure(number: int, name: str, point_mm: npt.ArrayLike) -> Structure:
    """An implanted marker as a point of a structure set, with its private subtype."""
    point = np.asarray(point_mm, dtype=np.float64).reshape(1, 3)
    return Structure(number, name, "MARKER", "POINT", (point,), marker_subtype=MARKER_SUBTYPE)
