"""A room to begin with: plausible shapes of a proton room, the measures of no real machine.

Whoever treats must replace every number by the measures of the own room. Origin and axes of each part are those of its
frame: gantry +Z towards the source of the beam, table top surface at Z = 0 with its head end at Y = 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from isoalign.geometry.clearance.convex_parts import ConvexPart
from isoalign.geometry.clearance.room_model import RoomModel, table_against_room
from isoalign.geometry.frames import Fixed, Gantry, TableTop
from isoalign.geometry.imager_axis import ImagerAxis
from isoalign.geometry.pose import Array

DEFAULT_IMAGERS: Mapping[str, ImagerAxis] = {
    "A": ImagerAxis(0.0, 1000.0, 1500.0),
    "B": ImagerAxis(90.0, 1000.0, 1500.0),
}
"""As in the example configuration of a room."""

REQUIRED_CLEARANCE_MM = 20.0
UNCERTAINTY_MM = 5.0

_CORNERS = np.array([[x, y, z] for x in (0.0, 1.0) for y in (0.0, 1.0) for z in (0.0, 1.0)])


def box(low_mm: npt.ArrayLike, high_mm: npt.ArrayLike) -> Array:
    """Corners of a box, shape (8, 3), mm."""
    low, high = np.asarray(low_mm, dtype=np.float64), np.asarray(high_mm, dtype=np.float64)
    return low + _CORNERS * (high - low)


def around_beam(radius_mm: float, low_mm: float, high_mm: float, *, sides: int = 24) -> Array:
    """Corners of a prism about Z that encloses a cylinder of the radius, shape (2 sides, 3), mm."""
    angles = 2 * np.pi * np.arange(sides) / sides
    rim = radius_mm / np.cos(np.pi / sides) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([np.column_stack([rim, np.full(sides, height)]) for height in (low_mm, high_mm)])


def couch_top() -> ConvexPart:
    """A plate of 530 x 2000 x 50 mm, narrower at the head end and with its lower edges slanted."""
    outline = [(-190.0, 0.0), (190.0, 0.0), (-265.0, -180.0), (265.0, -180.0), (-265.0, -2000.0), (265.0, -2000.0)]
    upper = [(x, y, 0.0) for x, y in outline]
    middle = [(x, y, -20.0) for x, y in outline]
    lower = [(0.85 * x, y if y == 0.0 else 0.99 * y, -50.0) for x, y in outline]
    return ConvexPart("couch top", TableTop, np.array(upper + middle + lower))


def nozzle() -> ConvexPart:
    """The housing about the beam, 650 to 2000 mm from the isocentre, narrower towards it."""
    wide = box((-480.0, -420.0, 900.0), (480.0, 420.0, 2000.0))
    narrow = box((-330.0, -300.0, 650.0), (330.0, 300.0, 660.0))
    return ConvexPart("nozzle", Gantry, np.concatenate([wide, narrow]))


def snout() -> ConvexPart:
    """A snout of 320 mm diameter whose end is 600 mm from the isocentre when retracted (extension 0)."""
    return ConvexPart("snout", Gantry, around_beam(160.0, 600.0, 1100.0), slides=True)


def imager_parts(imagers: Mapping[str, ImagerAxis] = DEFAULT_IMAGERS) -> tuple[ConvexPart, ...]:
    """A source box and a panel box of 460 x 360 x 60 mm per imager, fixed in the room at its angle.

    The housing of a source reaches 150 mm from the focal spot towards the isocentre, that of a panel 15 mm.
    """
    parts: list[ConvexPart] = []
    for name, axis in imagers.items():
        fixed_from_gantry = axis.fixed_from_gantry()
        source = box((-150.0, -200.0, axis.sad_mm - 150.0), (150.0, 200.0, axis.sad_mm + 250.0))
        panel = axis.gantry_from_receptor().apply(box((-180.0, -230.0, -45.0), (180.0, 230.0, 15.0)))
        parts.append(ConvexPart(f"kV source {name}", Fixed, fixed_from_gantry.apply(source)))
        parts.append(ConvexPart(f"kV panel {name}", Fixed, fixed_from_gantry.apply(panel)))
    return tuple(parts)


def default_room(
    patient: Sequence[ConvexPart],
    *,
    imagers: Mapping[str, ImagerAxis] = DEFAULT_IMAGERS,
    required_clearance_mm: float = REQUIRED_CLEARANCE_MM,
    uncertainty_mm: float = UNCERTAINTY_MM,
) -> RoomModel:
    """The example room with a patient from :func:`~isoalign.geometry.clearance.convex_parts.patient_hull`.

    Raises
    ------
    ClearanceUnknown
        When the patient has no parts.
    """
    parts = (couch_top(), *patient, nozzle(), snout(), *imager_parts(imagers))
    return RoomModel(parts, table_against_room(parts), required_clearance_mm, uncertainty_mm)


def default_room_without_patient(
    *,
    imagers: Mapping[str, ImagerAxis] = DEFAULT_IMAGERS,
    required_clearance_mm: float = REQUIRED_CLEARANCE_MM,
    uncertainty_mm: float = UNCERTAINTY_MM,
) -> RoomModel:
    """The example room with an empty couch; every result names the patient's pairs as unchecked."""
    parts = (couch_top(), nozzle(), snout(), *imager_parts(imagers))
    pairs = table_against_room(parts)
    return RoomModel(parts, pairs, required_clearance_mm, uncertainty_mm, patient_unchecked=True)
