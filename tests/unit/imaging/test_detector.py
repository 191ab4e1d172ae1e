"""A panel with planted offset, gain, defects and lag: what the correction gives is compared with what was planted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.imaging import (
    LagCorrection,
    LagModel,
    UnusableDetectorCalibration,
    UnusableFrame,
    corrected_frame,
    detector_calibration,
    filled_defects,
    fit_lag,
    non_uniformity,
    transmission_line_integrals,
)

Array = npt.NDArray[np.float64]
SHAPE = (96, 120)
BURST = (slice(40, 44), slice(60, 63))


class Panel:
    """Counts = offset + gain * dose * (1 - bend * dose), with noise, dead and stuck pixels."""

    def __init__(self, *, bend: float = 0.0, noise: float = 4.0) -> None:
        self.rng = np.random.default_rng(11)
        y, x = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
        self.offset = 200 + 30 * x + self.rng.normal(0, 15, SHAPE)
        self.gain = (1 - 0.15 * x**2 - 0.1 * y) * self.rng.normal(1.0, 0.04, SHAPE)
        self.bend = bend * self.rng.uniform(0.5, 1.5, SHAPE)
        self.noise = noise
        self.dead = np.zeros(SHAPE, bool)
        self.dead[12, 30] = self.dead[0, 0] = self.dead[95, 119] = True
        self.dead[BURST] = True
        self.dead[:, 80] = self.dead[70] = self.dead[20:60, 100:102] = True

    def read(self, dose: Array | float) -> Array:
        given = np.broadcast_to(np.asarray(dose, dtype=np.float64), SHAPE)
        counts = self.offset + self.gain * given * (1 - self.bend * given)
        counts = counts + self.rng.normal(0, self.noise, SHAPE) * np.sqrt(1 + given / 100)
        return np.where(self.dead, 65535.0, np.rint(counts))

    def stack(self, dose: float, count: int = 12) -> Array:
        return np.stack([self.read(dose) for _ in range(count)])


def test_an_empty_field_is_even_after_correction() -> None:
    panel = Panel()
    calibration = detector_calibration(panel.stack(0.0), [panel.stack(8000.0)], known_defects=panel.dead)
    raw = panel.read(5000.0)
    found = corrected_frame(raw, calibration)
    assert non_uniformity((raw - panel.offset).astype(np.float32), panel.dead) > 0.05
    assert non_uniformity(found) < 0.01
    assert found.dtype == np.float32


def test_several_floods_take_out_the_bend() -> None:
    panel = Panel(bend=1.5e-5, noise=1.0)
    doses = (2000.0, 6000.0, 10000.0)
    dark = panel.stack(0.0)
    one = detector_calibration(dark, [panel.stack(10000.0)], known_defects=panel.dead)
    three = detector_calibration(dark, [panel.stack(dose) for dose in reversed(doses)], known_defects=panel.dead)
    assert [point.level for point in three.floods] == sorted(point.level for point in three.floods)
    frame = panel.read(4000.0)
    bent, straight = (non_uniformity(corrected_frame(frame, one)), non_uniformity(corrected_frame(frame, three)))
    assert straight < 0.01
    assert straight < 0.6 * bent


def test_defects_are_found_and_filled() -> None:
    """Single pixels, a cluster, a double line and whole lines; a slope under them goes on through them."""
    panel = Panel(noise=0.5)
    calibration = detector_calibration(panel.stack(0.0), [panel.stack(8000.0)], known_defects=panel.dead & False)
    single = panel.dead.copy()
    assert (calibration.defects[single]).mean() == 1.0
    assert (calibration.defects & ~single).mean() < 0.005
    slope = 3000 + 10 * np.arange(SHAPE[1]) + 5 * np.arange(SHAPE[0])[:, None]
    found = corrected_frame(panel.read(slope), calibration)
    scale = float(np.median(found / slope))
    np.testing.assert_allclose(found[panel.dead] / scale, slope[panel.dead], rtol=0.02)


def test_filling_alone() -> None:
    image = np.tile(np.linspace(100, 200, 40), (30, 1)).astype(np.float32)
    wrong = np.zeros(image.shape, bool)
    wrong[:, 20] = wrong[5:9, 3:7] = True
    spoiled = np.where(wrong, 0, image).astype(np.float32)
    found = filled_defects(spoiled, wrong)
    np.testing.assert_array_equal(found[~wrong], image[~wrong])
    np.testing.assert_allclose(found[wrong], image[wrong], atol=3.0)
    assert filled_defects(image, np.zeros(image.shape, bool)) is image
    with pytest.raises(UnusableFrame, match="every pixel"):
        filled_defects(image, np.ones(image.shape, bool))
    with pytest.raises(UnusableFrame, match="defect map"):
        filled_defects(image, np.zeros((2, 2), bool))


def test_line_integrals_from_frame_and_flood() -> None:
    panel = Panel(noise=0.5)
    calibration = detector_calibration(panel.stack(0.0), [panel.stack(8000.0)])
    x = np.linspace(0.0, 2.5, SHAPE[1])
    truth = np.broadcast_to(np.where(x > 0.3, x, 0.0), SHAPE)
    opened = corrected_frame(panel.stack(8000.0).mean(axis=0), calibration)
    found = transmission_line_integrals(corrected_frame(panel.read(8000.0 * np.exp(-truth)), calibration), opened)
    good = ~calibration.defects
    assert np.sqrt(np.mean((found - truth)[good] ** 2)) < 0.01
    assert transmission_line_integrals(np.zeros((2, 2)), 5.0).max() == pytest.approx(-math.log(1e-4))
    for image, field in (
        (np.ones((2, 2)), 0.0),
        (np.ones((2, 2)), np.ones((3, 2))),
        (np.full((2, 2), np.nan), 1.0),
        (np.ones((2, 2)), math.inf),
    ):
        with pytest.raises(UnusableFrame):
            transmission_line_integrals(image, field)


RATES, PARTS = (2.5e-3, 2.1e-2, 1.6e-1, 7.6e-1), (0.004, 0.008, 0.015, 0.02)


def lagging(frames: list[Array], rates: tuple[float, ...] = RATES, parts: tuple[float, ...] = PARTS) -> Iterator[Array]:
    """The convolution with the impulse response, written out: every frame gets a share of every frame before it."""
    for number, frame in enumerate(frames):
        seen = (1 - sum(parts)) * frame
        for rate, part in zip(rates, parts, strict=True):
            for age in range(1, number + 1):
                seen = seen + part * (1 - math.exp(-rate)) * math.exp(-rate * (age - 1)) * frames[number - age]
        yield seen


def test_lag_is_taken_off() -> None:
    """80 exposed frames, then none: some percent remain in the first frame after, nothing when corrected."""
    truth = [np.full((4, 5), 1000.0)] * 80 + [np.zeros((4, 5))] * 20
    seen = list(lagging(truth))
    assert seen[80].max() > 25.0
    correction = LagCorrection(LagModel(RATES, PARTS))
    found = [correction(frame) for frame in seen]
    np.testing.assert_allclose(found, truth, atol=0.1)
    correction.reset()
    np.testing.assert_allclose(correction(seen[0]), truth[0], rtol=1e-5)


def test_the_impulse_response_is_that_of_the_convolution() -> None:
    pulse = [np.ones(1), *[np.zeros(1)] * 29]
    expected = np.array(list(lagging(pulse)))[:, 0]
    np.testing.assert_allclose(LagModel(RATES, PARTS).response(30), expected, atol=1e-12)
    assert LagModel(RATES, PARTS).response(20000).sum() == pytest.approx(1.0)


def test_lag_is_measured_from_a_falling_edge_with_noise() -> None:
    """A model fitted to one exposure corrects another one: the first frame after it keeps less than 0.5 %."""
    rng = np.random.default_rng(2)
    edge = np.array(list(lagging([np.full(1, 1000.0)] * 300 + [np.zeros(1)] * 200)))[299:, 0]
    model = fit_lag(edge + rng.normal(0, 0.2, edge.size), 300)
    correction = LagCorrection(model)
    seen = lagging([np.full(1, 1000.0)] * 60 + [np.zeros(1)])
    found = [float(correction(frame)[0]) for frame in seen]
    assert abs(found[-1]) < 0.005 * 1000.0
    np.testing.assert_allclose(found[:-1], 1000.0, rtol=0.005)


@pytest.mark.parametrize(
    "change",
    [
        lambda panel: (panel.stack(0.0), []),
        lambda panel: (panel.stack(0.0), [panel.stack(0.0)]),
        lambda panel: (panel.stack(0.0), [panel.stack(5000.0)[:, :-1]]),
        lambda panel: (panel.stack(0.0) * math.nan, [panel.stack(5000.0)]),
        lambda panel: (np.zeros(4), [panel.stack(5000.0)]),
        lambda panel: (panel.stack(0.0), [panel.stack(5000.0), panel.stack(5000.0)]),
        lambda panel: (panel.stack(0.0), [panel.stack(5000.0) * np.where(np.arange(SHAPE[1]) % 3, 1, 0.1)]),
    ],
    ids=["no flood", "no beam", "another size", "NaN", "not an image", "same dose twice", "too many defects"],
)
def test_calibrations_that_cannot_be_used(change: object) -> None:
    dark, floods = change(Panel())  # type: ignore[operator]
    with pytest.raises(UnusableDetectorCalibration):
        detector_calibration(dark, floods)


def test_frames_and_lag_models_that_cannot_be_used() -> None:
    panel = Panel()
    calibration = detector_calibration(panel.stack(0.0), [panel.stack(8000.0)])
    for frame in (np.zeros((3, 3)), np.full(SHAPE, np.nan)):
        with pytest.raises(UnusableFrame):
            corrected_frame(frame, calibration)
    with pytest.raises(UnusableFrame, match="no signal"):
        non_uniformity(np.zeros((2, 2), np.float32))
    with pytest.raises(UnusableDetectorCalibration):
        detector_calibration(panel.stack(0.0), [panel.stack(8000.0)], known_defects=np.zeros((2, 2), bool))
    for rates, parts in (((), ()), ((0.1,), (0.1, 0.1)), ((0.0,), (0.1,)), ((0.1,), (0.6,)), ((math.nan,), (0.1,))):
        with pytest.raises(UnusableDetectorCalibration):
            LagModel(rates, parts)
    correction = LagCorrection(LagModel((0.1,), (0.1,)))
    correction(np.ones((2, 2)))
    for frame in (np.ones((3, 2)), np.full((2, 2), np.nan)):
        with pytest.raises(UnusableFrame):
            correction(frame)
    for edge, exposed in itertools.product(([1.0, 0.1], [0.0] * 30, [1.0] * 30, [1.0, *[math.nan] * 20]), (50,)):
        with pytest.raises(UnusableDetectorCalibration):
            fit_lag(edge, exposed)
