"""A correction found at one isocentre, applied to another."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from isoalign.geometry.corrections import RigidResidual, residual_of
from isoalign.geometry.errors import InvalidGeometry, IsocentreTooFar
from isoalign.geometry.frames import Fixed
from isoalign.geometry.pose import Pose


def transferred_to(error: Pose[Fixed, Fixed], point_mm: npt.ArrayLike) -> RigidResidual:
    """The same rigid error described about another point of the fixed frame (mm)."""
    point = np.asarray(point_mm, dtype=np.float64)
    moved = error.apply(point) - point
    return residual_of(Pose(Fixed, Fixed, error.rotation, moved))


def correction_at_isocentre(
    correction: Pose[Fixed, Fixed], offset_mm: npt.ArrayLike, *, within_mm: float
) -> Pose[Fixed, Fixed]:
    """The correction to apply when another isocentre of the plan is at the machine's.

    The patient is a rigid body that lies wrong by one rigid map, whichever isocentre is treated; what differs is the
    point about which the couch is set. Moving the table so that the other isocentre comes to the machine's shifts the
    patient by ``-offset``, and the map goes with it.

    Parameters
    ----------
    correction : Pose[Fixed, Fixed]
        Found with the first isocentre at the machine's.
    offset_mm : array_like, shape (3,)
        From the first isocentre to the other one, fixed frame, mm, as planned with the couch angles of the match.
    within_mm : float
        Beyond this distance a correction is not applied (statement, section 2.2.4.1: user configurable).

    Raises
    ------
    IsocentreTooFar, InvalidGeometry
    """
    offset = np.asarray(offset_mm, dtype=np.float64)
    if offset.shape != (3,) or not np.isfinite(offset).all():
        raise InvalidGeometry("the offset between two isocentres is three finite coordinates in mm")
    if not (math.isfinite(within_mm) and within_mm >= 0):
        raise InvalidGeometry(f"the distance within which a correction is applied must be given in mm, not {within_mm}")
    distance_mm = float(np.linalg.norm(offset))
    if distance_mm > within_mm:
        raise IsocentreTooFar(
            f"the isocentres are {distance_mm:.1f} mm apart; a correction is applied within {within_mm:g} mm",
            distance_mm=distance_mm,
            within_mm=within_mm,
        )
    return Pose(Fixed, Fixed, correction.rotation, correction.apply(offset) - offset)
