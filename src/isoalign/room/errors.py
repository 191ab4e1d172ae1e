"""Errors of the room: configuration and the supervision of its processes."""

from __future__ import annotations

from isoalign.errors import (
    CalibrationError,
    ConfigurationError,
    InputDataError,
    IsoalignError,
    PositioningError,
    StorageError,
)


class SettingsInvalid(ConfigurationError):
    """``room.toml`` does not say what it should."""

    code = "config.invalid"
    default_hint = "Correct the keys that the message names; `isoalign config show` prints a complete example."


class SettingsMissing(ConfigurationError):
    """There is no configuration file at the given path, or it cannot be read."""

    code = "config.missing"
    default_hint = "Name an existing file; `isoalign config show > room.toml` writes a documented example."


class ProcessFailed(IsoalignError):
    """A process of the room did not start, or ended when it should not."""

    code = "room.process-failed"
    exit_code = 10
    default_hint = "The end of its log is shown above; the whole log lies in the output folder."


class ProgramMissing(IsoalignError):
    """A program that an option asks for is not installed."""

    code = "room.program-missing"
    exit_code = 10
    default_hint = "Install it, or leave the option out."


class PatientNotChecked(PositioningError):
    """The room has a model for the clearance of motions, but this motion was planned without the patient in it."""

    code = "room.patient-not-checked"
    default_hint = "Load the patient again; if it stays so, start the room anew with [clearance] in its configuration."


class InRoomCtSilent(PositioningError):
    """The field of an in-room CT was open for long enough, and no images were confirmed."""

    code = "room.in-room-ct-silent"
    default_hint = (
        "Check that the scanner sends to this room and asks for storage commitment, then open the field again."
    )


# --- files of positions -------------------------------------------------------------------------------------------


class UnknownNotation(ConfigurationError):
    """A name is neither a representation nor a scale that is built in or stated in the configuration."""

    code = "positions.unknown-scale"
    default_hint = "Use a name of the list; a scale of your own is stated in room.toml and needs --config room.toml."


class OutputExists(ConfigurationError):
    """The file to be written is there already."""

    code = "positions.output-exists"
    default_hint = "Name another file, or overwrite it with --force."


class UnknownFileKind(ConfigurationError):
    """The ending of a file does not say whether it is CSV or Parquet."""

    code = "positions.unknown-file-kind"
    default_hint = "Files end in .csv or .parquet."


class PositionFileUnreadable(InputDataError):
    """A file of positions is missing, or is not what its ending says."""

    code = "positions.unreadable"
    default_hint = "Name a CSV file (UTF-8, commas, one line of column names) or a Parquet file."


class PositionFileEmpty(InputDataError):
    """A file of positions holds no position."""

    code = "positions.empty"
    default_hint = "Check the program that wrote the file."


class PositionColumnsWrong(InputDataError):
    """A file of positions lacks columns, has them twice, or has them with the wrong type."""

    code = "positions.columns"
    default_hint = "Rename the columns as the message says; angles may be missing only with --level."


class PositionRefused(InputDataError):
    """A value in a file of positions is no number, or so large that it must have another unit. Nothing is written."""

    code = "positions.value"
    default_hint = "Correct the value in the file; nothing was written."


class RepresentationContradicted(InputDataError):
    """A file of positions says itself what its positions are, and it is not what --from says."""

    code = "positions.representation"
    default_hint = "Give what the file says with --from, or correct the file."


class OutputNotWritten(StorageError):
    """A converted file cannot be written where it should be. What was there before is untouched."""

    code = "positions.not-written"
    default_hint = "Name a folder that exists, that you may write to and that has room left."


# --- a registration as a couch move -------------------------------------------------------------------------------


class RegistrationNotUsable(InputDataError):
    """A registration does not join the plan's frame of reference to exactly one other in a rigid way."""

    code = "shift.registration"
    default_hint = "Export one rigid registration of this plan's CT with the images of the day."


class PatientPositionsDiffer(InputDataError):
    """The registration was made of images in another patient position than the plan's."""

    code = "shift.patient-position"
    default_hint = "Check how the patient lay; image again in the planned position."


class TableTopUnknown(InputDataError):
    """Where the table top was when the images were taken is not known: the plan leaves it empty."""

    code = "shift.table-top-unknown"
    default_hint = "Read it from the couch and give it: --table LATERAL LONGITUDINAL VERTICAL PITCH ROLL PSA."


class BeamUnknown(InputDataError):
    """The plan has no beam with the number that was asked for."""

    code = "shift.beam-unknown"
    default_hint = "Give one of the numbers that the message lists, or none for the first beam."


# --- cone-beam scans ----------------------------------------------------------------------------------------------


class UnusableScanFile(InputDataError):
    """A file with projections cannot be read, or lacks something that a reconstruction needs."""

    code = "scan.unusable-file"
    default_hint = "The how-to 'Reconstruct a cone-beam CT' lists the arrays that a scan's npz file holds."


# --- matches of files ---------------------------------------------------------------------------------------------


class UnusableMatchFiles(InputDataError):
    """The files to be matched do not belong together, or are not what a match needs."""

    code = "match.unusable-files"
    default_hint = "Name two acquired RT Images, or one folder or npz file with a volume of the day."


# --- studies ------------------------------------------------------------------------------------------------------


class UnusableStudy(ConfigurationError):
    """What a study is asked to do makes no sense."""

    code = "study.unusable"
    default_hint = "See isoalign study --help."


class StudyTableUnusable(ConfigurationError):
    """The table or the journal of a study belongs to another one, or cannot be written."""

    code = "study.table"
    default_hint = "Name another file, or remove this one."


class SchedulerUnreachable(IsoalignError):
    """The scheduler of the cluster does not answer."""

    code = "study.scheduler"
    exit_code = 10
    default_hint = "Start it with `dask scheduler`, and name the address that it prints."


class WorkersLost(IsoalignError):
    """Workers of a study died again and again."""

    code = "study.workers-lost"
    exit_code = 10
    default_hint = "Look at memory and at the logs of the workers; call the study again, it goes on where it was."


# --- files of calibrations ----------------------------------------------------------------------------------------


class NoBeamImages(InputDataError):
    """A folder or archive holds no field image, or cannot be read."""

    code = "calibration.no-images"
    default_hint = "Name a folder with the DICOM RT Images of the check, or a tar archive of it."


# --- calibration --------------------------------------------------------------------------------------------------


class CalibrationIncomplete(CalibrationError):
    """A calibration record does not say what the room needs to know."""

    code = "calibration.incomplete"
    default_hint = "Calibrate all imagers of the room together, with the panels as the configuration states them."


class UnusableRadiographFile(InputDataError):
    """An RT Image does not say how its values follow from X-ray intensity."""

    code = "image.unusable-file"
    default_hint = "Use an acquired image with Pixel Intensity Relationship LIN and Sign 1, or LOG and Sign -1."
