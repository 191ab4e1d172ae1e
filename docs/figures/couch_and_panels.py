"""Plots of the calibration reports, made from the golden inputs of their scripts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from isoalign.calibration import (
    calibrate_channels,
    calibrate_couch,
    calibrate_detector,
    check_day,
    daily_record,
    read_couch_measurements,
    read_daily_measurements,
    read_panel_frames,
    read_stop_measurements,
    trends,
)
from isoalign.reports.channels_report import channels_document
from isoalign.reports.daily_report import daily_document
from isoalign.reports.detector_report import detector_document
from isoalign.reports.document import Document, Plot
from isoalign.reports.kinematics_report import kinematics_document
from isoalign.reports.pdf_report import plot_png

GOLDEN = Path(__file__).parents[2] / "calibration"


def draw_calibrations(folder: Path) -> None:
    """The first plot of each report."""
    kinematics = calibrate_couch(read_couch_measurements(GOLDEN / "couch_kinematics" / "golden" / "measurements.json"))
    channels = calibrate_channels(read_stop_measurements([GOLDEN / "two_channels" / "golden" / "recording.json"]))
    detector = calibrate_detector(read_panel_frames(GOLDEN / "detector" / "golden" / "frames.npz"))
    check = check_day(read_daily_measurements(GOLDEN / "daily_check" / "golden" / "shadows.json"))
    dice, days = np.random.default_rng(1), []
    for day in range(20):
        shift = check.shift + dice.normal(0.0, 0.03, 6) + np.array([0.0, 0.02 * day, 0.0, 0.0, 0.0, 0.0])
        one, later = daily_record(replace(check, shift=shift)), timedelta(days=day)
        days.append(replace(one, measured_at=one.measured_at + later, valid_until=one.valid_until + later))
    for name, document in (
        ("couch-kinematics", kinematics_document(kinematics)),
        ("couch-stops", channels_document(channels)),
        ("detector-lag", detector_document([detector])),
        ("daily-trend", daily_document(check, trends(days))),
    ):
        (folder / f"{name}.png").write_bytes(_first_plot(document))


def _first_plot(document: Document) -> bytes:
    return plot_png(next(block for block in document.blocks if isinstance(block, Plot)), 150.0, 110)
