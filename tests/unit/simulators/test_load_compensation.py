"""The couch's controller under load: what it says beside the truth of a body that it knows by its sensors only."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.protocol import axes_from_micro
from isoalign.protocol.messages import CouchState
from isoalign.simulators.couch_firmware import CouchFirmware
from isoalign.simulators.couch_physics import CouchBody, CouchPhysicsParameters
from isoalign.simulators.load_compensation import ElasticModel, LoadCell, LoadCompensation, run_load_test
from isoalign.simulators.virtual_couch import VirtualCouch

SAGGING = CouchPhysicsParameters(sag_mm=2.0, sag_pitch_deg=0.1)
FAR_OUT = (20.0, 1400.0, -120.0, 1.0, -1.0, 10.0)


def compensation(seed: int) -> LoadCompensation:
    return LoadCompensation(ElasticModel.fitted(run_load_test(SAGGING, seed)), LoadCell(seed))


class Reported:
    """A couch far out with a load, and what its host was told last."""

    def __init__(self, seed: int, payload_kg: float, known: LoadCompensation | None) -> None:
        self.body = CouchBody(FAR_OUT, seed=seed, now_s=0.0, parameters=SAGGING)
        self.body.payload_kg = payload_kg
        self.states: list[CouchState] = []
        self.truth: list[np.ndarray] = []
        firmware = CouchFirmware(self.body, now_s=0.0, compensation=known)
        self.couch = VirtualCouch(firmware, on_state=self._see)
        self.couch.run_for(2.0)

    def _see(self, state: CouchState, _now_s: float) -> None:
        self.states.append(state)
        self.truth.append(self.body.true_position())

    def told(self, name: str, index: int = -1) -> np.ndarray:
        return np.array(list(axes_from_micro(getattr(self.states[index], name))), dtype=float)


@pytest.mark.parametrize("seed", range(5))
def test_both_channels_tell_where_the_loaded_table_top_is(seed: int) -> None:
    room = Reported(seed, 150.0, compensation(seed))
    for name, tolerance in (("primary_micro", 0.08), ("secondary_micro", 0.20)):  # 50 ppm of 1.4 m for the second
        error = np.abs(room.told(name) - room.truth[-1])
        assert error[:3].max() < tolerance
        assert error[3:].max() < 0.01


def test_without_compensation_the_sag_is_not_seen() -> None:
    room = Reported(1, 150.0, None)
    error = room.told("primary_micro") - room.truth[-1]
    assert 1.4 < error[2] < 1.8
    assert 0.07 < error[3] < 0.1


def test_a_model_is_not_the_truth() -> None:
    """The gauges have noise and the load cell errs: no two couches agree, and none is right to the micrometre."""
    wrong = []
    for seed in range(5):
        known = compensation(seed)
        for _ in range(3):
            known.cell.read(120.0, 0.0)
        wrong.append(known.table_top(np.array(FAR_OUT))[2] - (FAR_OUT[2] - 2.0 * 0.8 * (1400 / 1500) ** 3))
    assert np.unique(np.round(wrong, 4)).size == 5
    assert 0.001 < np.abs(wrong).max() < 0.08


def test_a_motion_ends_where_it_was_sent_and_the_speed_is_that_of_the_table_top() -> None:
    room = Reported(3, 150.0, compensation(3))
    target = np.array([0.0, 900.0, -110.0, 0.5, -1.0, 8.0])
    room.couch.press()
    first = len(room.states)
    assert room.couch.begin_move(target.tolist())
    room.couch.run_until_rest()
    room.couch.run_for(0.1)
    assert np.abs(room.body.true_position() - target)[:3].max() < 0.1
    assert np.abs(room.told("primary_micro") - target)[:3].max() < 0.05
    middle = (first + len(room.states)) // 2
    seen = room.told("velocity_micro_per_s", middle)
    true = (room.truth[middle + 1] - room.truth[middle - 1]) / 0.04
    assert np.abs(seen - true)[:3].max() < 0.05
    assert np.abs(seen - true)[3:].max() < 0.005


def test_the_load_is_not_read_while_the_couch_moves() -> None:
    known = compensation(2)
    room = Reported(2, 75.0, known)
    room.couch.press()
    assert room.couch.begin_move((0.0, 1000.0, -120.0, 0.0, 0.0, 0.0))
    room.couch.run_for(1.0)
    before = known.cell.load_kg
    room.body.payload_kg = 20.0
    room.couch.run_for(1.0)
    assert known.cell.load_kg == before
    room.couch.run_until_rest()
    room.couch.run_for(6.0)
    assert abs(known.cell.load_kg - 20.0) < 1.5


def test_positions_of_the_drives_and_of_the_table_top_are_inverse() -> None:
    known = compensation(4)
    known.cell.read(110.0, 0.0)
    there = np.array(FAR_OUT)
    assert np.allclose(known.table_top(known.drives(there)), there, atol=1e-12)
    assert (known.table_top(there) - there)[[0, 1, 4, 5]].tolist() == [0.0] * 4
