"""Errors of the calibrations."""

from __future__ import annotations

from isoalign.errors import CalibrationError


class InvalidPhantom(CalibrationError):
    """The description of a calibration phantom cannot be read or makes no sense."""

    code = "calibration.invalid-phantom"
    default_hint = "Correct the key that the message names; docs/how-to/calibrate-kv-imagers shows a phantom file."


class BallsNotFound(CalibrationError):
    """Too few ball shadows stand out in a radiograph."""

    code = "calibration.balls-not-found"
    default_hint = "Check that the phantom is in the field, that the exposure is not saturated, and the ball size."


class FieldNotFound(CalibrationError):
    """There is no treatment field in an image, or not a whole one."""

    code = "calibration.field-not-found"
    default_hint = "Use an open field of 20 to 40 mm that lies whole in the image, and check that it was exposed."


class BallsNotRecognised(CalibrationError):
    """Ball shadows were found but do not fit the pattern of the phantom."""

    code = "calibration.balls-not-recognised"
    default_hint = "Check the phantom file, which way round the phantom lies, and the nominal geometry of the imager."


class Underdetermined(CalibrationError):
    """The measurements do not determine the geometry."""

    code = "calibration.underdetermined"
    default_hint = "Use more balls, spread in depth as well as across the image."


class TooManyOutliers(CalibrationError):
    """More measurements disagree with the rest than single mistakes would explain."""

    code = "calibration.too-many-outliers"
    default_hint = "Check the phantom file and whether phantom or couch moved between the images."


class CouchAnglesContradicted(CalibrationError):
    """The couch angles that images state are contradicted by what the images show."""

    code = "calibration.couch-angles-contradicted"
    default_hint = (
        "Find out how the machine counts, then state it: --couch-angles as-tagged, or --couch-angles reversed."
    )


class OutsideCalibratedRange(CalibrationError):
    """A calibration was asked for a place where nothing was measured."""

    code = "calibration.outside-range"
    default_hint = "Stay within the range that was calibrated, or calibrate over a wider one."


class GateFailed(CalibrationError):
    """A calibration was computed but is not good enough to be published."""

    code = "calibration.gate-failed"
    default_hint = "Do not use the result. Check the phantom's position, repeat the images, then look at the residuals."


class InvalidCalibrationRecord(CalibrationError):
    """A stored calibration record cannot be read."""

    code = "calibration.invalid-record"
    default_hint = "Repeat the calibration, or fetch the record again from where it was stored."


class InvalidRoomKey(CalibrationError):
    """The room's signing key cannot be read or written."""

    code = "calibration.invalid-key"
    default_hint = "Name the PEM file of the key; a key is made once per room and kept outside of the records."


class RecordTampered(CalibrationError):
    """A calibration record was changed after it was signed."""

    code = "calibration.tampered-record"
    default_hint = "Do not use it. Fetch the record again from where it was stored, or repeat the calibration."


class RecordForeign(CalibrationError):
    """A calibration record belongs to another room or another device."""

    code = "calibration.foreign-record"
    default_hint = "Use the record that was made in this room with these devices, or calibrate them."


class RecordExpired(CalibrationError):
    """A calibration record is not valid at this time."""

    code = "calibration.expired-record"
    default_hint = "Repeat the calibration; also check the date and time of this computer."
