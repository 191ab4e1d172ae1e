"""Errors of the detector chain."""

from __future__ import annotations

from isoalign.errors import CalibrationError, InputDataError


class UnusableDetectorCalibration(CalibrationError):
    """Dark, flood or defect images do not make a detector calibration."""

    code = "imaging.unusable-detector-calibration"
    default_hint = (
        "Acquire dark images without, and flood images with the beam and an empty field, then calibrate anew."
    )


class UnusableFrame(InputDataError):
    """An image does not fit the detector's calibration."""

    code = "imaging.unusable-frame"
    default_hint = "Check the panel's mode (binning, size) against that of its calibration."
