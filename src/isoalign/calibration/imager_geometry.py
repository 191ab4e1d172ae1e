"""Geometry of one kV imager from the shadows of balls at known places.

A linear solution (direct linear transformation on normalised coordinates) finds source and receptor without any
start; a bundle fit then refines nine parameters for square pixels of known size: the source, and the pose of the
receptor. The distance from source to isocentre hardly shows in such images, so its surveyed value enters with its
uncertainty.

Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., section 7.1 (normalised DLT).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize
from scipy.spatial.transform import Rotation

from isoalign.calibration.errors import TooManyOutliers, Underdetermined
from isoalign.geometry import (
    Array,
    Fixed,
    InvalidGeometry,
    NotARotation,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    XrayImageReceptor,
)
from isoalign.records import frozen_array

PARAMETERS = (
    "source_x_mm",
    "source_y_mm",
    "source_z_mm",
    "receptor_turn_x_deg",
    "receptor_turn_y_deg",
    "receptor_turn_z_deg",
    "receptor_x_mm",
    "receptor_y_mm",
    "receptor_z_mm",
)
LEAST_BALLS = 8
LEAST_DEPTH_RATIO = 0.02
OUTLIER_SIGMAS = 6.0
LARGEST_OUTLIER_PART = 0.2
LEAST_OUTLIER_PX = 0.5
START_REACH_PX = 12.0
SUBSETS = 60


@dataclass(frozen=True, slots=True)
class SurveyedDistance:
    """Source to isocentre as surveyed, mm, with one standard deviation."""

    sad_mm: float
    sigma_mm: float = 0.5

    def __post_init__(self) -> None:
        if not (self.sad_mm > 0 and self.sigma_mm > 0):
            raise Underdetermined("a surveyed distance and its uncertainty must be positive")


@dataclass(frozen=True, slots=True)
class ImagerFit:
    """The geometry of one imager and how well it is known.

    Attributes
    ----------
    geometry : ProjectionGeometry
    covariance : ndarray, shape (9, 9)
        Of :data:`PARAMETERS`, for the scatter that the residuals show.
    balls : ndarray, shape (n,), int
        Which balls of the phantom were used, without outliers.
    residuals_px : ndarray, shape (n, 2)
        Found minus projected, of the balls used.
    outliers : tuple of int
        Balls whose shadows were left out because they do not agree.
    rms_px : float
        Root of the mean squared length of the residuals on one image axis.
    """

    geometry: ProjectionGeometry
    covariance: Array
    balls: npt.NDArray[np.int64]
    residuals_px: Array
    outliers: tuple[int, ...]
    rms_px: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariance", frozen_array(self.covariance, (9, 9), "covariance"))
        object.__setattr__(self, "balls", frozen_array(self.balls, (None,), "balls", np.int64))
        object.__setattr__(self, "residuals_px", frozen_array(self.residuals_px, (None, 2), "residuals"))


def direct_linear_transformation(points_mm: Array, column_row: Array) -> Array:
    """The (3, 4) projection matrix that maps points to pixels best in the algebraic sense.

    Parameters
    ----------
    points_mm : ndarray, shape (n, 3)
        At least 6, not in one plane.
    column_row : ndarray, shape (n, 2)

    Raises
    ------
    Underdetermined
    """
    points, pixels = np.asarray(points_mm, dtype=np.float64), np.asarray(column_row, dtype=np.float64)
    if len(points) < 6:
        raise Underdetermined(f"{len(points)} balls do not determine a projection; at least 6 are needed")
    _require_depth(points)
    to_points, to_pixels = _normaliser(points), _normaliser(pixels)
    world = np.column_stack([points, np.ones(len(points))]) @ to_points.T
    image = np.column_stack([pixels, np.ones(len(pixels))]) @ to_pixels.T
    rows = np.zeros((2 * len(points), 12))
    rows[0::2, 0:4], rows[0::2, 8:12] = world, -image[:, :1] * world
    rows[1::2, 4:8], rows[1::2, 8:12] = world, -image[:, 1:2] * world
    _, singular, vt = np.linalg.svd(rows)
    if singular[-2] < 1e-7 * singular[0]:
        raise Underdetermined("the balls lie so that more than one projection explains their shadows")
    matrix = np.linalg.inv(to_pixels) @ vt[-1].reshape(3, 4) @ to_points
    return np.asarray(matrix / np.linalg.norm(matrix[2, :3]))


def geometry_of_matrix(matrix: Array, grid: PixelGrid) -> ProjectionGeometry:
    """Source and receptor of a projection matrix, for pixels of the grid's spacing (skew is dropped).

    The points that the matrix was made from must lie between source and receptor.
    """
    upper, rotation = linalg.rq(matrix[:, :3])
    upper, rotation = np.asarray(upper, dtype=np.float64), np.asarray(rotation, dtype=np.float64)
    # columns grow along +Xr, rows along -Yr, and what is seen lies along -Zr: the diagonal has the signs + - -
    signs = np.diag(np.sign(np.diag(upper)) * (1.0, -1.0, -1.0))
    if np.linalg.det(signs @ rotation) < 0:
        signs = -signs
    upper, rotation = upper @ signs, signs @ rotation
    upper = upper / -upper[2, 2]
    sid_mm = 0.5 * (abs(upper[0, 0]) * grid.column_spacing_mm + abs(upper[1, 1]) * grid.row_spacing_mm)
    source: Array = np.asarray(-np.linalg.solve(matrix[:, :3], matrix[:, 3]), dtype=np.float64)
    principal = grid.receptor_points_mm(-upper[:2, 2])
    turn = rotation.T
    origin = source - turn @ (principal + np.array([0.0, 0.0, sid_mm]))
    return ProjectionGeometry(source, Pose(Fixed, XrayImageReceptor, turn, origin), grid)


def fit_imager_geometry(
    points_mm: Array,
    column_row: Array,
    grid: PixelGrid,
    surveyed: SurveyedDistance,
    *,
    balls: npt.NDArray[np.int64] | None = None,
    noise_px: float = 0.1,
) -> ImagerFit:
    """Fit source and receptor to ball shadows, and leave out single shadows that do not agree.

    Parameters
    ----------
    points_mm : ndarray, shape (n, 3)
        Ball centres in the fixed frame.
    column_row : ndarray, shape (n, 2)
        Their shadows.
    grid : PixelGrid
        With square pixels.
    surveyed : SurveyedDistance
        From the source to the isocentre.
    balls : ndarray of int, optional
        Names of the balls for the result; 0, 1, ... without.
    noise_px : float
        Expected scatter of a shadow; sets the weight of the survey and the scale of the robust loss.

    Raises
    ------
    Underdetermined, TooManyOutliers
    """
    points, pixels = np.asarray(points_mm, dtype=np.float64), np.asarray(column_row, dtype=np.float64)
    names = np.arange(len(points)) if balls is None else np.asarray(balls, dtype=np.int64)
    if len(points) < LEAST_BALLS:
        raise Underdetermined(
            f"{len(points)} balls were measured; at least {LEAST_BALLS} are needed", balls=len(points)
        )
    _require_depth(points)
    if abs(grid.column_spacing_mm - grid.row_spacing_mm) > 1e-6 * grid.row_spacing_mm:
        raise Underdetermined("the fit needs square pixels")
    geometry = _robust_start(points, pixels, grid)
    keep = np.linalg.norm(pixels - geometry.project(points), axis=1) <= START_REACH_PX
    _require_agreement(keep, names)
    for _ in range(3):
        geometry, _ = _bundle(geometry, points[keep], pixels[keep], surveyed, noise_px, robust=True)
        miss = np.linalg.norm(pixels - geometry.project(points), axis=1)
        limit = max(OUTLIER_SIGMAS * 0.85 * float(np.median(miss)), LEAST_OUTLIER_PX)
        kept = miss <= limit
        if (kept == keep).all():
            break
        keep = kept
        _require_agreement(keep, names)
        _require_depth(points[keep])
    geometry, jacobian = _bundle(geometry, points[keep], pixels[keep], surveyed, noise_px, robust=False)
    residuals = pixels[keep] - geometry.project(points[keep])
    rms = float(np.sqrt(np.mean(residuals**2)))
    freedom = max(residuals.size + 1 - len(PARAMETERS), 1)
    scatter = float((residuals**2).sum() / noise_px**2) / freedom
    covariance = np.asarray(np.linalg.inv(jacobian.T @ jacobian) * max(scatter, 1e-12), dtype=np.float64)
    outliers = tuple(int(name) for name in names[~keep])
    return ImagerFit(geometry, covariance, names[keep], residuals, outliers, rms)


def _robust_start(points: Array, pixels: Array, grid: PixelGrid) -> ProjectionGeometry:
    """The linear solution of the subset that most shadows agree with (always the same subsets)."""
    best: tuple[float, ProjectionGeometry] | None = None
    choose = np.random.default_rng(0)
    everybody = np.arange(len(points))
    subsets = [everybody, *(choose.choice(everybody, size=LEAST_BALLS, replace=False) for _ in range(SUBSETS))]
    for subset in subsets:
        try:
            geometry = geometry_of_matrix(direct_linear_transformation(points[subset], pixels[subset]), grid)
            miss = float(np.median(np.linalg.norm(pixels - geometry.project(points), axis=1)))
        except (Underdetermined, InvalidGeometry, NotARotation, ArithmeticError, np.linalg.LinAlgError):
            continue
        if best is None or miss < best[0]:
            best = (miss, geometry)
    if best is None:
        raise Underdetermined("no projection could be found that explains the shadows")
    return best[1]


def _bundle(
    start: ProjectionGeometry,
    points: Array,
    pixels: Array,
    surveyed: SurveyedDistance,
    noise_px: float,
    *,
    robust: bool,
) -> tuple[ProjectionGeometry, Array]:
    """Nine-parameter fit from a start; the fitted geometry, and the Jacobian of the weighted residuals."""

    def geometry_at(parameters: Array) -> ProjectionGeometry:
        turn = Rotation.from_rotvec(parameters[3:6], degrees=True).as_matrix() @ start.fixed_from_receptor.rotation
        pose = Pose(Fixed, XrayImageReceptor, turn, parameters[6:9])
        return ProjectionGeometry(parameters[:3], pose, start.grid)

    def misfit(parameters: Array) -> Array:
        geometry = geometry_at(parameters)
        shadows = (geometry.project(points) - pixels).ravel() / noise_px
        survey = (float(np.linalg.norm(parameters[:3])) - surveyed.sad_mm) / surveyed.sigma_mm
        return np.append(shadows, survey)

    first = np.concatenate([start.source_mm, np.zeros(3), start.fixed_from_receptor.translation_mm])
    loss: Literal["soft_l1", "linear"] = "soft_l1" if robust else "linear"
    try:
        fit = optimize.least_squares(misfit, first, loss=loss, f_scale=2.0, x_scale="jac", xtol=1e-12, ftol=1e-12)
    except InvalidGeometry as problem:
        raise TooManyOutliers(f"no single projection explains the shadows: {problem}") from problem
    jacobian = cast(Array, fit.jac)
    scaled = jacobian / np.linalg.norm(jacobian, axis=0)
    if not np.isfinite(scaled).all() or np.linalg.cond(scaled) > 1e8:
        raise Underdetermined("the shadows do not determine all nine parameters")
    return geometry_at(cast(Array, fit.x)), jacobian


def _require_agreement(keep: npt.NDArray[np.bool_], names: npt.NDArray[np.int64]) -> None:
    dropped = np.count_nonzero(~keep)
    if dropped > LARGEST_OUTLIER_PART * len(keep) or len(keep) - dropped < LEAST_BALLS:
        raise TooManyOutliers(
            f"{dropped} of {len(keep)} shadows disagree with the rest", outliers=[int(name) for name in names[~keep]]
        )


def _require_depth(points: Array) -> None:
    singular = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if singular[2] < LEAST_DEPTH_RATIO * singular[0]:
        raise Underdetermined("the balls lie in one plane or on one line", singular_values=singular.tolist())


def _normaliser(values: Array) -> Array:
    """The similarity that brings points to mean 0 and root mean square distance sqrt(dimension)."""
    middle = values.mean(axis=0)
    spread = float(np.sqrt(((values - middle) ** 2).sum(axis=1).mean() / values.shape[1]))
    out = np.eye(values.shape[1] + 1)
    out[:-1, :-1] /= spread
    out[:-1, -1] = -middle / spread
    return out
