"""Planned markers as the planning CT shows them: a person draws a point, the CT tells the centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from isoalign.registration.errors import WrongFrameOfReference
from isoalign.registration.marker_ct import CtMarkers
from isoalign.registration.marker_planned import PlannedMarkers

DRAWN_WITHIN_MM = 3.0
"""A drawn point lies within so much of the marker that it stands for."""


@dataclass(frozen=True, slots=True)
class RefinedMarkers:
    """Planned markers at the centres that the CT shows.

    Attributes
    ----------
    markers : PlannedMarkers
        In the order in which they were drawn.
    not_in_ct : tuple of str
        Those near whose point the CT shows no marker; they are where they were drawn.
    """

    markers: PlannedMarkers
    not_in_ct: tuple[str, ...]


def refined_markers(drawn: PlannedMarkers, in_ct: CtMarkers, *, reach_mm: float = DRAWN_WITHIN_MM) -> RefinedMarkers:
    """Put every drawn marker at the nearest centre of the CT; no centre is given to two.

    Parameters
    ----------
    drawn : PlannedMarkers
        Of the structure set.
    in_ct : CtMarkers
        Found in the planning CT.
    reach_mm : float
        Farthest distance from a drawn point to its centre.

    Raises
    ------
    WrongFrameOfReference
        When CT and structure set do not belong together.
    """
    if drawn.frame_of_reference_uid != in_ct.frame_of_reference_uid:
        raise WrongFrameOfReference(
            "the structure set with the markers belongs to another frame of reference than the CT",
            structure_set=drawn.frame_of_reference_uid,
            expected=in_ct.frame_of_reference_uid,
        )
    away = np.linalg.norm(drawn.points_mm[:, None] - in_ct.centres_mm[None], axis=2)
    # beyond reach all distances are alike: no marker gives up its own centre so that another is less far from one
    own, found = linear_sum_assignment(np.minimum(away, reach_mm))
    points = drawn.points_mm.copy()
    seen = np.zeros(len(drawn), np.bool_)
    for marker, centre in zip(own, found, strict=True):
        if away[marker, centre] < reach_mm:
            points[marker], seen[marker] = in_ct.centres_mm[centre], True
    missing = tuple(name for name, is_seen in zip(drawn.names, seen, strict=True) if not is_seen)
    return RefinedMarkers(PlannedMarkers(drawn.names, points, drawn.frame_of_reference_uid), missing)
