"""How a 2D/3D match proceeds, and what it takes to be accepted."""

from __future__ import annotations

from dataclasses import dataclass

from isoalign.records import InvalidRecord


@dataclass(frozen=True, slots=True)
class MatchLevel:
    """One resolution of the coarse-to-fine search.

    Attributes
    ----------
    pixel_mm : float
        Pixel size at the isocentre; the radiographs are binned by the nearest whole factor.
    volume_level : int
        Which level of the attenuation volume is projected (0 is the finest).
    window_mm : float
        Half width, at the isocentre, of the window whose mean is taken off image and DRR (a pyramid's profile).
    local_contrast : float
        Weight of the image-wide contrast against the local one when image and DRR are scaled to each other: infinite
        for one contrast per image, 1 for about equal say. Where finite, the DRR is also bent to the image's response.
    robust_scale : float
        Residuals of so many standard deviations count half (Cauchy weights).
    relaxation : float
        Factor on the Gauss-Newton step; reweighted steps are too short by nature.
    most_iterations : int
    tolerance : float
        Largest step in any parameter, mm or degrees, at which the level is done.
    """

    pixel_mm: float
    volume_level: int
    window_mm: float
    local_contrast: float
    robust_scale: float
    relaxation: float
    most_iterations: int
    tolerance: float


DEFAULT_LEVELS = (
    MatchLevel(4.0, 2, 80.0, float("inf"), 4.0, 1.3, 25, 0.10),
    MatchLevel(2.0, 1, 20.0, 1.0, 3.0, 1.6, 12, 0.05),
    MatchLevel(1.0, 0, 10.0, 1.0, 2.5, 1.6, 10, 0.04),
)


@dataclass(frozen=True, slots=True)
class AcceptanceLimits:
    """What an accepted match must meet. Beyond ``failed_...`` limits a match is not even doubtful.

    Attributes
    ----------
    least_gradient_correlation : float
        In every view, between radiograph and DRR at the found pose.
    failed_gradient_correlation : float
        Below this in any view the match has failed.
    least_detail_agreement, failed_detail_agreement : float
        In every view, the median correlation of small parts of radiograph and DRR; see
        :func:`~isoalign.registration.quality.detail_agreement`.
    largest_loss : float
        How much lower than at the planned pose the correlation of a view may be.
    largest_translation_mm, largest_rotation_deg : float
        Set-up errors beyond these, along or about any fixed axis, are not plausible.
    view_distance_mm, view_angle_deg : float
        How far each view alone, free in its own plane, may move away from the common solution.
    restart_distance_mm, restart_angle_deg : float
        How far from the solution a second search from a displaced start may end.
    opinion_distance_mm : float
        How far from the solution, across the line of sight, the gradient correlation of any view has its maximum.
    opinion_angle_deg : float
        The same for rotations, of all views together.
    largest_sigma_mm, largest_sigma_deg : float
        Greatest standard deviation of any axis, from the fit.
    largest_condition : float
        Of the equations, with rotations measured in mm at 80 mm from the isocentre.
    least_coverage : float
        Least part of a radiograph's pixels that sees the CT and is used.
    """

    least_gradient_correlation: float = 0.60
    failed_gradient_correlation: float = 0.40
    least_detail_agreement: float = 0.85
    failed_detail_agreement: float = 0.70
    largest_loss: float = 0.02
    largest_translation_mm: float = 30.0
    largest_rotation_deg: float = 8.0
    view_distance_mm: float = 0.3
    view_angle_deg: float = 0.3
    restart_distance_mm: float = 0.3
    restart_angle_deg: float = 0.3
    opinion_distance_mm: float = 1.0
    opinion_angle_deg: float = 1.0
    largest_sigma_mm: float = 0.2
    largest_sigma_deg: float = 0.2
    largest_condition: float = 1000.0
    least_coverage: float = 0.10


@dataclass(frozen=True, slots=True)
class MatchSettings:
    """Settings of :func:`~isoalign.registration.match_2d3d`.

    Attributes
    ----------
    levels : tuple of MatchLevel
        Coarse to fine.
    acceptance : AcceptanceLimits
    search_below : float
        When the first level ends with a similarity below this in any view, other starts are tried as well.
    search_range_mm, search_turn_deg : float
        How far from the planned pose other starts lie.
    restart_mm, restart_deg : float
        Displacement, on every axis, of the start of the control search.
    opinion_reach, opinion_step : float
        So far to each side the second metric is measured, in such steps, mm and degrees. The limits of acceptance must
        lie well within.
    give_up_mm, give_up_deg : float
        A search that strays so far from the planned pose is stopped.
    picture_pixels : int
        Greatest number of rows or columns of the pictures in the result.

    Raises
    ------
    InvalidRecord
        When a limit on the second metric lies beyond its reach: such a limit could not be missed.
    """

    levels: tuple[MatchLevel, ...] = DEFAULT_LEVELS
    acceptance: AcceptanceLimits = AcceptanceLimits()
    search_below: float = 0.75
    search_range_mm: float = 40.0
    search_turn_deg: float = 8.0
    restart_mm: float = 2.0
    restart_deg: float = 1.5
    opinion_reach: float = 3.0
    opinion_step: float = 1.0
    give_up_mm: float = 80.0
    give_up_deg: float = 35.0
    picture_pixels: int = 400

    def __post_init__(self) -> None:
        limit = max(self.acceptance.opinion_distance_mm, self.acceptance.opinion_angle_deg)
        if not 0.0 < self.opinion_step <= limit < self.opinion_reach:
            raise InvalidRecord(
                f"the second opinion is measured over {self.opinion_reach:g} mm or degrees in steps of "
                f"{self.opinion_step:g}: a limit of {limit:g} must lie between"
            )


DEFAULT_SETTINGS = MatchSettings()
