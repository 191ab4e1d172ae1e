"""How a ball-bearing phantom truly lies, from images by imagers whose geometry is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize
from scipy.spatial.transform import Rotation

from isoalign.calibration.ball_phantom import BallPhantom
from isoalign.calibration.correspondence import assign_balls
from isoalign.calibration.errors import TooManyOutliers, Underdetermined
from isoalign.calibration.kv_imagers import ImagerShadows
from isoalign.geometry import Array, Fixed, Pose, table_angles_from_rotation

LEAST_BALLS = 8
OUTLIER_SIGMAS = 6.0
LEAST_OUTLIER_PX = 0.5
LARGEST_OUTLIER_PART = 0.2
SIX = ("lateral_mm", "longitudinal_mm", "vertical_mm", "pitch_deg", "roll_deg", "patient_support_angle_deg")


@dataclass(frozen=True, slots=True)
class PhantomPose:
    """A rigid motion of the phantom from where it stands aligned to where it is.

    Attributes
    ----------
    moved : Pose[Fixed, Fixed]
    sigma : ndarray, shape (6,)
        One standard deviation of the six numbers of :func:`six_numbers`, mm and degrees.
    rms_px : float
    left_out : tuple of (str, int)
        Imager and ball of shadows that disagree with all others.
    """

    moved: Pose[Fixed, Fixed]
    sigma: Array
    rms_px: float
    left_out: tuple[tuple[str, int], ...]


def six_numbers(moved: Pose[Fixed, Fixed]) -> Array:
    """Shift of the isocentre (mm) and pitch, roll and support angle (degrees) of a motion, IEC 61217, shape (6,)."""
    angles = table_angles_from_rotation(moved.rotation)
    turned = (angles.pitch_deg, angles.roll_deg, angles.patient_support_angle_deg)
    return np.array([*moved.translation_mm, *turned])


def fit_phantom_pose(phantom: BallPhantom, images: Sequence[ImagerShadows]) -> PhantomPose:
    """Where the phantom is, from its shadows in two images or more.

    Raises
    ------
    BallsNotRecognised, Underdetermined, TooManyOutliers
    """
    if len(images) < 2:
        raise Underdetermined(f"the six numbers of a phantom need two images, not {len(images)}")
    seen = []
    for image in images:
        owner = assign_balls(image.column_row, image.believed.project(phantom.centres_mm), least=LEAST_BALLS)
        known = owner >= 0
        seen.append((image, owner[known], image.column_row[known]))
    owners = np.concatenate([balls for _, balls, _ in seen])
    names = [image.name for image, balls, _ in seen for _ in balls]

    def residuals(values: Array) -> Array:
        moved = _pose(values)
        return np.concatenate(
            [image.believed.project(moved.apply(phantom.centres_mm[balls])) - pixels for image, balls, pixels in seen]
        )

    used = np.ones(len(owners), dtype=bool)

    def used_only(values: Array) -> Array:
        return np.asarray(residuals(values)[used].ravel())

    rough = optimize.least_squares(used_only, np.zeros(6), loss="soft_l1", f_scale=0.2)
    distance = np.linalg.norm(residuals(rough.x), axis=1)
    spread = float(np.median(distance)) / 1.18
    used = distance <= max(OUTLIER_SIGMAS * spread, LEAST_OUTLIER_PX)
    if (~used).mean() > LARGEST_OUTLIER_PART:
        raise TooManyOutliers(f"{int((~used).sum())} of {used.size} shadows disagree with the others")
    fit = optimize.least_squares(used_only, rough.x)
    left = residuals(fit.x)[used]
    variance = float((left**2).sum()) / max(1, left.size - 6)
    design = np.asarray(fit.jac)
    covariance = np.linalg.inv(design.T @ design) * max(variance, 1e-6)
    outliers = tuple((names[number], int(owners[number])) for number in np.nonzero(~used)[0])
    return PhantomPose(_pose(fit.x), np.sqrt(np.diag(covariance)), float(np.sqrt((left**2).mean())), outliers)


def _pose(values: Array) -> Pose[Fixed, Fixed]:
    return Pose(Fixed, Fixed, Rotation.from_rotvec(values[3:], degrees=True).as_matrix(), values[:3])
