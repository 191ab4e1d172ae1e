"""Ball-bearing phantoms: steel balls at known places on a cylinder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isoalign.calibration.errors import InvalidPhantom
from isoalign.geometry import Array
from isoalign.records import InvalidRecord, frozen_array

BALL_COUNT = 24
CYLINDER_RADIUS_MM = 70.0
HALF_LENGTH_MM = 92.0
TURN_DEG = 145.0
FIRST_TURN_DEG = 30.0
BALL_RADIUS_MM = 1.5


@dataclass(frozen=True, slots=True)
class BallPhantom:
    """Where the balls of a phantom are when it stands aligned at the isocentre.

    Attributes
    ----------
    name : str
    centres_mm : ndarray, shape (n, 3)
        Ball centres in the fixed frame with the phantom's marks on the room's lasers, mm.
    radius_mm : float
    placement_sigma_mm : float
        One standard deviation of a ball's place on each axis.
    """

    name: str
    centres_mm: Array
    radius_mm: float
    placement_sigma_mm: float = 0.02

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "centres_mm", frozen_array(self.centres_mm, (None, 3), "ball centres"))
        except InvalidRecord as problem:
            raise InvalidPhantom(f"phantom {self.name!r}: {problem}") from problem
        if not self.radius_mm > 0 or not self.placement_sigma_mm >= 0:
            raise InvalidPhantom(f"phantom {self.name!r}: radius must be positive and placement_sigma_mm not negative")
        if len(self.centres_mm) < 2:
            raise InvalidPhantom(f"phantom {self.name!r} has {len(self.centres_mm)} balls")

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, in the form that :func:`load_phantom` reads."""
        return {
            "name": self.name,
            "radius_mm": self.radius_mm,
            "placement_sigma_mm": self.placement_sigma_mm,
            "centres_mm": self.centres_mm.tolist(),
        }


def built_in_phantom() -> BallPhantom:
    """24 steel balls of 3 mm on a cylinder along the couch, 140 mm wide and 184 mm long.

    Each ball has its own height along the cylinder and stands 145 degrees around it from the one before, so that no
    two shadows touch from above or from the side, and no mirror image or rotation of the pattern is the pattern.
    """
    number = np.arange(BALL_COUNT)
    around = np.deg2rad(FIRST_TURN_DEG + TURN_DEG * number)
    along = np.linspace(-HALF_LENGTH_MM, HALF_LENGTH_MM, BALL_COUNT)
    centres = np.column_stack([CYLINDER_RADIUS_MM * np.cos(around), along, CYLINDER_RADIUS_MM * np.sin(around)])
    return BallPhantom("isoalign-24", np.round(centres, 3), BALL_RADIUS_MM)


def load_phantom(path: str | Path) -> BallPhantom:
    """Read a phantom from a JSON file with ``name``, ``radius_mm``, ``placement_sigma_mm`` and ``centres_mm``.

    Raises
    ------
    InvalidPhantom
    """
    file = Path(path)
    try:
        return phantom_from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as problem:
        raise InvalidPhantom(f"phantom file {file.name}: {problem}") from problem


def phantom_from_dict(raw: Any) -> BallPhantom:
    """The phantom of :meth:`BallPhantom.to_dict`.

    Raises
    ------
    InvalidPhantom
    """
    try:
        unknown = sorted(set(raw) - {"name", "radius_mm", "placement_sigma_mm", "centres_mm"})
        if unknown:
            raise ValueError(f"unknown keys {unknown}")
        return BallPhantom(
            str(raw["name"]),
            np.asarray(raw["centres_mm"], dtype=np.float64),
            float(raw["radius_mm"]),
            float(raw.get("placement_sigma_mm", 0.02)),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as problem:
        raise InvalidPhantom(f"the phantom cannot be read: {problem!r}") from problem
