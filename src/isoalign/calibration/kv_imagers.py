"""Calibrate the kV imagers of a room from one image of a ball-bearing phantom by each.

The result is published only when two gates hold: the residuals on the panel, and how well balls that were kept out
of the fit are found again in space from their shadows. Source and receptor parameters of their own are no gate: they
may be off together without harm.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from isoalign.calibration.ball_detection import detect_balls
from isoalign.calibration.ball_phantom import BallPhantom
from isoalign.calibration.correspondence import assign_balls
from isoalign.calibration.errors import GateFailed, Underdetermined
from isoalign.calibration.imager_geometry import LEAST_BALLS, ImagerFit, SurveyedDistance, fit_imager_geometry
from isoalign.calibration.triangulation import triangulate
from isoalign.geometry import Array, ProjectionGeometry
from isoalign.records import Radiograph, frozen_array

HELD_OUT_EVERY = 4
METHOD = "ball-bearing phantom, normalised DLT and nine-parameter bundle fit"


@dataclass(frozen=True, slots=True)
class KvGates:
    """What a calibration must reach to be published.

    Attributes
    ----------
    rms_px : float
        Residuals of each imager.
    triangulation_mm : float
        Greatest distance of a held-out ball from where it is.
    isocentre_offset_mm : float
        Greatest change of where the isocentre is seen, against the geometry that the room believed, at the isocentre.
        A larger one is rather a phantom out of place than a bent machine.
    """

    rms_px: float = 0.3
    triangulation_mm: float = 0.2
    isocentre_offset_mm: float = 10.0


@dataclass(frozen=True, slots=True)
class ImagerShadows:
    """The ball shadows of one image, in any order, some of them perhaps of something else.

    Attributes
    ----------
    name : str
        The imager.
    believed : ProjectionGeometry
        What the room believes; serves to tell the balls apart.
    column_row : ndarray, shape (n, 2)
        Pixels, zero-based at pixel centres.
    """

    name: str
    believed: ProjectionGeometry
    column_row: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "column_row", frozen_array(self.column_row, (None, 2), f"shadows of {self.name}"))


@dataclass(frozen=True, slots=True)
class ImagerResult:
    """One imager: the fit over all balls, and what the room believed before."""

    name: str
    fit: ImagerFit
    believed: ProjectionGeometry
    shadows: int
    isocentre_offset_px: tuple[float, float]


@dataclass(frozen=True, slots=True)
class KvCalibration:
    """The calibration of the kV imagers of a room.

    Attributes
    ----------
    imagers : tuple of ImagerResult
    held_out : ndarray, shape (n,), int
        Balls that were kept out for the proof.
    triangulation_errors_mm : ndarray, shape (n,)
        How far each of them was found from where it is, with geometries fitted without them.
    inputs_sha256 : str
        Hash of the shadows, the phantom, the believed geometry and the survey.
    """

    imagers: tuple[ImagerResult, ...]
    phantom: BallPhantom
    held_out: npt.NDArray[np.int64]
    triangulation_errors_mm: Array
    gates: KvGates
    inputs_sha256: str
    measured_at: datetime
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "held_out", frozen_array(self.held_out, (None,), "held-out balls", np.int64))
        object.__setattr__(
            self, "triangulation_errors_mm", frozen_array(self.triangulation_errors_mm, (None,), "errors")
        )

    def imager(self, name: str) -> ImagerResult:
        """The result for one imager."""
        for result in self.imagers:
            if result.name == name:
                return result
        raise Underdetermined(f"imager {name!r} was not calibrated; {[one.name for one in self.imagers]} were")

    def failures(self) -> tuple[str, ...]:
        """The gates that do not hold, in plain words; empty when the result may be published."""
        failed = []
        for one in self.imagers:
            if one.fit.rms_px > self.gates.rms_px:
                failed.append(f"imager {one.name}: residual {one.fit.rms_px:.3f} px rms exceeds {self.gates.rms_px} px")
            offset = isocentre_offset_mm(one)
            if offset > self.gates.isocentre_offset_mm:
                failed.append(f"imager {one.name}: the isocentre is seen {offset:.1f} mm from where it was believed")
        left_out = [ball for one in self.imagers for ball in one.fit.outliers]
        failed.extend(
            f"ball {ball} disagrees in more than one image, so the phantom may not be as described"
            for ball in sorted({ball for ball in left_out if left_out.count(ball) > 1})
        )
        worst = float(self.triangulation_errors_mm.max(initial=0.0))
        if len(self.triangulation_errors_mm) == 0:
            failed.append("no held-out ball was seen by two imagers, so nothing proves the result")
        elif worst > self.gates.triangulation_mm:
            failed.append(f"a held-out ball is found {worst:.3f} mm off, more than {self.gates.triangulation_mm} mm")
        return tuple(failed)

    def require_published(self) -> None:
        """Raise :class:`GateFailed` with every gate that does not hold."""
        failed = self.failures()
        if failed:
            raise GateFailed("; ".join(failed), failures=list(failed))


def isocentre_offset_mm(result: ImagerResult) -> float:
    """How far the isocentre is seen from where the room believed, scaled to the isocentre, mm."""
    geometry = result.fit.geometry
    source = geometry.fixed_from_receptor.inverse().apply(geometry.source_mm)
    shrink = float(np.linalg.norm(geometry.source_mm)) / float(source[2])
    return float(np.linalg.norm(result.isocentre_offset_px)) * geometry.grid.column_spacing_mm * shrink


def find_shadows(phantom: BallPhantom, radiograph: Radiograph) -> ImagerShadows:
    """Every ball shadow in a radiograph.

    Raises
    ------
    BallsNotFound
    """
    geometry = radiograph.geometry
    source = geometry.fixed_from_receptor.inverse().apply(geometry.source_mm)
    magnification = float(source[2]) / float(np.linalg.norm(geometry.source_mm))
    radius_px = phantom.radius_mm * magnification / geometry.grid.column_spacing_mm
    found = detect_balls(radiograph.pixels, radius_px, least=LEAST_BALLS)
    return ImagerShadows(radiograph.acquisition.imager, geometry, found.column_row)


def calibrate_kv_imagers(
    phantom: BallPhantom,
    radiographs: Sequence[Radiograph],
    *,
    surveyed: Mapping[str, SurveyedDistance] | None = None,
    gates: KvGates = KvGates(),
    notes: Mapping[str, str] | None = None,
) -> KvCalibration:
    """Geometry of every imager from its image of the phantom; see :func:`calibrate_from_shadows`.

    Parameters
    ----------
    phantom : BallPhantom
    radiographs : sequence of Radiograph
        One for each imager.
    surveyed, gates, notes
        As in :func:`calibrate_from_shadows`.

    Raises
    ------
    BallsNotFound, BallsNotRecognised, Underdetermined, TooManyOutliers
    """
    if not radiographs:
        raise Underdetermined("there is no image to calibrate with")
    digest = hashlib.sha256()
    for radiograph in radiographs:
        digest.update(np.ascontiguousarray(radiograph.pixels).tobytes())
    return calibrate_from_shadows(
        phantom,
        [find_shadows(phantom, radiograph) for radiograph in radiographs],
        max(radiograph.acquisition.acquired_at for radiograph in radiographs),
        surveyed=surveyed,
        gates=gates,
        notes={"pixels_sha256": digest.hexdigest(), **(notes or {})},
    )


def calibrate_from_shadows(
    phantom: BallPhantom,
    images: Sequence[ImagerShadows],
    measured_at: datetime,
    *,
    surveyed: Mapping[str, SurveyedDistance] | None = None,
    gates: KvGates = KvGates(),
    notes: Mapping[str, str] | None = None,
) -> KvCalibration:
    """Geometry of every imager from ball shadows that have been found already.

    Parameters
    ----------
    phantom : BallPhantom
        Aligned at the isocentre. What the phantom is off goes into the result unchanged.
    images : sequence of ImagerShadows
        One for each imager.
    measured_at : datetime
        UTC.
    surveyed : mapping of str to SurveyedDistance, optional
        Imager name -> source to isocentre; without, the believed distance with 0.5 mm.
    gates : KvGates
    notes : mapping of str to str, optional
        Kept in the record: operator, serial numbers.

    Returns
    -------
    KvCalibration
        Call ``require_published`` before use.

    Raises
    ------
    BallsNotRecognised, Underdetermined, TooManyOutliers
    """
    if not images:
        raise Underdetermined("there is no image to calibrate with")
    distances = {one.name: SurveyedDistance(float(np.linalg.norm(one.believed.source_mm))) for one in images}
    distances.update(surveyed or {})
    results: list[ImagerResult] = []
    proofs: list[tuple[ProjectionGeometry, dict[int, Array]]] = []
    held_out = np.arange(HELD_OUT_EVERY // 2, len(phantom.centres_mm), HELD_OUT_EVERY)
    for image in images:
        owner = assign_balls(image.column_row, image.believed.project(phantom.centres_mm), least=LEAST_BALLS)
        known = owner >= 0
        balls, pixels = owner[known], image.column_row[known]
        grid, distance = image.believed.grid, distances[image.name]
        kept = ~np.isin(balls, held_out)
        proof = fit_imager_geometry(phantom.centres_mm[balls[kept]], pixels[kept], grid, distance, balls=balls[kept])
        fit = fit_imager_geometry(phantom.centres_mm[balls], pixels, grid, distance, balls=balls)
        agreeing = {int(ball): at for ball, at in zip(balls, pixels, strict=True) if ball not in fit.outliers}
        proofs.append((proof.geometry, agreeing))
        offset = fit.geometry.project(np.zeros(3)) - image.believed.project(np.zeros(3))
        seen = (float(offset[0]), float(offset[1]))
        results.append(ImagerResult(image.name, fit, image.believed, len(image.column_row), seen))
    proven, errors = _held_out_errors(phantom, held_out, proofs)
    return KvCalibration(
        tuple(results),
        phantom,
        proven,
        errors,
        gates,
        _hash(phantom, images, distances),
        measured_at,
        dict(notes or {}),
    )


def _held_out_errors(
    phantom: BallPhantom, held_out: npt.NDArray[np.int64], proofs: list[tuple[ProjectionGeometry, dict[int, Array]]]
) -> tuple[npt.NDArray[np.int64], Array]:
    proven: list[int] = []
    errors: list[float] = []
    for ball in held_out.tolist():
        seen = [(geometry, pixels[ball][None]) for geometry, pixels in proofs if ball in pixels]
        if len(seen) >= 2:
            found = triangulate([one[0] for one in seen], [one[1] for one in seen])[0]
            proven.append(ball)
            errors.append(float(np.linalg.norm(found - phantom.centres_mm[ball])))
    return np.array(proven, dtype=np.int64), np.array(errors, dtype=np.float64)


def _hash(phantom: BallPhantom, images: Sequence[ImagerShadows], distances: Mapping[str, SurveyedDistance]) -> str:
    digest = hashlib.sha256(json.dumps(phantom.to_dict(), sort_keys=True).encode())
    for image in images:
        digest.update(f"{image.name} {distances[image.name]}".encode())
        digest.update(image.column_row.tobytes())
        digest.update(image.believed.projection_matrix().tobytes())
    return digest.hexdigest()
