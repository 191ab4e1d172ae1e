"""Clearance along any path is a lower bound of what dense sampling finds, and not much below it."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from scipy.spatial.transform import Rotation

from isoalign.geometry import Fixed, Gantry, Representation, TableTop, TableTopPosition, fixed_from_table, rotation_y
from isoalign.geometry.clearance.checks import PathClearance, clearance_along, clearance_at
from isoalign.geometry.clearance.convex_parts import PATIENT, ConvexPart
from isoalign.geometry.clearance.room_model import MachineState, RoomModel, table_against_room
from isoalign.geometry.couch_path import CouchPath, motion_bound_mm, straight_path

IEC = Representation.IEC_61217
UNIT = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
PLATE = UNIT * (250.0, 600.0, 25.0) + (0.0, -600.0, -25.0)
CHEST = UNIT * (150.0, 200.0, 100.0) + (0.0, -500.0, 100.0)
RADIUS_MM = float(np.linalg.norm(np.concatenate([PLATE, CHEST]), axis=1).max())
SEARCH_MM = 2e-3

positions = st.tuples(
    st.floats(-250.0, 250.0),
    st.floats(200.0, 900.0),
    st.floats(-300.0, 100.0),
    st.floats(-15.0, 15.0),
    st.floats(-15.0, 15.0),
    st.floats(-95.0, 95.0),
)
shapes = st.tuples(st.integers(0, 10_000), st.floats(300.0, 900.0), st.floats(30.0, 200.0))


def oracle_distance_mm(first: np.ndarray, second: np.ndarray) -> float:
    """Least |P w| over weights that sum to one, P the differences of all corners, by non-negative least squares."""
    apart = (first[:, None] - second[None]).reshape(-1, 3).T / 1000.0
    weights, _ = nnls(np.vstack([apart, np.ones(apart.shape[1])]), np.array([0.0, 0.0, 0.0, 1.0]))
    return float(np.linalg.norm(apart @ weights / weights.sum())) * 1000.0


def room(seed: int, away_mm: float, half_mm: float, required_mm: float, uncertainty_mm: float) -> RoomModel:
    """Couch plate and patient, a turned box in the room and another on the gantry."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=3)
    centre = away_mm * direction / np.linalg.norm(direction)
    turned = half_mm * UNIT * rng.uniform(0.3, 1.5, 3) @ Rotation.random(rng=rng).as_matrix().T
    parts = (
        ConvexPart("plate", TableTop, PLATE),
        ConvexPart("chest", TableTop, CHEST, body=PATIENT),
        ConvexPart("box", Fixed, turned + centre),
        ConvexPart("head", Gantry, UNIT * 90.0 + (0, 0, away_mm), slides=True),
    )
    return RoomModel(parts, table_against_room(parts), required_mm, uncertainty_mm)


def brute_mm(model: RoomModel, values: np.ndarray, machine: np.ndarray) -> np.ndarray:
    """Distances of the four pairs at each row of couch values and (gantry angle, extension), shape (N, 4)."""
    found = []
    for row, (angle, extension) in zip(values, machine, strict=True):
        table = fixed_from_table(TableTopPosition.from_values(IEC, row))
        plate, chest, box, head = (part.vertices_mm for part in model.parts)
        head = (head - (0, 0, extension)) @ rotation_y(angle).T
        found.append(
            [oracle_distance_mm(table.apply(carried), other) for carried in (plate, chest) for other in (box, head)]
        )
    return np.array(found)


def between(values: np.ndarray, pieces: int) -> np.ndarray:
    """Linear in between: each step cut into pieces."""
    fractions = np.arange(pieces)[:, None] / pieces
    return np.concatenate([*(a + fractions * (b - a) for a, b in itertools.pairwise(values)), values[-1:]])


@given(st.tuples(positions, positions), shapes, st.sampled_from([60.0, 200.0, 2000.0]), st.floats(0.0, 20.0))
@settings(max_examples=60, deadline=None)
def test_no_denser_sampling_finds_less_and_little_is_given_away(
    ends: tuple[tuple[float, ...], tuple[float, ...]],
    shape: tuple[int, float, float],
    step_mm: float,
    uncertainty_mm: float,
) -> None:
    """Coarse steps on purpose: what happens between samples matters."""
    first, last = (TableTopPosition.from_values(IEC, end) for end in ends)
    path = straight_path(first, last, body_radius_mm=RADIUS_MM, step_mm=step_mm)
    assume(len(path) < 60)
    model = room(*shape, 10.0, uncertainty_mm)
    machine = np.column_stack([np.linspace(0.0, shape[0] % 3, len(path)), np.linspace(0.0, 30.0, len(path))])
    found = clearance_along(model, path, MachineState(machine[:, 0], machine[:, 1]))
    pieces = max(2, 120 // len(path))
    true_mm = brute_mm(model, between(path.values, pieces), between(machine, pieces)).min() - uncertainty_mm
    assert found.least_clearance_mm <= max(true_mm, -uncertainty_mm) + 1e-6
    head_step = 2.0 * (shape[1] + 135.0) * np.pi / 180 / max(1, len(path) - 1) + 30.0 / max(1, len(path) - 1)
    given_away = (motion_bound_mm(path.values[:-1], path.values[1:], RADIUS_MM).max() + head_step) / 2
    assert found.least_clearance_mm >= true_mm - given_away - SEARCH_MM
    if true_mm + uncertainty_mm <= 0:
        assert found.least_clearance_mm <= 0
    assert found.passes == (found.least_clearance_mm >= 10.0)


def first_below(found: PathClearance, clearances_mm: np.ndarray, required_mm: float) -> bool:
    """Whether the first violation is the first sample below the requirement, but for the search's tolerance."""
    surely = np.flatnonzero(clearances_mm.min(axis=1) < required_mm - SEARCH_MM)
    perhaps = np.flatnonzero(clearances_mm.min(axis=1) < required_mm + SEARCH_MM)
    if found.first_violating_sample is None:
        return not surely.size
    return bool(perhaps.size and perhaps[0] <= found.first_violating_sample <= (surely[0] if surely.size else np.inf))


@given(st.tuples(positions, positions), shapes, st.floats(0.0, 150.0))
@settings(max_examples=30, deadline=None)
def test_skipping_samples_changes_nothing(
    ends: tuple[tuple[float, ...], tuple[float, ...]], shape: tuple[int, float, float], required_mm: float
) -> None:
    """Fine steps: least clearance and first violation are those of measuring every pair at every sample."""
    fraction = np.linspace(0.0, 1.0, 300)[:, None]
    path = CouchPath((1 - fraction) * np.array(ends[0]) + fraction * np.array(ends[1]), (0, 299))
    model = room(*shape, required_mm, 3.0)
    found = clearance_along(model, path, MachineState(20.0, 0.0))
    distances = brute_mm(model, path.values, np.full((300, 2), (20.0, 0.0)))
    # both table bodies move differently: each pair has its own allowance, taken here from the single-pair room
    allowances = []
    for carried, other in ((0, 2), (0, 3), (1, 2), (1, 3)):
        parts = model.parts[carried], model.parts[other]
        alone = RoomModel(parts, table_against_room(parts), 0.0, 0.0, patient_unchecked=carried == 0)
        allowances.append(clearance_along(alone, path, MachineState(20.0, 0.0)).motion_allowance_mm)
    clearances = distances - 3.0 - np.array(allowances)
    assert abs(found.least_clearance_mm - clearances.min()) <= SEARCH_MM
    assert first_below(found, clearances, required_mm)
    assert found.distance_calls < distances.size / 2


@given(positions, shapes, st.floats(-180.0, 180.0), st.floats(0.0, 300.0))
@settings(max_examples=80, deadline=None)
def test_one_position_agrees_with_the_oracle(
    position: tuple[float, ...], shape: tuple[int, float, float], gantry_deg: float, extension_mm: float
) -> None:
    model = room(*shape, 0.0, 0.0)
    found = clearance_at(model, TableTopPosition.from_values(IEC, position), MachineState(gantry_deg, extension_mm))
    expected = brute_mm(model, np.array([position]), np.array([[gantry_deg, extension_mm]]))[0]
    by_bodies = {pair.bodies: pair for pair in found.pairs}
    for bodies, distance_mm in zip(model.pairs, expected, strict=True):
        assert abs(by_bodies[bodies].distance_mm - distance_mm) < 2e-4
        if distance_mm < 1e-9:
            assert by_bodies[bodies].clearance_mm <= 0
    assert found.nearest.clearance_mm == min(pair.clearance_mm for pair in found.pairs)
