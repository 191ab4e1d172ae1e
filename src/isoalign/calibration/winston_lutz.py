"""Winston-Lutz: a ball at the treatment isocentre, the field around it, from several beam directions.

What is found is where the ball is, seen from the middle of the field: the step back is the move that brings the ball,
and whatever lies on the couch with it, to the treatment isocentre. Images with the couch turned take no part in that,
since the couch need not turn about the isocentre; they tell the axis of the couch.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

import numpy as np
from scipy import stats

from isoalign.calibration.beam_image import BallInField, BeamImage, find_ball_in_field
from isoalign.calibration.couch_walkout import CouchWalkout, WalkoutMeasurements, fit_couch_walkout
from isoalign.calibration.errors import (
    CouchAnglesContradicted,
    InvalidCalibrationRecord,
    TooManyOutliers,
    Underdetermined,
)
from isoalign.calibration.projections import (
    Displacement,
    ProjectedOffset,
    displacement_from_projections,
    offset_in_projection,
)
from isoalign.geometry import Array, ProjectionGeometry, nearest_equivalent_deg

METHOD = "Winston-Lutz, weighted least squares over projections"
ANGLE_TOLERANCE_DEG = 1.0
FROM_ABOVE = 0.9
"""Cosine of the angle between beam and vertical from which an image tells both horizontal directions."""
CONTRADICTION = 0.01
BALL_DIAMETER_MM = 5.0


class CouchAngles(Enum):
    """How the couch angles of the images are meant."""

    AS_TAGGED = "as-tagged"
    REVERSED = "reversed"


class ImageVerdict(Enum):
    """What the ball's way over the couch angles says about their sense."""

    TOO_FEW = "The images are too few to tell."
    CONFIRM = "The images confirm the tags"
    CONTRADICT = "The images contradict the tags"
    DO_NOT_TELL = "The images do not tell"


@dataclass(frozen=True, slots=True)
class AngleAdvice:
    """What was noticed about the couch angles of the images.

    Attributes
    ----------
    text : str
        In plain words.
    verdict : ImageVerdict
    labels : tuple of str
        Images that it is about.
    rms_as_tagged_mm, rms_reversed_mm : float or None
        What a rigid couch leaves of the images with either sense of rotation; None where too few images tell.
    """

    text: str
    verdict: ImageVerdict
    labels: tuple[str, ...]
    rms_as_tagged_mm: float | None
    rms_reversed_mm: float | None


@dataclass(frozen=True, slots=True)
class WinstonLutz:
    """The result.

    Attributes
    ----------
    ball : Displacement
        From the treatment isocentre to the ball with the couch at angle 0, fixed frame.
    ball_if_couch_is_ideal : Displacement
        The same from all images, as if the couch turned about the isocentre; for comparison with other software.
    couch : CouchWalkout or None
        From the images with the beam from above, when there are five couch angles or more.
    couch_refused : str
        Why there is no ``couch``.
    advice : tuple of AngleAdvice
    """

    images: tuple[BeamImage, ...]
    found: tuple[BallInField, ...]
    ball: Displacement
    ball_if_couch_is_ideal: Displacement
    couch: CouchWalkout | None
    couch_refused: str
    advice: tuple[AngleAdvice, ...]
    ball_diameter_mm: float
    inputs_sha256: str = field(default="")

    def measured_at(self) -> datetime:
        """When the last image was taken.

        Raises
        ------
        InvalidCalibrationRecord
            When no image says so.
        """
        moments = [image.taken_at for image in self.images if image.taken_at is not None]
        if not moments:
            raise InvalidCalibrationRecord(
                "no image says when it was taken, so no record can say from when on it is valid",
                hint="Use images with Content Date and Content Time, or Acquisition Date and Time.",
            )
        return max(moments)

    def offsets_mm(self) -> Array:
        """From the field to the ball in each image, right and up as seen from the source, shape (n, 2)."""
        pairs = zip(self.images, self.found, strict=True)
        return np.array([_offset(image, found, 0.0).offset_mm for image, found in pairs])

    def result(self) -> dict[str, Any]:
        """The result as JSON types, with None for what is not available."""
        return {
            "ball_mm": list(self.ball.mm),
            "sigma_mm": list(self.ball.sigma_mm),
            "not_available": list(self.ball.not_available),
            "ball_if_couch_is_ideal_mm": list(self.ball_if_couch_is_ideal.mm),
            "ball_diameter_mm": self.ball_diameter_mm,
            "couch": None if self.couch is None else self.couch.result(),
            "couch_refused": self.couch_refused,
            "advice": [one.text for one in self.advice],
            "outliers": list(self.ball.outliers),
        }


def analyse_winston_lutz(
    images: Sequence[BeamImage],
    *,
    ball_diameter_mm: float = BALL_DIAMETER_MM,
    couch_angles: CouchAngles | None = None,
) -> WinstonLutz:
    """Where the ball is against the treatment isocentre, and how the couch turns.

    Parameters
    ----------
    images : sequence of BeamImage
    ball_diameter_mm : float
    couch_angles : CouchAngles, optional
        Without it the angles count as tagged, and images that clearly contradict them are refused.

    Raises
    ------
    Underdetermined, TooManyOutliers, FieldNotFound, BallsNotFound
    CouchAnglesContradicted
        When the ball's way over the couch angles says that they are meant the other way around.
    """
    if not images:
        raise Underdetermined("there is no image to analyse")
    found = tuple(find_ball_in_field(image, 0.5 * ball_diameter_mm) for image in images)
    sense = -1.0 if couch_angles is CouchAngles.REVERSED else 1.0
    advice = angle_advice(images, found)
    if couch_angles is None:
        _require_consistent(advice)
    at_zero = [(image, one) for image, one in zip(images, found, strict=True) if _is_at_zero(image)]
    if not at_zero:
        raise Underdetermined("no image has the couch at angle 0, so the ball's place there is not told")
    couch, refused = _couch(images, found, sense)
    digest = hashlib.sha256()
    for image in images:
        digest.update(np.ascontiguousarray(image.pixels).tobytes())
        digest.update(repr((image.label, image.patient_support_angle_deg, image.geometry.source_mm.tolist())).encode())
    return WinstonLutz(
        tuple(images),
        found,
        displacement_from_projections([_offset(image, one, 0.0) for image, one in at_zero]),
        displacement_from_projections([_offset(image, one, sense) for image, one in zip(images, found, strict=True)]),
        couch,
        refused,
        advice,
        ball_diameter_mm,
        digest.hexdigest(),
    )


def angle_advice(images: Sequence[BeamImage], found: Sequence[BallInField]) -> tuple[AngleAdvice, ...]:
    """What names and images say about the sense of the couch angles."""
    named = [(image, angle) for image in images if (angle := _named_couch_angle(image.label)) is not None]
    turned = [(image, angle) for image, angle in named if not _same(angle, -angle)]
    opposite = [image.label for image, angle in turned if _same(image.patient_support_angle_deg, -angle)]
    other = [
        image.label
        for image, angle in named
        if not _same(image.patient_support_angle_deg, angle) and image.label not in opposite
    ]
    left = {sense: _rigid_misfit(images, found, sense) for sense in (1.0, -1.0)}
    straight, reverse = (None if one is None else one[0] for one in (left[1.0], left[-1.0]))
    verdict = _verdict(left[1.0], left[-1.0])
    said = verdict.value
    if verdict is not ImageVerdict.TOO_FEW:
        said += (
            f": a rigid couch leaves {straight:.2f} mm rms with the tagged angles, {reverse:.2f} mm with opposite ones."
        )
    advice = []
    if opposite:
        advice.append(
            AngleAdvice(
                f"{len(opposite)} of {len(turned)} images with the couch turned are named by angles that run opposite "
                f"to their Patient Support Angle ({', '.join(opposite)}): the names follow a scale on which the couch "
                "turns the other way around than in IEC 61217. The tag is used; check which of the two the machine "
                f"means. {said}",
                verdict,
                tuple(opposite),
                straight,
                reverse,
            )
        )
    if other:
        text = f"the couch angle in the name of {', '.join(other)} is neither the tagged one nor its opposite. {said}"
        advice.append(AngleAdvice(text, verdict, tuple(other), straight, reverse))
    if not advice and verdict is ImageVerdict.CONTRADICT:
        advice.append(AngleAdvice(said, verdict, (), straight, reverse))
    return tuple(advice)


def imager_to_treatment(
    ball: Displacement, views: Sequence[tuple[str, ProjectionGeometry, Array]]
) -> dict[str, Displacement]:
    """How far each imager's isocentre is from the treatment isocentre.

    Parameters
    ----------
    ball : Displacement
        Where the ball is, seen from the treatment isocentre.
    views : sequence of (str, ProjectionGeometry, ndarray)
        Name of the imager, the geometry that the room believes, and where the ball is in its image, (column, row).

    Returns
    -------
    dict of str to Displacement
        From the treatment isocentre to where the imager's geometry has its own; the direction along the beam of an
        imager with one view is not available. Take it off what the imager finds to get treatment coordinates.

    Raises
    ------
    NotObservable
        When the treatment beam does not tell the ball's place completely.
    """
    place = ball.require_complete()
    by_imager: dict[str, list[ProjectedOffset]] = {}
    for number, (name, geometry, ball_px) in enumerate(views):
        seen = offset_in_projection(f"{name} {number}", geometry, geometry.project(np.zeros(3)), ball_px)
        # the imager sees the ball at its true place less the imager's own displacement
        off = seen.across @ place - seen.offset_mm
        by_imager.setdefault(name, []).append(ProjectedOffset(seen.label, seen.across, off))
    return {name: displacement_from_projections(offsets) for name, offsets in by_imager.items()}


def walkout_measurements(
    images: Sequence[BeamImage], found: Sequence[BallInField], sense: float = 1.0
) -> WalkoutMeasurements:
    """The ball over the couch angles, from the images whose beam comes from above; heights are not available."""
    angles, points, labels = [], [], []
    for image, one in zip(images, found, strict=True):
        offset = _offset(image, one, 0.0)
        horizontal = offset.across[:, :2]
        if abs(np.linalg.det(horizontal)) < FROM_ABOVE:
            continue
        angles.append(sense * nearest_equivalent_deg(image.patient_support_angle_deg, 0.0))
        points.append([*np.linalg.solve(horizontal, offset.offset_mm), np.nan])
        labels.append(image.label)
    return WalkoutMeasurements.of_one_ball(angles, np.array(points).reshape(-1, 3), labels)


def _offset(image: BeamImage, found: BallInField, sense: float) -> ProjectedOffset:
    angle = sense * image.patient_support_angle_deg
    return offset_in_projection(
        image.label, image.geometry, found.field_px, found.ball_px, patient_support_angle_deg=angle
    )


def _couch(images: Sequence[BeamImage], found: Sequence[BallInField], sense: float) -> tuple[CouchWalkout | None, str]:
    try:
        return fit_couch_walkout(walkout_measurements(images, found, sense)), ""
    except (Underdetermined, TooManyOutliers) as error:
        return None, error.message


def _rigid_misfit(images: Sequence[BeamImage], found: Sequence[BallInField], sense: float) -> tuple[float, int] | None:
    """What a couch that turns rigidly about a free axis leaves (rms, mm), and its degrees of freedom."""
    try:
        fit = fit_couch_walkout(walkout_measurements(images, found, sense))
    except (Underdetermined, TooManyOutliers):
        return None
    count = len(fit.residuals_mm)
    return fit.rigid_rms_mm, max(2 * count - 4, 1)


def _verdict(straight: tuple[float, int] | None, reverse: tuple[float, int] | None) -> ImageVerdict:
    if straight is None or reverse is None:
        return ImageVerdict.TOO_FEW
    if _clearly_less(reverse, straight):
        return ImageVerdict.CONTRADICT
    return ImageVerdict.CONFIRM if _clearly_less(straight, reverse) else ImageVerdict.DO_NOT_TELL


def _clearly_less(one: tuple[float, int], other: tuple[float, int]) -> bool:
    ratio = (other[0] / max(one[0], 1e-3)) ** 2
    return bool(stats.f.sf(ratio, other[1], one[1]) < CONTRADICTION)


def _require_consistent(advice: Sequence[AngleAdvice]) -> None:
    for one in advice:
        if one.verdict is ImageVerdict.CONTRADICT:
            raise CouchAnglesContradicted(
                one.text, rms_as_tagged_mm=one.rms_as_tagged_mm, rms_reversed_mm=one.rms_reversed_mm
            )


def _named_couch_angle(label: str) -> float | None:
    """The couch angle in a file's name: couch45, table_315, psa-90."""
    match = re.search(r"(?:couch|table|support|psa)[ _-]?(\d+(?:\.\d+)?)", label, flags=re.IGNORECASE)
    return None if match is None else float(match[1])


def _is_at_zero(image: BeamImage) -> bool:
    return _same(image.patient_support_angle_deg, 0.0)


def _same(one_deg: float, other_deg: float) -> bool:
    return abs(nearest_equivalent_deg(one_deg - other_deg, 0.0)) <= ANGLE_TOLERANCE_DEG
