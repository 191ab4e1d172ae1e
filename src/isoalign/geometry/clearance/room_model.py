"""What is checked for clearance: parts, pairs of bodies, how much room they need, and what is left unchecked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from isoalign.geometry.clearance.convex_parts import PATIENT, ConvexPart
from isoalign.geometry.clearance.errors import ClearanceUnknown
from isoalign.geometry.errors import InvalidGeometry
from isoalign.geometry.frames import TableTop
from isoalign.geometry.pose import Array

BodyPair = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class MachineState:
    """Where everything stands that is not the couch; each value a number, or one per sample of a path.

    Attributes
    ----------
    gantry_angle_deg : float or ndarray, shape (N,)
        IEC gantry angle, continuous.
    snout_extension_mm : float or ndarray, shape (N,), optional
        Way of the snout towards the isocentre from where its part was drawn. Needed when a part slides.
    arm_angles_deg : mapping of str to float or ndarray, shape (N,)
        Angle of each imager arm that carries a part.
    """

    gantry_angle_deg: float | Array
    snout_extension_mm: float | Array | None = None
    arm_angles_deg: Mapping[str, float | Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named: dict[str, float | Array | None] = {
            "gantry angle": self.gantry_angle_deg,
            "snout extension": self.snout_extension_mm,
            **{f"angle of arm {arm}": angle for arm, angle in self.arm_angles_deg.items()},
        }
        for name, value in named.items():
            if value is not None and not np.isfinite(np.asarray(value, dtype=np.float64)).all():
                raise InvalidGeometry(f"the {name} is not finite")
        object.__setattr__(self, "arm_angles_deg", dict(self.arm_angles_deg))


def table_against_room(parts: Sequence[ConvexPart]) -> tuple[BodyPair, ...]:
    """Every body that the table top carries, with every body that it does not carry."""
    carried = dict.fromkeys(part.body for part in parts if part.frame is TableTop)
    others = dict.fromkeys(part.body for part in parts if part.frame is not TableTop)
    return tuple((first, second) for first in carried for second in others)


@dataclass(frozen=True, slots=True, eq=False)
class RoomModel:
    """Convex parts and the pairs of bodies that must keep clear of each other.

    Attributes
    ----------
    parts : tuple of ConvexPart
        With different names.
    pairs : tuple of (str, str)
        Bodies to be checked against each other; see :func:`table_against_room`.
    required_clearance_mm : float
        Smallest accepted clearance.
    uncertainty_mm : float
        Subtracted from every distance: how far surfaces may lie outside their parts (set-up, model, breathing).
    patient_unchecked : bool
        The patient is left out on purpose; every result then names the patient's pairs as unchecked.

    Raises
    ------
    ClearanceUnknown
        Without parts or pairs, when a pair names a body that has no part, a part belongs to no pair, or there is no
        patient and that was not said.
    InvalidGeometry
        When numbers or pairs contradict each other.
    """

    parts: tuple[ConvexPart, ...]
    pairs: tuple[BodyPair, ...]
    required_clearance_mm: float
    uncertainty_mm: float
    patient_unchecked: bool = False

    def __post_init__(self) -> None:
        for name in ("required_clearance_mm", "uncertainty_mm"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InvalidGeometry(f"{name} must be finite and not negative, not {getattr(self, name)}")
        object.__setattr__(self, "parts", tuple(self.parts))
        object.__setattr__(self, "pairs", tuple((first, second) for first, second in self.pairs))
        if not self.parts or not self.pairs:
            raise ClearanceUnknown("a room model without parts or without pairs cannot say that anything is clear")
        names = [part.name for part in self.parts]
        if len(set(names)) < len(names):
            raise InvalidGeometry(f"parts must have different names: {sorted(names)}")
        self._require_known_bodies()
        has_patient = any(part.body == PATIENT and part.frame is TableTop for part in self.parts)
        if not has_patient and not self.patient_unchecked:
            raise ClearanceUnknown("the room model has no patient hull on the table top", missing=PATIENT)
        if has_patient and self.patient_unchecked:
            raise InvalidGeometry("the patient is in the room model and is said to be unchecked")

    def _require_known_bodies(self) -> None:
        bodies = {part.body for part in self.parts}
        unknown = sorted({body for pair in self.pairs for body in pair} - bodies)
        if unknown:
            raise ClearanceUnknown(f"pairs name bodies that have no part: {', '.join(unknown)}", missing=unknown)
        idle = sorted(bodies - {body for pair in self.pairs for body in pair})
        if idle:
            raise ClearanceUnknown(f"bodies that are in no pair would never be checked: {', '.join(idle)}", idle=idle)
        if len({frozenset(pair) for pair in self.pairs}) < len(self.pairs):
            raise InvalidGeometry(f"a pair is listed twice: {self.pairs}")
        for first, second in self.pairs:
            carriers = {(part.frame, part.arm, part.slides) for part in self.parts if part.body in {first, second}}
            if len(carriers) < 2:
                raise InvalidGeometry(f"{first} and {second} are fixed to each other: there is nothing to check")

    @property
    def part_pairs(self) -> tuple[tuple[int, int], ...]:
        """Indices of the parts that are checked against each other."""
        of_body: dict[str, list[int]] = {}
        for index, part in enumerate(self.parts):
            of_body.setdefault(part.body, []).append(index)
        return tuple((a, b) for first, second in self.pairs for a in of_body[first] for b in of_body[second])

    @property
    def unchecked(self) -> tuple[BodyPair, ...]:
        """Pairs of a body that the table top carries and one that it does not carry that are not checked."""
        possible = table_against_room(self.parts)
        if self.patient_unchecked:
            machine = dict.fromkeys(part.body for part in self.parts if part.frame is not TableTop)
            possible += tuple((PATIENT, other) for other in machine)
        checked = {frozenset(pair) for pair in self.pairs}
        return tuple(pair for pair in possible if frozenset(pair) not in checked)
