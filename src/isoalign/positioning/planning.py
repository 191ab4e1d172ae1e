"""From a match to a couch move."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    PatientPosition,
    Pose,
    Representation,
    TableAngles,
    TableTopPosition,
    TravelLimits,
    apply_correction,
    limit_and_recentre,
    planned_fixed_from_dicom_at,
)
from isoalign.positioning.errors import CorrectionTooLarge, MatchRefused
from isoalign.records import Beam, Correction, Match, Verdict


@dataclass(frozen=True, slots=True)
class CorrectionLimits:
    """Where the couch may go, and the largest set-up error that may be corrected without hands on the patient."""

    travel: TravelLimits
    largest_shift_mm: float
    largest_rotation_deg: float


def setup_position(beam: Beam, default: TableTopPosition) -> TableTopPosition:
    """Where the couch goes before the first images.

    Values that the plan leaves empty are relative to an unknown start (DICOM PS3.3 C.8.8.14.6) and are taken from
    the room's own set-up position.
    """

    def planned(value: float | None, fallback: float) -> float:
        return fallback if value is None else value

    iec = default.in_representation(Representation.IEC_61217)
    return TableTopPosition(
        Representation.IEC_61217,
        planned(beam.table_top_lateral_mm, iec.lateral_mm),
        planned(beam.table_top_longitudinal_mm, iec.longitudinal_mm),
        planned(beam.table_top_vertical_mm, iec.vertical_mm),
        beam.table_top_pitch_deg,
        beam.table_top_roll_deg,
        beam.patient_support_angle_deg,
    )


def planned_pose(position: PatientPosition, beam: Beam) -> Pose[Fixed, DicomPatient]:
    """Where the patient should be for a beam: its isocentre at the machine's, turned by the beam's own couch angles."""
    angles = TableAngles(beam.patient_support_angle_deg, beam.table_top_pitch_deg, beam.table_top_roll_deg)
    return planned_fixed_from_dicom_at(position, beam.isocentre_mm, angles)


def plan_correction(match: Match, start: TableTopPosition, limits: CorrectionLimits) -> Correction:
    """The couch move that takes back the set-up error of an accepted match.

    What the images do not tell (``match.not_available``) is as planned in the match; it moves nothing, and the
    correction names it.

    Parameters
    ----------
    match : Match
        Taken with the couch at ``start``.
    start : TableTopPosition
        The read-back position while the images were taken.

    Raises
    ------
    MatchRefused
        When the verdict is not "accepted": a doubtful match never moves the couch.
    CorrectionTooLarge
        When the set-up error exceeds the site's limits.
    OutOfTravel
        When the couch cannot reach the position.
    """
    require_accepted(match)
    residual = match.residual
    if residual.distance_mm > limits.largest_shift_mm or residual.angle_deg > limits.largest_rotation_deg:
        raise CorrectionTooLarge(
            f"the set-up error is {residual.distance_mm:.1f} mm and {residual.angle_deg:.1f} deg; at most "
            f"{limits.largest_shift_mm:g} mm and {limits.largest_rotation_deg:g} deg are corrected by the couch",
            distance_mm=residual.distance_mm,
            angle_deg=residual.angle_deg,
        )
    desired = apply_correction(start, match.setup_error.inverse())
    limited = limit_and_recentre(desired, limits.travel)
    digest = hashlib.sha256(repr((start.values, desired.values, limited.target.values)).encode()).hexdigest()[:12]
    return Correction(digest, start, desired, limited, match.not_available)


def require_accepted(match: Match) -> None:
    """Raise :class:`MatchRefused`, with the matcher's reasons, unless the match was accepted."""
    if match.verdict is not Verdict.ACCEPTED:
        reasons = "; ".join(match.reasons) or "no reason given"
        raise MatchRefused(
            f"the {match.kind} match {'failed' if match.verdict is Verdict.FAILED else 'is doubtful'}: {reasons}",
            verdict=match.verdict.value,
            reasons=list(match.reasons),
        )
