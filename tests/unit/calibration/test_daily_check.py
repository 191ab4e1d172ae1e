"""The daily check against shadows that numpy alone computes: signs, tolerances, outliers, trend."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoalign.calibration import (
    CalibrationRecord,
    DailyCheck,
    InvalidCalibrationRecord,
    Underdetermined,
    check_day,
    daily_record,
    read_daily_measurements,
    trends,
)


def _generator() -> Any:
    file = Path(__file__).parents[3] / "calibration" / "daily_check" / "golden" / "make_golden.py"
    spec = importlib.util.spec_from_file_location("daily_truth", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


truth = _generator()
NOTHING = (0.0,) * 6


def checked(folder: Path, seed: int = 1, **changes: Any) -> DailyCheck:
    file = folder / "shadows.json"
    file.write_text(json.dumps(truth.shadows(seed, **changes)))
    return check_day(read_daily_measurements(file))


def near(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found[:3], expected[:3], atol=0.06)
    np.testing.assert_allclose(found[3:], expected[3:], atol=0.04)


def test_both_times_six_numbers_are_found(tmp_path: Path) -> None:
    found = checked(tmp_path)
    near(found.setup, truth.SETUP)
    near(found.shift, truth.WRONG)
    assert found.failures() == ()


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("axis", range(6))
def test_every_axis_alone_with_its_sign(axis: int, sign: float, tmp_path: Path) -> None:
    six = tuple(sign * (0.8 if axis < 3 else 0.4) if number == axis else 0.0 for number in range(6))
    near(checked(tmp_path, setup=six, wrong=NOTHING).setup, six)
    near(checked(tmp_path, setup=NOTHING, wrong=six).shift, six)


def test_the_shift_itself_does_not_matter(tmp_path: Path) -> None:
    """Large turns and shifts, other signs: what is left is the error alone."""
    near(checked(tmp_path, shift=(-15.0, 20.0, -9.0, -2.0, 1.7, -3.0)).shift, truth.WRONG)


def test_an_axis_that_moves_the_wrong_way_fails_by_name(tmp_path: Path) -> None:
    wrong = (0.0, 0.0, -2 * truth.SHIFT[2], 0.0, 0.0, 0.0)
    failures = checked(tmp_path, wrong=wrong).failures()
    assert failures == (f"the images show another shift: vertical by {wrong[2]:+.2f} mm, allowed 1",) or (
        len(failures) == 1 and "vertical by -1" in failures[0]
    )


def test_one_wrong_shadow_is_named_and_left_out(tmp_path: Path) -> None:
    found = checked(tmp_path, spoiled=True)
    assert found.left_out_in_words == ("ball 4 in the image of A after the shift",)
    near(found.shift, truth.WRONG)


def test_one_image_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "shadows.json"
    raw = truth.shadows(1)
    raw["imagers"] = raw["imagers"][:1]
    file.write_text(json.dumps(raw))
    with pytest.raises(Underdetermined, match="two images"):
        check_day(read_daily_measurements(file))
    file.write_text("{}")
    with pytest.raises(InvalidCalibrationRecord):
        read_daily_measurements(file)


def many_days(folder: Path, drift_mm_per_day: float) -> list[CalibrationRecord]:
    records = []
    for day in range(12):
        wrong = (drift_mm_per_day * day, 0.0, 0.0, 0.0, 0.0, 0.0)
        one = daily_record(checked(folder, seed=day, wrong=wrong))
        later = timedelta(days=day)
        records.append(replace(one, measured_at=one.measured_at + later, valid_until=one.valid_until + later))
    return records[::-1]


def test_a_slow_drift_is_told_before_it_is_out_of_tolerance(tmp_path: Path) -> None:
    found = {one.name: one for one in trends(many_days(tmp_path, 0.03))}
    assert found["shift lateral_mm"].slope_per_day == pytest.approx(0.03, abs=0.006)
    assert found["shift lateral_mm"].warns
    assert [name for name, one in found.items() if one.warns] == ["shift lateral_mm"]
    assert not any(one.warns for one in trends(many_days(tmp_path, 0.0)))
