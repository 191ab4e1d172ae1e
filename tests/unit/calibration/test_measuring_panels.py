"""Frames of panels as a room gives them lead to a calibration; the room here is made of other numbers than any fit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from isoalign.calibration import (
    RawFrame,
    Underdetermined,
    calibrate_detector,
    detector_arrays,
    detector_corrections,
    detector_record,
    even_counts,
    measure_panels,
)
from isoalign.calibration.measuring_panels import FLOOD_PARTS
from isoalign.records import Technique

ROWS, COLUMNS = 40, 32
TECHNIQUE = Technique(100.0, 100.0, 50.0)
READ_OUT_S = 0.3
HELD = ((0.02, 0.5), (0.006, 9.0))
"""Part and time constant, s, of what an exposure leaves: ten times as much as usual."""


class Panels:
    """Two panels with gain, offset, dead pixels and lag; time passes with every frame."""

    def __init__(self) -> None:
        dice = np.random.default_rng(8)
        self.dice = dice
        self.now_s = 0.0
        self.gain = {name: 1.0 + 0.04 * dice.standard_normal((ROWS, COLUMNS)) for name in "AB"}
        self.offset = {name: 150.0 + 5.0 * dice.standard_normal((ROWS, COLUMNS)) for name in "AB"}
        self.trapped = {name: np.zeros((len(HELD), ROWS, COLUMNS)) for name in "AB"}
        self.exposures = 0

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        for name in self.trapped:
            self.trapped[name] *= np.exp([[[-seconds / time_s]] for _, time_s in HELD])

    def raw_frames(self, technique: Technique | None = None) -> dict[str, RawFrame]:
        self.wait(READ_OUT_S)
        read_at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.now_s)
        self.exposures += technique is not None
        found = {}
        for name in "AB":
            level = 0.0 if technique is None else 200.0 * technique.exposure_time_ms * technique.tube_current_ma / 100.0
            signal = level * self.gain[name]
            noise = self.dice.normal(0.0, np.sqrt(4.0 + 0.05 * np.abs(signal)))
            counts = self.offset[name] + signal + self.trapped[name].sum(axis=0) + noise
            counts[5, 7] = 0.0
            found[name] = RawFrame(np.clip(np.rint(counts), 0, 65535).astype(np.uint16), read_at)
            self.trapped[name] += np.array([part for part, _ in HELD])[:, None, None] * signal
        return found


@pytest.fixture
def panels() -> Panels:
    return Panels()


def test_frames_of_a_room_make_an_even_panel(panels: Panels) -> None:
    told: list[float] = []
    given = measure_panels(
        panels,
        TECHNIQUE,
        wait=panels.wait,
        devices={"panel A": "P-1", "couch": "C-1"},
        on_progress=lambda _text, fraction: told.append(fraction),
    )
    assert [one.name for one in given] == ["A", "B"]
    assert [dict(one.devices) for one in given] == [{"panel A": "P-1"}, {}]
    assert told == sorted(told)
    assert max(told) < 1.0
    results = [calibrate_detector(one) for one in given]
    assert all(one.failures() == () for one in results)
    arrays = detector_arrays(results)
    correct = detector_corrections(detector_record(results, arrays), arrays)["B"]
    panels.wait(300.0)
    frames = []
    for technique in (TECHNIQUE, None):
        panels.wait(0.2)
        raw = panels.raw_frames(technique)["B"]
        frames.append((raw.pixels, correct(raw.pixels, raw.read_at.timestamp())))
    (bright, even), (after, dark) = frames
    assert np.std(bright / bright.mean()) > 0.035
    assert np.std(even / even.mean()) < 0.01
    assert even_counts(even)[5, 7] == pytest.approx(float(np.median(even)), rel=0.05)
    signal = float(bright.mean())
    assert float(after.mean()) - 150.0 > 0.01 * signal
    assert float(dark.mean()) < 0.001 * signal


def test_dark_frames_come_first_and_floods_last(panels: Panels) -> None:
    given = measure_panels(panels, TECHNIQUE, wait=panels.wait)[0]
    assert abs(float(given.dark.mean()) - 150.0) < 6.0
    assert float(given.dark[-1].mean()) == pytest.approx(float(given.dark[0].mean()), abs=1.0)
    assert panels.exposures == 2 + 8 * len(FLOOD_PARTS)
    for run in given.lag:
        assert (np.diff(run.t_s) > 0).all()
        assert run.t_s[0] == pytest.approx(READ_OUT_S)
        assert run.t_s[-1] > 20.0


def test_too_few_frames_are_refused_before_any_is_taken(panels: Panels) -> None:
    with pytest.raises(Underdetermined):
        measure_panels(panels, TECHNIQUE, wait=panels.wait, dark=49)
    assert panels.now_s == 0.0


def test_whole_counts_stay_on_the_scale() -> None:
    found = even_counts(np.array([[-3.0, 0.4, 70_000.0]], dtype=np.float32))
    assert found.tolist() == [[0, 0, 65535]]
    assert found.dtype == np.uint16
