"""How the axis of a simulated patient support errs: beside the isocentre, leaning, and walking as it turns.

At patient support angle 0 the table top is where the controller says; the errors come with the turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from transforms3d.axangles import axangle2mat

from isoalign.geometry import Array, Fixed, Pose, Representation, TableTopPosition, fixed_from_table, table_top_position


@dataclass(frozen=True, slots=True)
class SupportAxisErrors:
    """Errors of the axis.

    Attributes
    ----------
    offset_mm : (float, float)
        Where the axis truly meets the isocentre's plane, fixed frame.
    lean_deg : (float, float)
        How far it leans towards +X and +Y.
    walk_mm : float
        Radius of a circle on which the axis goes twice around in a turn.
    """

    offset_mm: tuple[float, float] = (0.0, 0.0)
    lean_deg: tuple[float, float] = (0.0, 0.0)
    walk_mm: float = 0.0

    @property
    def is_none(self) -> bool:
        """Whether the support turns about the isocentre."""
        return not (any(self.offset_mm) or any(self.lean_deg) or self.walk_mm)

    def applied_to(self, position: Array) -> Array:
        """The true six values for a table top that the axes put to ``position``, in the order of ``geometry.AXES``."""
        if self.is_none:
            return position
        nominal = TableTopPosition.from_values(Representation.IEC_61217, position)
        unturned = TableTopPosition.from_values(Representation.IEC_61217, [*position[:5], 0.0])
        angle = float(position[5])
        direction = np.array([*np.tan(np.deg2rad(self.lean_deg)), 1.0])
        turn = axangle2mat(direction, np.deg2rad(angle))
        foot = np.array([*self.offset_mm, 0.0])
        twice = np.deg2rad(2.0 * angle)
        walk = self.walk_mm * np.array([np.cos(twice) - 1.0, np.sin(twice), 0.0])
        moved = Pose(Fixed, Fixed, turn, foot - turn @ foot + walk)
        return np.array(table_top_position(moved @ fixed_from_table(unturned), near=nominal).values)
