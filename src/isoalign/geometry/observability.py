"""Corrections of which the images tell only a part.

One radiograph does not tell how far along its beam the patient is displaced, nor small rotations about axes across the
beam: both change the picture by far less than they move the patient. What it does tell are the two shifts across the
beam and the turn about it. A value that is not told is None, never zero: zero would be a measurement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry.corrections import RigidResidual, residual_of
from isoalign.geometry.errors import InvalidGeometry, NotObservable
from isoalign.geometry.frames import Fixed
from isoalign.geometry.pose import Pose

COMPONENTS = ("lateral_mm", "longitudinal_mm", "vertical_mm", "pitch_deg", "roll_deg", "yaw_deg")
"""Shifts along and turns about the X, Y and Z axis of the fixed frame (pitch: X, roll: Y, yaw: Z)."""
ALIGNED = 1e-6
"""Sine of the angle up to which a beam counts as parallel or perpendicular to an axis."""


@dataclass(frozen=True, slots=True)
class ObservedResidual:
    """A residual in the axes of the fixed frame; None: not available.

    The rotation is its rotation vector, whose parts about the axes are independent of each other.
    """

    lateral_mm: float | None
    longitudinal_mm: float | None
    vertical_mm: float | None
    pitch_deg: float | None
    roll_deg: float | None
    yaw_deg: float | None

    @property
    def not_available(self) -> tuple[str, ...]:
        """The components that the images do not tell."""
        return tuple(name for name in COMPONENTS if getattr(self, name) is None)

    def require(self, *components: str) -> tuple[float, ...]:
        """The values of components that must be known.

        Raises
        ------
        NotObservable
            Names those that are not.
        """
        values = [getattr(self, name) for name in components]
        missing = [name for name, value in zip(components, values, strict=True) if value is None]
        if missing:
            raise NotObservable(f"not available from these images: {', '.join(missing)}", missing=missing)
        return tuple(float(value) for value in values)


def observed_in_one_view(error: Pose[Fixed, Fixed], beam_direction: npt.ArrayLike) -> ObservedResidual:
    """What a match to a single radiograph is worth, axis by axis.

    Parameters
    ----------
    error : Pose[Fixed, Fixed]
        The set-up error that the match found, about the isocentre.
    beam_direction : array_like, shape (3,)
        From the source to the isocentre, fixed frame; any length.

    Notes
    -----
    An oblique beam mixes its own direction into two axes: neither of them is available then.
    """
    beam = np.asarray(beam_direction, dtype=np.float64)
    length = float(np.linalg.norm(beam)) if beam.shape == (3,) else float("nan")
    if not np.isfinite(length) or length == 0.0:
        raise InvalidGeometry("a beam direction is a vector of three finite numbers that is not zero")
    along = np.abs(beam / length)
    return _masked(residual_of(error), shifts=along <= ALIGNED, turns=along >= np.sqrt(1.0 - ALIGNED**2))


def observed_completely(error: Pose[Fixed, Fixed]) -> ObservedResidual:
    """All six components, as two views or a volume tell them."""
    return _masked(residual_of(error), shifts=np.full(3, True), turns=np.full(3, True))


def _masked(
    residual: RigidResidual, *, shifts: npt.NDArray[np.bool_], turns: npt.NDArray[np.bool_]
) -> ObservedResidual:
    values = (*residual.translation_mm, *residual.rotation_vector_deg)
    known = (*shifts, *turns)
    return ObservedResidual(*(float(v) if k else None for v, k in zip(values, known, strict=True)))
