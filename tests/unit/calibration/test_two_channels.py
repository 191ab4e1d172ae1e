"""Two channels and stops against a couch that numpy alone plays, with effects that no fit contains."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoalign.calibration import (
    GateFailed,
    OutsideCalibratedRange,
    StopMeasurements,
    StopRecording,
    TooManyOutliers,
    Underdetermined,
    calibrate_channels,
    read_stop_measurements,
    write_stop_measurements,
)
from isoalign.calibration.channels_record import ChannelTables, channels_record
from isoalign.calibration.errors import InvalidCalibrationRecord
from isoalign.geometry import AXES


def _generator() -> Any:
    file = Path(__file__).parents[3] / "calibration" / "two_channels" / "golden" / "make_golden.py"
    spec = importlib.util.spec_from_file_location("stop_truth", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


truth = _generator()


@pytest.fixture(scope="module")
def couch() -> Any:
    return truth.realistic()


@pytest.fixture(scope="module")
def recorded(couch: Any, tmp_path_factory: pytest.TempPathFactory) -> StopMeasurements:
    file = tmp_path_factory.mktemp("stops") / "recording.json"
    file.write_text(json.dumps(truth.recording(couch, seed=3)))
    return read_stop_measurements([file])


def changed(recorded: StopMeasurements, number: int, **arrays: Any) -> StopMeasurements:
    runs = list(recorded.runs)
    runs[number] = replace(runs[number], **arrays)
    return replace(recorded, runs=tuple(runs))


def test_scale_offset_lag_and_play_are_found_for_every_axis(recorded: StopMeasurements, couch: Any) -> None:
    found = calibrate_channels(recorded)
    found.require_published()
    assert [one.axis for one in found.channels] == list(AXES)
    for one, true in zip(found.channels, couch.axes, strict=True):
        linear = AXES.index(one.axis) < 3
        middle = sum(one.range) / 2
        shown = one.offset + one.scale * middle
        assert shown == pytest.approx(true.offset + true.scale * middle, abs=0.01 if linear else 0.001)
        assert one.scale == pytest.approx(true.scale, abs=(0.01 if linear else 0.0012) / (one.range[1] - one.range[0]))
        assert one.lag_s == pytest.approx(true.lag_s, abs=5e-4)
        assert one.half_play == pytest.approx(true.half_play, abs=0.005 if linear else 0.0006)
        assert one.held_out_largest <= (0.05 if linear else 0.006)
        assert one.unaligned_largest > 10 * one.sigma


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("what", ["scale", "offset", "lag_s", "half_play"])
def test_each_error_alone_is_found_with_its_sign(what: str, sign: float) -> None:
    values = {"scale": 4e-4, "offset": 0.2, "lag_s": 0.03, "half_play": 0.02}
    if sign < 0 and what in {"lag_s", "half_play"}:
        values[what] /= 2  # neither has another sign
        sign = 1.0
    axes = [truth.TrueAxis(**{what: sign * values[what]}) for _ in AXES]
    raw = truth.recording(truth.TrueCouch(axes), seed=5, loads=(0.0,))
    runs = tuple(StopRecording(**{**one, "standstill": np.array(one["standstill"])}) for one in raw["runs"])
    given = StopMeasurements(runs, datetime.fromisoformat(raw["measured_at"]))
    one = calibrate_channels(given).channels[0]
    expected = {"scale": 0.0, "offset": 0.0, "lag_s": 0.0, "half_play": 0.0} | {what: sign * values[what]}
    within = {"scale": 1.2e-4, "offset": 0.005, "lag_s": 5e-4, "half_play": 0.005}
    for name, value in expected.items():
        assert getattr(one, name) == pytest.approx(value, abs=within[name]), name


def test_one_wrong_reading_is_named_and_left_out(recorded: StopMeasurements) -> None:
    secondary = recorded.runs[2].secondary.copy()
    secondary[-3] += 3.0
    found = calibrate_channels(changed(recorded, 2, secondary=secondary))
    assert [run for run, _ in found.channels[0].outliers] == [3]
    found.require_published()


def test_a_loose_encoder_is_refused(recorded: StopMeasurements) -> None:
    dice = np.random.default_rng(1)
    runs = tuple(
        replace(run, secondary=run.secondary + dice.choice([0.0, 0.6], run.secondary.size, p=[0.85, 0.15]))
        for run in recorded.runs
    )
    with pytest.raises(TooManyOutliers):
        calibrate_channels(replace(recorded, runs=runs))


def test_a_late_stop_is_named_and_never_left_out(recorded: StopMeasurements) -> None:
    run = recorded.runs[3]
    late = np.where(run.t_s > 0.2, 12.0 * np.sign(run.primary[-1] - run.primary[0]), 0.0)
    found = calibrate_channels(changed(recorded, 3, primary=run.primary + late, secondary=run.secondary + late))
    with pytest.raises(GateFailed, match="run 4: lateral went on for"):
        found.require_published()
    assert found.stops.bound("lateral", float(np.abs(run.velocity).max()), 0.0)[0] > 12.0


def test_what_cannot_be_known_is_refused(recorded: StopMeasurements) -> None:
    no_roll = replace(recorded, runs=tuple(run for run in recorded.runs if run.axis != "roll"))
    with pytest.raises(Underdetermined, match="roll was not moved"):
        calibrate_channels(no_roll)
    one_way = replace(recorded, runs=tuple(run for run in recorded.runs if run.primary[-1] > run.primary[0]))
    with pytest.raises(Underdetermined, match="one direction only"):
        calibrate_channels(one_way)
    once = [run for run in recorded.runs if run.speed_class == "normal"]
    once += [run for run in recorded.runs if run.speed_class == "service"][:2]
    with pytest.raises(Underdetermined, match="stops, 3 are needed"):
        calibrate_channels(replace(recorded, runs=tuple(once)))


def test_the_table_never_says_less_than_what_happens(recorded: StopMeasurements, couch: Any) -> None:
    """Fresh stops, from speeds and loads between those measured, stay within the bound and near it."""
    table = calibrate_channels(recorded).stops
    dice, ratio = np.random.default_rng(8), []
    for index, axis in enumerate(AXES):
        for speed_class, speeds in truth.SPEEDS.items():
            for load in (0.0, 75.0, 150.0):
                raw = truth.run(couch, index, speed_class, 1, load, dice)
                at = np.interp(0.0, raw["t_s"], raw["primary"])
                way = abs(raw["primary"][-1] - at)
                bound, _ = table.bound(axis, speeds[0 if index < 3 else 1], load)
                ratio.append(way / bound)
                assert way <= bound * 1.005 + (0.01 if index < 3 else 0.001)
                assert speed_class
    assert np.median(ratio) > 0.85
    with pytest.raises(OutsideCalibratedRange):
        table.bound("lateral", 80.0, 0.0)
    with pytest.raises(OutsideCalibratedRange):
        table.bound("lateral", 10.0, 170.0)


def test_record_and_file_round_trip(recorded: StopMeasurements, tmp_path: Path) -> None:
    found = calibrate_channels(recorded)
    tables = ChannelTables.from_record(channels_record(found))
    assert tables.stops.cells == found.stops.cells
    assert tables.secondary_lag_s["roll"] == found.channels[4].lag_s
    again = read_stop_measurements([write_stop_measurements(recorded, tmp_path / "again.json")])
    assert calibrate_channels(again).failures() == ()
    with pytest.raises(InvalidCalibrationRecord):
        read_stop_measurements([tmp_path / "absent.json"])
    with pytest.raises(InvalidCalibrationRecord):
        ChannelTables.from_record(replace(channels_record(found), result={"channels": []}))
