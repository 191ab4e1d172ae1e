"""Which pair of shadows belongs to which planned marker.

Every pair of rays that pass each other closely is a possible marker. Threes of them whose distances are those of three
planned markers say where the patient may be; the place that explains most markers best wins, and the runner-up says
how sure that is. Where there is no such three (one or two markers, or one that has moved), pairs and single markers
are tried with the planned rotation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from isoalign.geometry import Array, DicomPatient, Fixed, Pose, ProjectionGeometry, rotation_angle_deg
from isoalign.registration.marker_planned import PlannedMarkers, tell_rotation
from isoalign.registration.marker_rays import crossings

MOST_CANDIDATES = 80
MOST_THREES = 12
INLIER_MM = 2.0
"""A candidate so near to where a hypothesis puts a marker is that marker."""
DISTANCE_MM = 1.5
"""How much distances between markers may differ from planned ones."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far from the plan markers are looked for.

    Attributes
    ----------
    gap_mm : float
        Greatest distance between the two rays of a marker.
    translation_mm, rotation_deg : float
        Of the patient.
    migration_mm : float
        Of a marker against the others.
    """

    gap_mm: float = 1.5
    translation_mm: float = 40.0
    rotation_deg: float = 15.0
    migration_mm: float = 15.0


DEFAULT_REACH = Reach()


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs of shadows that may be markers.

    Attributes
    ----------
    shadows : ndarray, shape (n, 2), int
        Index of the shadow in the first and in the second view.
    points_mm : ndarray, shape (n, 3)
        Fixed frame.
    gaps_mm : ndarray, shape (n,)
    """

    shadows: Array
    points_mm: Array
    gaps_mm: Array

    def __len__(self) -> int:
        return len(self.points_mm)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One way to give candidates to planned markers.

    Attributes
    ----------
    chosen : tuple of int
        For every planned marker its candidate, -1 for none.
    pose : Pose[Fixed, DicomPatient]
        Where it puts the patient.
    cost_mm : float
        Root mean square of the distances between candidates and markers, and between the rays of candidates.
    """

    chosen: tuple[int, ...]
    pose: Pose[Fixed, DicomPatient]
    cost_mm: float

    @property
    def count(self) -> int:
        """How many markers have a candidate."""
        return sum(one >= 0 for one in self.chosen)


def pair_candidates(
    geometries: tuple[ProjectionGeometry, ProjectionGeometry],
    shadows_px: tuple[Array, Array],
    expected_mm: Array,
    reach: Reach,
) -> Candidates:
    """Pairs of shadows whose rays pass each other closely within reach of a planned marker."""
    points, gaps = crossings(geometries[0], shadows_px[0], geometries[1], shadows_px[1])
    far = reach.translation_mm + reach.migration_mm
    nearest = np.linalg.norm(points[:, :, None, :] - expected_mm, axis=-1).min(axis=2) if points.size else gaps
    first, second = np.nonzero((gaps < reach.gap_mm) & (nearest < far))
    order = np.argsort(gaps[first, second], kind="stable")[:MOST_CANDIDATES]
    first, second = first[order], second[order]
    return Candidates(np.stack([first, second], axis=1), points[first, second], gaps[first, second])


def assignments(
    planned: PlannedMarkers, pose: Pose[Fixed, DicomPatient], candidates: Candidates, reach: Reach
) -> list[Assignment]:
    """Ways to give candidates to markers, the best first, each with other candidates than those before it."""
    found: dict[tuple[int, ...], Assignment] = {}
    for kind in (_threes, _pairs):
        for tried in kind(planned, pose, candidates):
            one = _filled(planned, tried, candidates, reach, pose)
            if one is not None:
                found.setdefault(one.chosen, one)
        if any(one.count >= 3 for one in found.values()):
            break
    return sorted(found.values(), key=lambda one: (-one.count, one.cost_mm))


def with_migrated(
    planned: PlannedMarkers,
    pose: Pose[Fixed, DicomPatient],
    candidates: Candidates,
    chosen: tuple[int, ...],
    far: float,
) -> dict[int, int]:
    """For markers without candidate the nearest one that nobody else uses: marker to candidate."""
    used = candidates.shadows[[one for one in chosen if one >= 0]]
    free = [
        number
        for number, (first, second) in enumerate(candidates.shadows)
        if first not in used[:, 0] and second not in used[:, 1]
    ]
    expected = pose.apply(planned.points_mm)
    found: dict[int, int] = {}
    for marker, one in enumerate(chosen):
        if one >= 0 or not free:
            continue
        distance = np.linalg.norm(candidates.points_mm[free] - expected[marker], axis=1)
        if distance.min() < far:
            found[marker] = free.pop(int(np.argmin(distance)))
    return found


def best_rigid(planned_mm: Array, found_mm: Array) -> Pose[Fixed, DicomPatient]:
    """The rigid map that takes points to points with the least squares of what remains (Kabsch)."""
    middle, aim = planned_mm.mean(axis=0), found_mm.mean(axis=0)
    u, _, vt = np.linalg.svd((planned_mm - middle).T @ (found_mm - aim))
    turn = vt.T @ np.diag([1.0, 1.0, np.sign(np.linalg.det(vt.T @ u.T))]) @ u.T
    return Pose(Fixed, DicomPatient, turn, aim - turn @ middle)


def _threes(
    planned: PlannedMarkers, pose: Pose[Fixed, DicomPatient], candidates: Candidates
) -> Iterator[Pose[Fixed, DicomPatient]]:
    """Places of the patient from three candidates that lie to each other like three markers."""
    expected = pose.apply(planned.points_mm)
    between = np.linalg.norm(candidates.points_mm[:, None] - candidates.points_mm[None], axis=-1)
    for three in _wide_threes(expected):
        ab, ac, bc = (float(np.linalg.norm(expected[i] - expected[j])) for i, j in combinations(three, 2))
        for p in range(len(candidates)):
            for q in np.flatnonzero(np.abs(between[p] - ab) < DISTANCE_MM):
                fits = (np.abs(between[p] - ac) < DISTANCE_MM) & (np.abs(between[q] - bc) < DISTANCE_MM)
                for r in np.flatnonzero(fits):
                    taken = np.array([p, int(q), int(r)])
                    if len(set(taken.tolist())) == 3:
                        yield best_rigid(planned.points_mm[list(three)], candidates.points_mm[taken])


def _pairs(
    planned: PlannedMarkers, pose: Pose[Fixed, DicomPatient], candidates: Candidates
) -> Iterator[Pose[Fixed, DicomPatient]]:
    """Places of the patient, turned as planned, from two candidates; from one where only one marker is planned."""
    expected = pose.apply(planned.points_mm)
    between = np.linalg.norm(candidates.points_mm[:, None] - candidates.points_mm[None], axis=-1)
    for one, other in combinations(range(len(expected)), 2):
        apart = expected[other] - expected[one]
        for p in range(len(candidates)):
            away = candidates.points_mm - candidates.points_mm[p]
            turned = np.linalg.norm(away - apart, axis=1) < 0.26 * float(np.linalg.norm(apart)) + DISTANCE_MM
            for q in np.flatnonzero(turned & (np.abs(between[p] - np.linalg.norm(apart)) < DISTANCE_MM)):
                if q != p:
                    shift = candidates.points_mm[np.array([p, int(q)])].mean(axis=0) - expected[[one, other]].mean(
                        axis=0
                    )
                    yield _shifted(pose, shift)
    if len(planned) == 1:
        for point in candidates.points_mm:
            yield _shifted(pose, point - expected[0])


def _shifted(pose: Pose[Fixed, DicomPatient], shift_mm: Array) -> Pose[Fixed, DicomPatient]:
    return Pose(Fixed, DicomPatient, pose.rotation, pose.translation_mm + shift_mm)


def _wide_threes(points_mm: Array) -> list[tuple[int, int, int]]:
    """Threes of markers that span the largest triangles."""
    area = {
        (i, j, k): float(np.linalg.norm(np.cross(points_mm[j] - points_mm[i], points_mm[k] - points_mm[i])))
        for i, j, k in combinations(range(len(points_mm)), 3)
    }
    return sorted(area, key=lambda three: -area[three])[:MOST_THREES]


def _filled(
    planned: PlannedMarkers,
    tried: Pose[Fixed, DicomPatient],
    candidates: Candidates,
    reach: Reach,
    pose: Pose[Fixed, DicomPatient],
) -> Assignment | None:
    """Give each marker the candidate that lies where the hypothesis puts it, refine, and do so once more."""
    chosen: tuple[int, ...] = ()
    for _ in range(2):
        if not _plausible(tried, pose, planned, reach):
            return None
        chosen = _nearest(tried.apply(planned.points_mm), candidates)
        own = [number for number, one in enumerate(chosen) if one >= 0]
        if not own:
            return None
        points, aims = planned.points_mm[own], candidates.points_mm[[chosen[number] for number in own]]
        if tell_rotation(points):
            tried = best_rigid(points, aims)
        else:
            tried = _shifted(pose, (aims - pose.apply(points)).mean(axis=0))
    chosen = _nearest(tried.apply(planned.points_mm), candidates)
    own = [number for number, one in enumerate(chosen) if one >= 0]
    if not own:
        return None
    taken = [chosen[number] for number in own]
    away = np.sum((tried.apply(planned.points_mm[own]) - candidates.points_mm[taken]) ** 2, axis=1)
    return Assignment(chosen, tried, float(np.sqrt(np.mean(away + candidates.gaps_mm[taken] ** 2))))


def _plausible(
    tried: Pose[Fixed, DicomPatient], pose: Pose[Fixed, DicomPatient], planned: PlannedMarkers, reach: Reach
) -> bool:
    moved = tried.apply(planned.points_mm).mean(axis=0) - pose.apply(planned.points_mm).mean(axis=0)
    turned = rotation_angle_deg(tried.rotation @ pose.rotation.T)
    return bool(np.linalg.norm(moved) <= reach.translation_mm and turned <= reach.rotation_deg)


def _nearest(expected_mm: Array, candidates: Candidates) -> tuple[int, ...]:
    """For each expected place the nearest candidate within 2 mm; no shadow is used twice."""
    distance = np.linalg.norm(expected_mm[:, None] - candidates.points_mm[None], axis=-1)
    chosen = [-1] * len(expected_mm)
    order = np.argsort(distance, axis=None)
    used: tuple[set[int], set[int]] = (set(), set())
    for flat in order:
        marker, candidate = divmod(int(flat), distance.shape[1])
        if distance[marker, candidate] > INLIER_MM:
            break
        first, second = (int(one) for one in candidates.shadows[candidate])
        if chosen[marker] < 0 and first not in used[0] and second not in used[1]:
            chosen[marker] = candidate
            used[0].add(first)
            used[1].add(second)
    return tuple(chosen)
