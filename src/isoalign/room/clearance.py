"""What couch and patient must keep clear of: the room's settings for the device daemon, and the patient's hull.

The hull is made of the outer contour of the structure set, or of the CT where none was drawn, and moves with the table
top. It knows nothing of immobilisation, nor of the patient beyond the ends of the CT.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isoalign.devices.clearance_config import EXAMPLE_ROOM, parse_clearance
from isoalign.devices.errors import BadDeviceConfig
from isoalign.geometry import Array, DicomPatient, Fixed, Pose, TableTopPosition
from isoalign.imaging import BODY_HOUNSFIELD, body_outline_mm
from isoalign.records import StructureSet, Volume
from isoalign.room.errors import SettingsInvalid, SettingsMissing
from isoalign.room.settings import ClearanceSettings

NOT_MODELLED = ("immobilisation", "the patient beyond the ends of the CT")
"""What no hull contains; said with every clearance."""
EXTERNAL = "EXTERNAL"
SLAB_MM = 50.0
MOST_SLABS = 24
"""Slabs of a long patient become longer, so that a search stays short."""


def example_clearance() -> ClearanceSettings:
    """The example room with gantry and snout at rest, for simulated rooms."""
    return ClearanceSettings(model=EXAMPLE_ROOM, gantry_angle_deg=0.0, snout_extension_mm=0.0)


def daemon_clearance(settings: ClearanceSettings | None) -> dict[str, Any] | None:
    """The section ``clearance`` of the daemon's configuration; None where nothing is checked.

    Raises
    ------
    SettingsMissing
        When the file of the model cannot be read.
    SettingsInvalid
        When it does not describe a room; names the key.
    """
    if settings is None:
        return None
    section: dict[str, Any] = {
        "room": EXAMPLE_ROOM if settings.model == EXAMPLE_ROOM else _room_file(Path(settings.model)),
        "required_mm": settings.required_mm,
        "step_mm": settings.step_mm,
        "timeout_s": settings.timeout_s,
        "machine": {
            "gantry_angle_deg": settings.gantry_angle_deg,
            "snout_extension_mm": settings.snout_extension_mm,
            "arm_angles_deg": dict(settings.arm_angles_deg),
        },
    }
    try:
        parse_clearance(section, "clearance")
    except BadDeviceConfig as error:
        raise SettingsInvalid(f"clearance.model {settings.model}: {error.message}") from error
    return section


def _room_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsMissing(f"clearance.model: cannot read {path}: {error}") from error
    try:
        room = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise SettingsInvalid(f"clearance.model: {path} is neither JSON nor TOML: {error}") from error
    if not isinstance(room, dict):
        raise SettingsInvalid(f"clearance.model: {path} does not describe a room: it must be an object with parts")
    # the patient is placed when one is loaded; until then every motion says that nobody is checked
    return {"patient_unchecked": True, **room}


@dataclass(frozen=True, slots=True)
class PatientSurface:
    """Points of a patient's outer surface.

    Attributes
    ----------
    points_mm : ndarray, shape (N, 3)
        DICOM patient frame.
    warning : str
        What the user should know about where they come from; empty for an outer contour.
    """

    points_mm: Array
    warning: str = ""

    def parts(self, fixed_from_dicom: Pose[Fixed, DicomPatient], position: TableTopPosition) -> list[dict[str, Any]]:
        """The patient as convex bodies on the table top, as the device daemon takes them.

        Parameters
        ----------
        fixed_from_dicom : Pose[Fixed, DicomPatient]
            Where the patient is, as planned or as found.
        position : TableTopPosition
            Where the table top is meanwhile.

        Raises
        ------
        InvalidPart
            When the points are no patient.
        """
        from isoalign.devices.clearance_room import parts_description
        from isoalign.geometry.clearance import patient_hull, with_fewer_corners

        slab_mm = max(SLAB_MM, float(np.ptp(self.points_mm[:, 2])) / MOST_SLABS)
        slabs = patient_hull(self.points_mm, fixed_from_dicom, position, slab_mm=slab_mm)
        return parts_description([with_fewer_corners(slab) for slab in slabs])


def patient_surface(structure_set: StructureSet, volume: Volume) -> PatientSurface:
    """The outer contours of a structure set (RT ROI type EXTERNAL), or the body in the CT where it has none.

    Raises
    ------
    EmptyVolume
        When there is no contour and the CT holds no body.
    """
    drawn = [
        contour
        for structure in structure_set.structures
        if structure.interpreted_type.upper() == EXTERNAL
        for contour in structure.contours_mm
    ]
    if drawn:
        return PatientSurface(np.concatenate(drawn))
    return PatientSurface(
        body_outline_mm(volume),
        f"clearance: the structure set has no outer contour; the body is that of the CT above {BODY_HOUNSFIELD:g} HU",
    )
