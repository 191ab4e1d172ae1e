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


@dataclass(frozen=True, slots=True)
class Correction:
    """A couch move that takes back a set-up error, as far as the couch can reach."""

    correction_id: str
    start: TableTopPosition
    desired: TableTopPosition
    limited: LimitedCorrection

    @property
    def target(self) -> TableTopPosition:
        """Where the couch will go, IEC 61217."""
        return self.limited.target


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
