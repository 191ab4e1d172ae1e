"""Errors that a demonstration plants: from the seed, of realistic size, and large enough to miss the tolerance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from isoalign.room.demo_calibration import MachineErrors, _angles, machine_errors
from isoalign.room.settings import load_settings
from isoalign.room.simulation import CouchErrors

SETTINGS = load_settings()


def test_errors_come_from_the_seed_and_stay_within_what_is_promised() -> None:
    found = [machine_errors(SETTINGS, seed) for seed in range(200)]
    assert machine_errors(SETTINGS, 7) == found[7]
    assert found[7] != found[8]
    shifts = np.array([[one.receptor_translation_mm for one in errors.imagers.values()] for errors in found])
    assert 1.2 <= np.abs(shifts).min() <= np.abs(shifts).max() <= 2.0
    offsets = np.array([errors.couch.axis_offset_mm for errors in found])
    lengths = np.hypot(*offsets.T)
    assert 1.5 <= lengths.min() <= lengths.max() <= 2.0
    ways = np.arctan2(*offsets.T)
    assert np.histogram(ways, bins=4, range=(-np.pi, np.pi))[0].min() > 20, "in every direction"
    leans = np.array([errors.couch.axis_lean_deg for errors in found])
    assert 0.05 <= np.abs(leans).min() <= np.abs(leans).max() <= 0.1
    assert {tuple(row) for row in np.sign(leans)} == {(a, b) for a in (-1.0, 1.0) for b in (-1.0, 1.0)}


def test_a_phantom_weighs_nothing_and_changes_nothing_else() -> None:
    errors = machine_errors(SETTINGS, 3)
    assert errors.couch.payload_kg > 50.0
    assert errors.unloaded_couch.payload_kg == 0.0
    assert errors.unloaded_couch.axis_offset_mm == errors.couch.axis_offset_mm
    assert errors.unloaded_couch.sag_mm == errors.couch.sag_mm
    assert MachineErrors().couch == CouchErrors()


@pytest.mark.parametrize(("planned", "span"), [(0.0, 45.0), (-30.0, 45.0), (70.0, 70.0), (-95.0, 90.0)])
def test_the_axis_is_measured_where_the_plan_needs_it(planned: float, span: float) -> None:
    angles = _angles(planned)
    assert angles[0] == 0.0
    assert len(set(angles)) == 7
    assert (min(angles), max(angles)) == (-span, span)
    way = sum(abs(after - before) for before, after in itertools.pairwise(angles))
    assert way == pytest.approx(3.0 * span), "out to one side, then to the other"
