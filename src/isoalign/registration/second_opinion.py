"""A second opinion on a match: where a metric that the search never looked at would put the patient.

The gradient correlation of radiograph and CT is measured with true projections at poses moved to either side along
the motions that the images show, uphill over a reach well beyond what is accepted. Where it still rises at the end of
the reach, or is flat, the maximum counts as being as far away as the reach. The projections are bent to the imager's
response at the pose: the strong edges of metal, which no image shows in full, would pull the maximum to one side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from isoalign.geometry import Array, DicomPatient, Fixed, Pose
from isoalign.imaging import AttenuationGrid, project_grid
from isoalign.registration.quality import edge_view, in_plane_motions
from isoalign.registration.search import moved
from isoalign.registration.views import LevelView

PatientPose = Pose[Fixed, DicomPatient]


@dataclass(frozen=True, slots=True)
class Opinion:
    """Where gradient correlation has its maximum, seen from a pose.

    Attributes
    ----------
    distance_mm : tuple of float
        For each view, across its line of sight.
    angle_deg : float
        About the lines of sight and, with two views, about what is normal to both.
    """

    distance_mm: tuple[float, ...]
    angle_deg: float


def second_opinion(
    views: Sequence[LevelView],
    grid: AttenuationGrid,
    pose: PatientPose,
    *,
    reach: float,
    step: float,
    poll: Callable[[], None] = lambda: None,
) -> Opinion:
    """Where the edges of the radiographs would put the patient.

    Parameters
    ----------
    views : sequence of LevelView
    grid : AttenuationGrid
        The CT that is projected.
    pose : Pose[Fixed, DicomPatient]
        Where the match put the patient.
    reach, step : float
        So far to each side the maximum is followed, in such steps; mm and degrees alike.
    poll : callable
        Called before every motion; may raise to end the search.
    """
    edges = [edge_view(view) for view in views]
    drrs = [project_grid(grid, view.geometry, pose) for view in views]
    responses = [one.response(drr) for one, drr in zip(edges, drrs, strict=True)]
    here = [one.correlation(drr, bend) for one, drr, bend in zip(edges, drrs, responses, strict=True)]

    def at(number: int, there: PatientPose) -> float:
        drr = project_grid(grid, views[number].geometry, there)
        return edges[number].correlation(drr, responses[number])

    def maximum(numbers: Sequence[int], motion: Array) -> float:
        def value(far: float) -> float:
            there = moved(pose, far * motion)
            return float(np.mean([at(number, there) for number in numbers]))

        poll()
        return maximum_along(value, float(np.mean([here[number] for number in numbers])), reach, step)

    distances, turns = [], []
    for number, view in enumerate(views):
        right, up, turn = in_plane_motions(view.geometry).T
        distances.append(float(np.hypot(maximum([number], right), maximum([number], up))))
        turns.append(maximum([number], turn))
    if len(views) > 1:
        turns.append(maximum(range(len(views)), common_turn(views)))
    return Opinion(tuple(distances), float(np.linalg.norm(turns)))


def common_turn(views: Sequence[LevelView]) -> Array:
    """The rotation about what is normal to the lines of sight of two views, which neither shows in its own plane, (6,).

    Degrees of rotation in the last three.
    """
    normal = np.cross(views[0].geometry.source_mm, views[1].geometry.source_mm)
    return np.concatenate([np.zeros(3), normal / np.linalg.norm(normal)])


def maximum_along(value: Callable[[float], float], here: float, reach: float, step: float) -> float:
    """Where a function has its maximum, looked for uphill from zero: of the parabola through the highest three values.

    Parameters
    ----------
    value : callable
        Of a distance to either side.
    here : float
        Its value at zero.
    reach, step : float

    Returns
    -------
    float
        As far as the reach when the function still rises there, or when it is flat.
    """
    last = round(reach / step)
    known = {0: here}
    top = 0
    while abs(top) < last:
        for near in (top - 1, top + 1):
            if near not in known:
                known[near] = value(near * step)
        before, middle, after = (known[top + side] for side in (-1, 0, 1))
        if middle >= max(before, after):
            bend = 2.0 * middle - before - after
            return step * (top + 0.5 * (after - before) / bend) if bend > 0.0 else reach
        top += 1 if after > before else -1
    return top * step
