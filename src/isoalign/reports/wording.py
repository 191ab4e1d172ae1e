"""Words, signs and units for the six axes; every face takes them from here.

Directions are those of IEC 61217, for an observer who faces the gantry from the foot end of the couch. Source: IEC
61217 clauses 2.3 and 3.8 to 3.10, by way of DICOM PS3.3 C.8.8.14.12; typed by hand, never derived in code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isoalign.geometry import AXES, PatientPosition, Representation, TableTopPosition, fixed_rotation_from_dicom


@dataclass(frozen=True, slots=True)
class AxisWords:
    """How one axis is called and what its signs mean."""

    axis: str
    label: str
    unit: str
    positive: str
    negative: str


AXIS_WORDS: tuple[AxisWords, ...] = (
    AxisWords("lateral", "Lateral", "mm", "right (+X)", "left (−X)"),
    AxisWords("longitudinal", "Longitudinal", "mm", "towards the gantry (+Y)", "away from the gantry (−Y)"),
    AxisWords("vertical", "Vertical", "mm", "up (+Z)", "down (−Z)"),
    AxisWords("pitch", "Pitch", "°", "gantry end up (+Y → +Z)", "gantry end down (+Y → −Z)"),
    AxisWords("roll", "Roll", "°", "right side down (+X → −Z)", "right side up (+X → +Z)"),
    AxisWords(
        "patient_support_angle",
        "Patient support angle",
        "°",
        "counter-clockwise (+X → +Y)",
        "clockwise (+X → −Y)",
    ),
)
"""The axes in the order of :data:`isoalign.geometry.AXES`."""

assert tuple(words.axis for words in AXIS_WORDS) == AXES

OBSERVER = "Right and left as seen when facing the gantry; clockwise as seen from above."
"""What the words of :data:`AXIS_WORDS` refer to."""

SHORT_REPRESENTATION = {Representation.IEC_61217: "iec61217", Representation.ISOCENTRIC_STANDARD: "isocentric"}
"""The names of the representations on the command line and in JSON."""

REPRESENTATION_NOTES = {
    Representation.IEC_61217: "pitch and roll turn about the table-top origin; translations along the patient support",
    Representation.ISOCENTRIC_STANDARD: "pitch and roll turn about the isocentre; translations along the tilted axes",
}


def decimals_of(unit: str) -> int:
    """Digits after the point that are shown: 2 for mm, 3 for degrees."""
    return 2 if unit == "mm" else 3


def signed(value: float, unit: str) -> str:
    """A number with its sign, a true minus sign and the digits of its unit, e.g. ``−1.20``; never ``−0.00``."""
    digits = decimals_of(unit)
    rounded = round(value, digits)
    if rounded == 0:
        return f"{0:.{digits}f}"
    return f"{rounded:+.{digits}f}".replace("-", "−")


def plain(value: float, unit: str) -> str:
    """A number without a sign, with the digits of its unit."""
    return f"{value:.{decimals_of(unit)}f}"


def direction_words(axis: str, value: float) -> str:
    """Which way a change of ``value`` on ``axis`` goes, or "no change" where it rounds to nothing."""
    words = AXIS_WORDS[AXES.index(axis)]
    if round(value, decimals_of(words.unit)) == 0:
        return "no change"
    return words.positive if value > 0 else words.negative


_PATIENT_DIRECTIONS = ("left", "back", "head"), ("right", "front", "feet")


def patient_directions(patient_position: str) -> dict[str, tuple[str, str]]:
    """For the three translations: towards which side of the patient + and − go, at couch angle zero.

    Parameters
    ----------
    patient_position : str
        DICOM term, e.g. "HFS".

    Raises
    ------
    UnknownPatientPosition
    """
    rotation = fixed_rotation_from_dicom(PatientPosition.parse(patient_position))
    directions: dict[str, tuple[str, str]] = {}
    for axis, row in zip(AXES[:3], rotation, strict=True):
        patient_axis = int(np.argmax(np.abs(row)))
        positive = row[patient_axis] > 0
        plus, minus = (_PATIENT_DIRECTIONS[0 if sign else 1][patient_axis] for sign in (positive, not positive))
        directions[axis] = (plus, minus)
    return directions


def position_rows(position: TableTopPosition) -> list[tuple[AxisWords, float]]:
    """The six axes with their values, for tables."""
    return list(zip(AXIS_WORDS, position.values, strict=True))
