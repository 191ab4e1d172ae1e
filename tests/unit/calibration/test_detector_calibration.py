"""Detector calibration on panels with planted offset, gain, defects and lag, and effects that nothing models."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from isoalign.calibration import (
    DetectorResult,
    GateFailed,
    InvalidCalibrationRecord,
    LagRun,
    PanelFrames,
    RecordTampered,
    Underdetermined,
    calibrate_detector,
    classified_defects,
    detector_arrays,
    detector_corrections,
    detector_record,
    read_panel_frames,
)
from isoalign.simulators.panel_image import PanelPhysics, panel_pattern
from isoalign.simulators.panel_lag import LagParameters, PanelLag

ROWS, COLUMNS = 160, 128
PHYSICS = PanelPhysics(dead_pixel_fraction=3e-4, dead_segments=0, gain_shading=0.06, gain_spread=0.02)
HELD = LagParameters(amplitudes=(0.02, 0.008, 0.004, 0.002), times_s=(0.1, 0.6, 4.0, 30.0))
"""Ten times what the simulated rooms have: 2.6 % in the first frame."""


class Panel:
    """A panel of the simulators, read by hand; its answer bends a little, which no flood of one dose shows."""

    def __init__(self, seed: int, *, bend: float = 0.01) -> None:
        self.pattern = panel_pattern(seed, "A", ROWS, COLUMNS, PHYSICS)
        self.dice = np.random.default_rng(seed)
        self.lag = PanelLag(HELD)
        self.at_s = 0.0
        self.bend = bend

    def read(self, level: float, after_s: float) -> npt.NDArray[np.uint16]:
        self.at_s += after_s
        signal = level * (1 - self.bend * level / 40_000) * self.pattern.gain
        counts = self.dice.poisson(signal / 0.15) * 0.15 + self.pattern.offset_counts
        counts = counts + self.dice.normal(0.0, 3.0, counts.shape)
        counts = np.where(self.pattern.stuck_counts >= 0, self.pattern.stuck_counts, np.rint(counts))
        raw = np.clip(counts, 0, 65535).astype("<u2").tobytes()
        frame = np.frombuffer(self.lag.expose(raw, self.at_s), dtype="<u2").reshape(ROWS, COLUMNS)
        return frame.copy()


def frames_of(panel: Panel, *, doses: tuple[float, ...] = (9_000.0, 20_000.0)) -> PanelFrames:
    dark = np.stack([panel.read(0.0, 1 / 15) for _ in range(50)])
    floods = [np.stack([panel.read(level, 60.0) for _ in range(12)]) for level in doses]
    runs = []
    for _ in range(3):
        exposed = panel.read(18_000.0, 300.0)
        steps = np.r_[np.full(15, 1 / 15), np.full(9, 1.0)]
        runs.append(LagRun(exposed, np.stack([panel.read(0.0, step) for step in steps]), np.cumsum(steps)))
    moment = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
    return PanelFrames("A", dark, tuple(floods), tuple(runs), moment, 31.5, {"panel A": "SIM-PANEL-A"})


@pytest.fixture(scope="module")
def frames() -> PanelFrames:
    return frames_of(Panel(3))


@pytest.fixture(scope="module")
def result(frames: PanelFrames) -> DetectorResult:
    return calibrate_detector(frames)


def test_planted_errors_are_corrected_on_frames_kept_out(result: DetectorResult) -> None:
    result.require_published()
    assert result.uncorrected_non_uniformity > 0.025
    assert result.non_uniformity <= 0.01
    assert result.uncorrected_first_frame_lag > 0.02
    assert abs(result.first_frame_lag) <= 0.002


def test_every_planted_defect_is_in_the_map_and_few_others(result: DetectorResult) -> None:
    planted = Panel(3).pattern.stuck_counts >= 0
    found = result.calibration.defects
    assert planted.any()
    assert found[planted].all()
    assert found.sum() - planted.sum() <= 2


@pytest.mark.parametrize("seed", [11, 12])
def test_another_exposure_at_another_dose_is_even(seed: int) -> None:
    """Judged by the truth: what an even panel without lag would have shown."""
    panel = Panel(seed)
    correct = detector_corrections(*_stored(calibrate_detector(frames_of(panel))))["A"]
    panel.at_s += 600.0
    first = correct(panel.read(14_000.0, 0.0), panel.at_s)
    dark = correct(panel.read(0.0, 1 / 15), panel.at_s)
    assert first.std() / first.mean() <= 0.01
    assert dark.mean() / first.mean() <= 0.005


def _stored(result: DetectorResult) -> tuple[object, bytes]:  # type: ignore[type-arg]
    arrays = detector_arrays([result])
    return detector_record([result], arrays), arrays


def test_clusters_and_lines_are_told_apart_and_kernels_found() -> None:
    wrong = np.zeros((40, 60), bool)
    wrong[5, 5] = True  # one pixel
    wrong[10, 10:12] = True  # two that touch: each has seven good neighbours
    wrong[20:23, 20:23] = True  # nine: every one has fewer than six good ones around
    wrong[2:38, 50] = True  # a line
    found = classified_defects(wrong)
    assert (found.single, found.clusters, found.lines, found.largest_cluster) == (1, 2, 1, (3, 3))
    expected = np.zeros_like(wrong)
    expected[20:23, 20:23] = True
    expected[[20, 20, 22, 22], [20, 22, 20, 22]] = False  # corners: five good neighbours
    np.testing.assert_array_equal(found.kernels, expected)


def test_a_cluster_near_the_centre_fails_the_gate(frames: PanelFrames) -> None:
    spoiled = [stack.copy() for stack in frames.floods]
    for stack in spoiled:
        stack[:, 80:83, 60:63] = 0
    with pytest.raises(GateFailed, match="near the centre"):
        calibrate_detector(replace(frames, floods=tuple(spoiled))).require_published()


def test_a_missed_exposure_is_named_and_left_out(frames: PanelFrames) -> None:
    spoiled = frames.floods[1].copy()
    spoiled[4] = frames.dark[0]
    found = calibrate_detector(replace(frames, floods=(frames.floods[0], spoiled)))
    assert found.left_out == ("flood 2, frame 5",)
    found.require_published()


def test_a_drifting_offset_fails_the_gate(frames: PanelFrames) -> None:
    drift = (np.arange(50) * 0.2).astype(np.uint16)[:, None, None]
    with pytest.raises(GateFailed, match="drifted by"):
        calibrate_detector(replace(frames, dark=frames.dark + drift)).require_published()


@pytest.mark.parametrize(
    ("what", "words"), [("dark", "49 dark frames"), ("floods", "8 flood frames"), ("lag", "needed for the lag")]
)
def test_too_little_is_refused(frames: PanelFrames, what: str, words: str) -> None:
    less = {"dark": frames.dark[:49], "floods": (frames.floods[0][:7],), "lag": frames.lag[:1]}
    with pytest.raises(Underdetermined, match=words):
        calibrate_detector(replace(frames, **{what: less[what]}))


def test_record_and_arrays_belong_together(result: DetectorResult) -> None:
    record, arrays = _stored(result)
    assert detector_arrays([result]) == arrays
    again = detector_corrections(record, arrays)["A"]  # type: ignore[arg-type]
    np.testing.assert_array_equal(again.calibration.dark, result.calibration.dark)
    assert again.lag == result.lag
    with pytest.raises(RecordTampered):
        detector_corrections(record, arrays[:-1] + b"x")  # type: ignore[arg-type]


def test_frames_come_from_a_file(frames: PanelFrames, tmp_path: Path) -> None:
    file = tmp_path / "A.npz"
    stored = {"dark": frames.dark, "flood1": frames.floods[0], "measured_at": np.array("2026-03-01T07:30:00+00:00")}
    for number, run in enumerate(frames.lag, start=1):
        stored |= {f"lag{number}": np.concatenate([run.exposed[None], run.after]), f"lag{number}_t_s": run.t_s}
    np.savez_compressed(file, **stored)
    found = read_panel_frames(file)
    assert found.name == "A"
    np.testing.assert_array_equal(found.lag[2].after, frames.lag[2].after)
    calibrate_detector(found).require_published()
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(InvalidCalibrationRecord):
        read_panel_frames(tmp_path / "bad.npz")
