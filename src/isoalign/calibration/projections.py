"""A displacement in the room from what single projections show of it.

Each projection tells two parts of the displacement, across its beam. All are solved together by least squares, never
averaged axis by axis: an axis that a projection does not see takes no part, and an axis that no projection sees is not
available, never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isoalign.calibration.errors import Underdetermined
from isoalign.calibration.linear_fit import solve_robust
from isoalign.geometry import Array, NotObservable, ProjectionGeometry, rotation_z
from isoalign.records import frozen_array

LARGEST_GAIN = 8.0
"""A direction that is known this many times worse than one projection's own is not seen: two beams 10 degrees apart."""
UNSEEN_PART = 0.02
"""An axis of which more than this part lies along an unseen direction is not available."""
LEAST_SIGMA_MM = 0.02
AXIS_NAMES = ("lateral", "longitudinal", "vertical")


@dataclass(frozen=True, slots=True)
class ProjectedOffset:
    """Where one projection shows a point, against where it shows another.

    Attributes
    ----------
    label : str
    across : ndarray, shape (2, 3)
        The two directions across the beam, unit vectors in the frame in which the displacement is wanted.
    offset_mm : ndarray, shape (2,)
        Along them, in the plane of the isocentre.
    """

    label: str
    across: Array
    offset_mm: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "across", frozen_array(self.across, (2, 3), "directions across a beam"))
        object.__setattr__(self, "offset_mm", frozen_array(self.offset_mm, (2,), "offset in a projection"))


@dataclass(frozen=True, slots=True)
class Displacement:
    """A displacement in the fixed frame, as far as the projections tell it.

    Attributes
    ----------
    mm : tuple of float or None
        Along X, Y and Z; None: not available.
    sigma_mm : tuple of float or None
        One standard deviation of each, by the scatter of the projections.
    covariance : ndarray, shape (3, 3)
        mm2; NaN for what is not available.
    residuals_mm : ndarray, shape (n, 2)
        What each projection shows beyond it; also of those that were left out.
    rms_mm : float
        Of the residuals that were used.
    labels, outliers : tuple of str
        All projections, and those that disagree with all others and were left out.
    """

    mm: tuple[float | None, float | None, float | None]
    sigma_mm: tuple[float | None, float | None, float | None]
    covariance: Array
    residuals_mm: Array
    rms_mm: float
    labels: tuple[str, ...]
    outliers: tuple[str, ...]

    @property
    def not_available(self) -> tuple[str, ...]:
        """Names of the axes that no projection shows."""
        return tuple(name for name, value in zip(AXIS_NAMES, self.mm, strict=True) if value is None)

    def require_complete(self) -> Array:
        """All three components, shape (3,), mm.

        Raises
        ------
        NotObservable
        """
        if self.not_available:
            raise NotObservable(
                f"not available from these images: {', '.join(self.not_available)}", missing=list(self.not_available)
            )
        return np.array([value for value in self.mm if value is not None])


def offset_in_projection(
    label: str, geometry: ProjectionGeometry, from_px: Array, to_px: Array, *, patient_support_angle_deg: float = 0.0
) -> ProjectedOffset:
    """The step from one pixel to another, in the plane of the isocentre.

    Parameters
    ----------
    label : str
    geometry : ProjectionGeometry
    from_px, to_px : ndarray, shape (2,)
        (column, row).
    patient_support_angle_deg : float
        Where the displacement rides on the couch: it is then that of couch angle 0.
    """
    receptor_from_fixed = geometry.fixed_from_receptor.inverse()
    source = receptor_from_fixed.apply(geometry.source_mm)
    shrink = float(np.linalg.norm(geometry.source_mm)) / float(source[2])
    ends = geometry.grid.receptor_points_mm(np.stack([from_px, to_px]))
    across = receptor_from_fixed.rotation[:2] @ rotation_z(patient_support_angle_deg)
    return ProjectedOffset(label, across, shrink * (ends[1] - ends[0])[:2])


def displacement_from_projections(offsets: Sequence[ProjectedOffset]) -> Displacement:
    """The displacement that explains the projections best; single ones that disagree with all others are named.

    Raises
    ------
    Underdetermined, TooManyOutliers
    """
    if not offsets:
        raise Underdetermined("there is no projection to find a displacement with")
    labels = tuple(one.label for one in offsets)
    design = np.vstack([one.across for one in offsets])
    values = np.concatenate([one.offset_mm for one in offsets])
    groups = np.repeat(np.arange(len(offsets)), 2)
    excluded: tuple[int, ...] = ()
    while True:
        # without an outlier there may be a direction less to be seen
        inside = ~np.isin(groups, excluded)
        seen, unseen = _directions(design[inside])
        fit = solve_robust(design @ seen, values, groups, labels, least_sigma=LEAST_SIGMA_MM, complete=False)
        if fit.outliers == excluded:
            break
        excluded = fit.outliers
    found = seen @ fit.parameters
    covariance = seen @ fit.covariance @ seen.T
    hidden = np.linalg.norm(unseen, axis=1) > UNSEEN_PART
    covariance[hidden, :] = covariance[:, hidden] = np.nan
    residuals = (values - design @ found).reshape(-1, 2)
    used = residuals[~np.isin(np.arange(len(offsets)), fit.outliers)]
    return Displacement(
        _told(found, hidden),
        _told(np.sqrt(np.diag(covariance)), hidden),
        covariance,
        residuals,
        float(np.sqrt(np.mean(used**2))),
        labels,
        tuple(labels[one] for one in fit.outliers),
    )


def _directions(design: Array) -> tuple[Array, Array]:
    """Orthonormal directions that the projections show, and those that they do not, as columns."""
    strength, vectors = np.linalg.eigh(design.T @ design)
    is_seen = strength > 1.0 / LARGEST_GAIN**2
    return vectors[:, is_seen], vectors[:, ~is_seen]


def _told(values: Array, hidden: Array) -> tuple[float | None, float | None, float | None]:
    x, y, z = (None if gone else float(value) for value, gone in zip(values, hidden, strict=True))
    return x, y, z
