"""Lag of a panel against the sum of exponentials, written down by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isoalign.simulators.panel_lag import LagParameters, PanelLag

ONE = LagParameters(amplitudes=(0.01,), times_s=(2.0,), offset_counts=100.0)


def frame(*counts: int) -> bytes:
    return np.array(counts, dtype="<u2").tobytes()


def counts(pixels: bytes) -> list[int]:
    return np.frombuffer(pixels, dtype="<u2").tolist()


def test_the_first_frame_is_as_it_is() -> None:
    assert PanelLag().expose(frame(5000, 0, 65535), 1.0) == frame(5000, 0, 65535)


def test_a_later_frame_has_what_the_first_has_left_in_each_pixel() -> None:
    lag = PanelLag(ONE)
    lag.expose(frame(50_100, 20_100, 100), 1.0)
    left = 0.01 * math.exp(-1.5 / 2.0)
    expected = [100 + round(50_000 * left), 100 + round(20_000 * left), 100]
    assert counts(lag.expose(frame(100, 100, 100), 2.5)) == expected


def test_what_is_left_adds_up() -> None:
    lag = PanelLag(ONE)
    lag.expose(frame(10_100), 0.0)
    lag.expose(frame(10_100), 1.0)
    expected = 10_000 * 0.01 * (math.exp(-1.0) + math.exp(-0.5))
    assert counts(lag.expose(frame(100), 2.0))[0] == pytest.approx(100 + expected, abs=1)


def test_dead_pixels_stay_dead() -> None:
    lag = PanelLag(ONE)
    lag.expose(frame(60_000, 60_000), 0.0)
    assert counts(lag.expose(frame(0, 65535), 0.1)) == [0, 65535]


@pytest.mark.parametrize("factor", [1.0, 10.0])
def test_the_residual_is_a_part_of_the_exposure(factor: float) -> None:
    lag = PanelLag(ONE)
    lag.factor = factor
    assert lag.residual_ppm(0.0) is None
    lag.expose(frame(30_100, 10_100), 0.0)
    assert lag.residual_ppm(1.0) == pytest.approx(1e6 * factor * 0.01 * math.exp(-0.5), rel=1e-4)
    lag.reset()
    assert lag.residual_ppm(1.1) == 0
    assert lag.factor == 1.0
