"""What a positioning session finds, decides and does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import numpy as np
import numpy.typing as npt

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    LimitedCorrection,
    Pose,
    RigidResidual,
    TableTopPosition,
    residual_of,
)
from isoalign.records.arrays import frozen_array


class Verdict(Enum):
    """How far a match may be trusted. Only an accepted match may move the couch."""

    ACCEPTED = "accepted"
    DOUBTFUL = "doubtful"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ViewQuality:
    """How well one radiograph agrees with the DRR at the matched pose.

    ``drr`` is the simulated image (line integrals, float32, rows x columns) and ``line_integrals`` the radiograph
    turned into line integrals on the same grid; both are for pictures.
    """

    imager: str
    gradient_correlation_start: float
    gradient_correlation_end: float
    drr_start: npt.NDArray[np.float32]
    drr_end: npt.NDArray[np.float32]
    line_integrals: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ("drr_start", "drr_end", "line_integrals"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), (None, None), name, np.float32))


def components_in_words(names: tuple[str, ...]) -> str:
    """Components of a set-up error, such as ``pitch_deg``, for people."""
    return ", ".join(name.rsplit("_", 1)[0] for name in names)


class MarkerState(Enum):
    """What became of a planned marker."""

    MATCHED = "matched"
    MIGRATED = "migrated"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class MarkerShadow:
    """A planned marker in one radiograph; places are (column, row), zero at the centre of the first pixel.

    Attributes
    ----------
    planned_px : (float, float)
        Where it would be seen if the patient lay as planned.
    expected_px : (float, float)
        Where the match puts it.
    found_px : (float, float) or None
        Where it was found.
    """

    imager: str
    planned_px: tuple[float, float]
    expected_px: tuple[float, float]
    found_px: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class FoundMarker:
    """A planned marker after a marker match.

    Attributes
    ----------
    planned_mm : ndarray, shape (3,)
        As refined in the planning CT, DICOM patient frame.
    distance_mm : float or None
        From where the match puts it to where its two rays pass each other; None for a missing one.
    gap_mm : float or None
        Distance between the two rays.
    """

    name: str
    state: MarkerState
    planned_mm: npt.NDArray[np.float64]
    shadows: tuple[MarkerShadow, ...]
    distance_mm: float | None = None
    gap_mm: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "planned_mm", frozen_array(self.planned_mm, (3,), f"place of marker {self.name!r}"))


@dataclass(frozen=True, slots=True)
class Match:
    """Where the patient is, found from images.

    Attributes
    ----------
    planned : Pose[Fixed, DicomPatient]
        Where the patient should be.
    found : Pose[Fixed, DicomPatient]
        Where the images show the patient.
    kind : str
        "2D/3D", "2D/2D", "3D/3D" or "marker".
    sigma_mm, sigma_deg : ndarray, shape (3,)
        One standard deviation of the set-up error's translation and rotation in the fixed frame, from the fit.
    not_available : tuple of str
        Components of the set-up error that the images do not tell, as
        :data:`isoalign.geometry.observability.COMPONENTS` names them; ``found`` has the planned values there.
    markers : tuple of FoundMarker
        Of a marker match, in the order of the plan.
    """

    kind: str
    planned: Pose[Fixed, DicomPatient]
    found: Pose[Fixed, DicomPatient]
    verdict: Verdict
    reasons: tuple[str, ...]
    views: tuple[ViewQuality, ...]
    iterations: int
    converged: bool
    duration_s: float
    sigma_mm: npt.NDArray[np.float64]
    sigma_deg: npt.NDArray[np.float64]
    not_available: tuple[str, ...] = ()
    markers: tuple[FoundMarker, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma_mm", frozen_array(self.sigma_mm, (3,), "sigma_mm"))
        object.__setattr__(self, "sigma_deg", frozen_array(self.sigma_deg, (3,), "sigma_deg"))

    @property
    def setup_error(self) -> Pose[Fixed, Fixed]:
        """The rigid map, in the fixed frame, from the planned to the found place of the patient."""
        return self.found @ self.planned.inverse()

    @property
    def residual(self) -> RigidResidual:
        """The set-up error in numbers, whatever the verdict."""
        return residual_of(self.setup_error)

    @property
    def trusted_residual(self) -> RigidResidual | None:
        """The set-up error in numbers; None unless the match was accepted: then no position has been found."""
        return self.residual if self.verdict is Verdict.ACCEPTED else None

    @property
    def largest_told_angle_deg(self) -> float | None:
        """The largest rotation about a table axis among those that the images tell; None where they tell none."""
        residual = self.residual
        values = {
            "pitch_deg": residual.pitch_deg,
            "roll_deg": residual.roll_deg,
            "yaw_deg": residual.patient_support_angle_deg,
        }
        return max((abs(value) for name, value in values.items() if name not in self.not_available), default=None)

    @property
    def untold_in_words(self) -> str:
        """What the images do not tell, for people; empty where they tell everything."""
        return components_in_words(self.not_available)


@dataclass(frozen=True, slots=True)
class Correction:
    """A couch move that takes back a set-up error, as far as the couch can reach.

    ``not_corrected`` names the components of the set-up error that the images did not tell; they stay as they are.
    """

    correction_id: str
    start: TableTopPosition
    desired: TableTopPosition
    limited: LimitedCorrection
    not_corrected: tuple[str, ...] = ()

    @property
    def target(self) -> TableTopPosition:
        """Where the couch will go, IEC 61217."""
        return self.limited.target

    @property
    def not_corrected_in_words(self) -> str:
        """What stays as it is because the images did not tell it, for people."""
        return components_in_words(self.not_corrected)


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved which correction, and when."""

    correction_id: str
    user: str
    approved_at: datetime


@dataclass(frozen=True, slots=True)
class AxisState:
    """One couch axis as its two encoders report it."""

    axis: str
    primary: float
    secondary: float
    velocity: float
    unit: str
