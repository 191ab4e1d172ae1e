"""The 2D/3D match of a single radiograph: what one view shows is told, what it does not show is marked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from isoalign.clock import Clock, SystemClock
from isoalign.geometry import Array, ProjectionGeometry, residual_of
from isoalign.records import Radiograph, Verdict, ViewQuality, frozen_array
from isoalign.registration.match_run import Cancelled, MatchRun, Progress
from isoalign.registration.prepared import PreparedVolume
from isoalign.registration.quality import condition_of
from isoalign.registration.search import PatientPose, Refined
from isoalign.registration.settings import DEFAULT_SETTINGS, MatchSettings
from isoalign.registration.verdict import judge
from isoalign.registration.views import PixelMask, usable_view

AXIS_NAMES = (
    "along the receptor's X",
    "along the receptor's Y",
    "along the line of sight",
    "about the receptor's X",
    "about the receptor's Y",
    "about the line of sight",
)
DEPTH = 2
OUT_OF_PLANE = (3, 4)


@dataclass(frozen=True, slots=True)
class OneViewMatch:
    """Where one radiograph shows the patient, as far as one radiograph can.

    It is not a :class:`~isoalign.records.Match` and cannot move the couch: a motion along the line of sight changes
    the size of the shadow by a thousandth for each mm, which a panel that stands elsewhere does as well.

    Attributes
    ----------
    imager : str
    planned : Pose[Fixed, DicomPatient]
    best_fit : Pose[Fixed, DicomPatient]
        The pose that explains the image best, for pictures. Along marked axes it is a guess.
    axes : ndarray, shape (3, 3)
        The receptor's X and Y and the line of sight towards the source, as columns in the fixed frame.
    motion : ndarray, shape (6,)
        The set-up error along (mm) and about (degrees) those axes; NaN along marked axes.
    sigma : ndarray, shape (6,)
        One standard deviation of each, from the fit, marked axes too.
    covariance : ndarray, shape (6, 6)
        Along and about those axes.
    condition : float
        Of the equations without the depth.
    """

    imager: str
    planned: PatientPose
    best_fit: PatientPose
    axes: Array
    motion: Array
    sigma: Array
    covariance: Array
    condition: float
    verdict: Verdict
    reasons: tuple[str, ...]
    view: ViewQuality
    iterations: int
    converged: bool
    duration_s: float

    def __post_init__(self) -> None:
        for name, shape in (("axes", (3, 3)), ("sigma", (6,)), ("covariance", (6, 6))):
            object.__setattr__(self, name, frozen_array(getattr(self, name), shape, name))
        motion = np.array(self.motion, dtype=np.float64)
        motion.setflags(write=False)
        object.__setattr__(self, "motion", motion)

    @property
    def marked(self) -> tuple[str, ...]:
        """The axes that this view does not show."""
        return tuple(name for name, value in zip(AXIS_NAMES, self.motion, strict=True) if np.isnan(value))


def match_one_view(
    prepared: PreparedVolume,
    radiograph: Radiograph,
    planned: PatientPose,
    *,
    region: PixelMask | None = None,
    settings: MatchSettings = DEFAULT_SETTINGS,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
    clock: Clock | None = None,
) -> OneViewMatch:
    """Find what one radiograph tells of the pose of the patient.

    Parameters
    ----------
    prepared : PreparedVolume
        From :func:`~isoalign.registration.prepare`.
    radiograph : Radiograph
    planned : Pose[Fixed, DicomPatient]
        Where the patient should be; the search starts there.
    region : ndarray, shape (rows, columns), bool, optional
        The pixels that may be used.
    settings, progress, cancelled, clock
        As for :func:`~isoalign.registration.match_2d3d`.

    Raises
    ------
    BlankRadiograph, EmptyRegion, NothingInView, MatchCancelled

    Notes
    -----
    The depth is part of the fit, so that it bends nothing else, but it is always marked; rotations out of the plane are
    marked when their standard deviation is too large. All checks of the match of two views are made but those that
    need another view.
    """
    clock = clock or SystemClock()
    begun_s = clock.monotonic_s()
    axes = view_axes(radiograph.geometry)
    views = (usable_view(radiograph, region),)
    run = MatchRun(prepared, views, planned, settings, progress, cancelled, axes)
    run.say(0.02, "radiograph checked")
    run.require_patient_in_view()
    refined, iterations, wide = run.search()
    result = _judged(run, refined)
    if result.verdict is not Verdict.ACCEPTED and not wide:
        other, more, _ = run.search(wide=True)
        iterations += more
        if not other.strayed and (refined.strayed or other.similarity > refined.similarity):
            result = _judged(run, other)
    run.say(1.0, f"match {result.verdict.value}")
    return replace(result, iterations=iterations, duration_s=clock.monotonic_s() - begun_s)


def view_axes(geometry: ProjectionGeometry) -> Array:
    """The receptor's X and Y and the line of sight towards the source, as columns in the fixed frame."""
    receptor = geometry.fixed_from_receptor.rotation
    sight = geometry.source_mm / np.linalg.norm(geometry.source_mm)
    first = receptor[:, 0] - (receptor[:, 0] @ sight) * sight
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(sight, first), sight], axis=1)


def _judged(run: MatchRun, refined: Refined) -> OneViewMatch:
    """Everything about a pose that was found, in the axes of the view."""
    assert run.axes is not None
    figures, pictures = run.measure(refined)
    turn = np.kron(np.eye(2), run.axes.T)
    covariance = turn @ run.covariance(refined) @ turn.T
    sigma = np.sqrt(np.diag(covariance))
    limits = run.settings.acceptance
    marked = np.zeros(6, np.bool_)
    marked[DEPTH] = True
    for axis in OUT_OF_PLANE:
        marked[axis] = sigma[axis] > limits.largest_sigma_deg
    shown = np.where(marked, 0.0, sigma)
    condition = condition_of(turn @ refined.matrix @ turn.T, np.eye(6)[:, ~marked])
    verdict, reasons = judge(
        replace(figures, sigma_mm=shown[:3], sigma_deg=shown[3:], condition=condition), run.settings.acceptance
    )
    found = residual_of(refined.pose @ run.planned.inverse())
    motion = turn @ np.concatenate([found.translation_mm, found.rotation_vector_deg])
    motion[marked] = np.nan
    return OneViewMatch(
        imager=run.views[0].imager,
        planned=run.planned,
        best_fit=refined.pose,
        axes=run.axes,
        motion=motion,
        sigma=sigma,
        covariance=covariance,
        condition=condition,
        verdict=verdict,
        reasons=reasons,
        view=pictures[0],
        iterations=0,
        converged=figures.converged,
        duration_s=0.0,
    )
