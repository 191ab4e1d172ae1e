"""The record of one positioning session: what a report shows and an archive keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

import numpy as np
import numpy.typing as npt

from isoalign.geometry import ProjectionGeometry, RigidResidual, TableTopPosition
from isoalign.records.arrays import frozen_array
from isoalign.records.images import Radiograph
from isoalign.records.positioning import Approval, Correction, Match


class Outcome(Enum):
    """How a session ended."""

    ALIGNED = "aligned"
    ALIGNED_IN_PART = "aligned in part"
    """Within tolerance as far as the last images tell; they do not tell everything."""
    OUT_OF_TOLERANCE = "out of tolerance"
    MATCH_REFUSED = "match refused"
    HELD = "held"
    FAILED = "failed"


class Purpose(Enum):
    """Why images were taken."""

    SETUP = "set-up"
    VERIFICATION = "verification"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Largest accepted residual: displacement at the isocentre and the largest rotation about a table axis."""

    distance_mm: float
    angle_deg: float

    def accepts(self, residual: RigidResidual) -> bool:
        """Whether the residual lies within both limits."""
        return residual.distance_mm <= self.distance_mm and residual.largest_axis_deg <= self.angle_deg


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One step of a session: seconds since its start, what happened, how long it took."""

    at_s: float
    step: str
    detail: str = ""
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class InRoomScan:
    """The series that an in-room CT sent; ``slices`` counts its images."""

    frame_of_reference_uid: str
    series_instance_uid: str
    slices: int


@dataclass(frozen=True, slots=True)
class ImagingPass:
    """One kV pair, or one in-room CT, and what was found in it.

    Attributes
    ----------
    radiographs : tuple of Radiograph
        Empty for a pass whose images are a CT alone.
    scan : InRoomScan or None
        The in-room CT that was matched: with the planning CT, or with the radiographs where there are some.
    """

    purpose: Purpose
    radiographs: tuple[Radiograph, ...]
    match: Match
    table_top: TableTopPosition
    scan: InRoomScan | None = None


@dataclass(frozen=True, slots=True)
class LeastClearance:
    """How near couch and patient come to the machine on the way of a motion.

    Attributes
    ----------
    least_mm : float
        No checked pair comes nearer anywhere on the way; a lower bound.
    required_mm : float
        What was required, the way of a stop included.
    parts : (str, str)
        Those that come nearest.
    position : TableTopPosition
        Where they do.
    """

    least_mm: float
    required_mm: float
    parts: tuple[str, str]
    position: TableTopPosition

    def __str__(self) -> str:
        return f"{self.least_mm:.0f} mm between {self.parts[0]} and {self.parts[1]} ({self.required_mm:.0f} required)"


@dataclass(frozen=True, slots=True)
class CouchMotion:
    """A motion of the couch that was planned, and what was known about its way before it began.

    Attributes
    ----------
    target : TableTopPosition
    start : TableTopPosition or None
        None for a motion that was refused.
    approach : str
        "direct" or "unidirectional".
    clearance : LeastClearance or None
        None: not checked, or refused.
    not_checked : tuple of str
        Bodies about which the clearance says nothing.
    refusal : str
        Why nothing moved; empty for a motion that was begun.
    """

    target: TableTopPosition
    approach: str
    start: TableTopPosition | None = None
    clearance: LeastClearance | None = None
    not_checked: tuple[str, ...] = ()
    refusal: str = ""

    @property
    def clearance_in_words(self) -> str:
        """For people; "not checked" without a model of the room."""
        if self.refusal:
            return f"refused: {self.refusal}"
        return "not checked" if self.clearance is None else str(self.clearance)


@dataclass(frozen=True, slots=True)
class ExportedObject:
    """One object sent to the archive."""

    kind: str
    sop_instance_uid: str
    status: str


@dataclass(frozen=True, slots=True)
class ReferenceImage:
    """A radiograph, mostly a DRR, that the plan names for a beam.

    Attributes
    ----------
    values : ndarray, shape (rows, columns), float32
        Grey levels of no unit.
    """

    label: str
    beam_name: str
    geometry: ProjectionGeometry
    values: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", frozen_array(self.values, (None, None), "reference image", np.float32))


@dataclass(frozen=True, slots=True)
class SimulationTruth:
    """What the simulators knew and the room did not, disclosed after the session ended.

    ``hidden`` is the set-up error that was planted, ``remaining`` the true residual after the last move, and
    ``table_top`` how far the true table top was from where the room said last that it was; None when it said nothing.
    """

    hidden: RigidResidual
    remaining: RigidResidual
    seed: int
    table_top: RigidResidual | None = None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """Everything about one session. ``patient_label`` is a pseudonym, never a name."""

    session_id: str
    started_at: datetime
    duration_s: float
    outcome: Outcome
    message: str
    patient_label: str
    plan_label: str
    beam_name: str
    machine: str
    patient_position: str
    tolerance: Tolerance
    passes: tuple[ImagingPass, ...] = ()
    correction: Correction | None = None
    approval: Approval | None = None
    arrived: TableTopPosition | None = None
    exported: tuple[ExportedObject, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    warnings: tuple[str, ...] = ()
    truth: SimulationTruth | None = None
    software: Mapping[str, str] = field(default_factory=dict)
    motions: tuple[CouchMotion, ...] = ()
    reference_images: tuple[ReferenceImage, ...] = ()

    @property
    def setup_pass(self) -> ImagingPass | None:
        """The last images before the correction."""
        return self._last(Purpose.SETUP)

    @property
    def verification_pass(self) -> ImagingPass | None:
        """The last images after a correction."""
        return self._last(Purpose.VERIFICATION)

    def _last(self, purpose: Purpose) -> ImagingPass | None:
        return next((one for one in reversed(self.passes) if one.purpose is purpose), None)
