"""How a 3D/3D match proceeds, and what it takes to be accepted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Metric(Enum):
    """What a 3D/3D match makes as good as it can be.

    ``INTENSITY`` is for CT on CT: differences after a factor and smooth shading. ``INFORMATION`` is mutual information,
    for images that order tissues in another way; slower and less exact.
    """

    INTENSITY = "intensity"
    INFORMATION = "mutual information"


@dataclass(frozen=True, slots=True)
class ScanMatchLevel:
    """One resolution of the coarse-to-fine search.

    Attributes
    ----------
    spacing_mm : float
        Voxels are averaged to about this size.
    most_points : int
        So many voxels with edges are compared at most.
    robust_scale : float
        Residuals beyond so many standard deviations count nothing (Tukey weights).
    most_iterations : int
    tolerance_mm : float
        Longest motion of a point at 100 mm in a step at which the level is done.
    """

    spacing_mm: float
    most_points: int
    robust_scale: float
    most_iterations: int
    tolerance_mm: float


DEFAULT_SCAN_LEVELS = (
    ScanMatchLevel(8.0, 5_000, 12.0, 20, 0.3),
    ScanMatchLevel(4.0, 15_000, 8.0, 12, 0.05),
    ScanMatchLevel(2.0, 40_000, 4.7, 20, 0.02),
)


@dataclass(frozen=True, slots=True)
class ScanAcceptanceLimits:
    """What an accepted 3D/3D match must meet. Beyond ``failed_...`` limits a match is not even doubtful.

    Attributes
    ----------
    least_correlation, failed_correlation : float
        Of the two volumes over the edges that were compared, after shading.
    least_detail, failed_detail : float
        Lowest fifth, over parts of about 30 mm, of the correlation in the part.
    second_metric_mm : float
        How far from the result mutual information may have its maximum along any axis.
    parts_mm, parts_deg : float
        How far the result may move when one half of the volume is left out.
    restart_mm : float
        How far from the result, at 80 mm from the middle, a second search from a displaced start may end.
    largest_sigma_mm, largest_sigma_deg : float
        Greatest standard deviation of any axis.
    largest_condition : float
        Of the equations for the pose, a rotation measured by the motion at 80 mm.
    least_overlap : float
        Least part of the compared edges that the scan of the day must show.
    largest_translation_mm, largest_rotation_deg : float
        Results farther from the start are not plausible.
    """

    least_correlation: float = 0.80
    failed_correlation: float = 0.50
    least_detail: float = 0.82
    failed_detail: float = 0.40
    second_metric_mm: float = 0.5
    parts_mm: float = 0.5
    parts_deg: float = 0.5
    restart_mm: float = 0.3
    largest_sigma_mm: float = 0.3
    largest_sigma_deg: float = 0.3
    largest_condition: float = 1000.0
    least_overlap: float = 0.15
    largest_translation_mm: float = 60.0
    largest_rotation_deg: float = 15.0


@dataclass(frozen=True, slots=True)
class ScanMatchSettings:
    """Settings of :func:`~isoalign.registration.match_3d3d`.

    Attributes
    ----------
    levels : tuple of ScanMatchLevel
        Coarse to fine.
    metric : Metric
    body_only : bool
        Leave out what is not part of the patient's body, such as the couch top.
    least_gradient_hu_per_mm : float
        Voxels with a weaker gradient than this are not compared.
    search_mm, search_step_mm : float
        Translations of the first look, to each side and from one to the next.
    wide_search_mm, wide_search_deg : float
        Further starts, tried when the first look leads nowhere.
    restart_mm, restart_deg : float
        Displacement, on every axis, of the start of the control search.
    acceptance : ScanAcceptanceLimits
    """

    levels: tuple[ScanMatchLevel, ...] = DEFAULT_SCAN_LEVELS
    metric: Metric = Metric.INTENSITY
    body_only: bool = True
    least_gradient_hu_per_mm: float = 8.0
    search_mm: float = 40.0
    search_step_mm: float = 10.0
    wide_search_mm: float = 80.0
    wide_search_deg: float = 15.0
    restart_mm: float = 3.0
    restart_deg: float = 2.0
    acceptance: ScanAcceptanceLimits = ScanAcceptanceLimits()


DEFAULT_SCAN_SETTINGS = ScanMatchSettings()
