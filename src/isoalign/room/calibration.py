"""The calibration records that a room works with: opened, checked, and turned into what imagers and couch need."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from isoalign.calibration import (
    CHANNELS_KIND,
    DETECTOR_KIND,
    KV_KIND,
    UNCORRECTED,
    CalibrationRecord,
    ChannelTables,
    DetectorCorrection,
    InvalidCalibrationRecord,
    RecordExpired,
    RoomSeal,
    TableTopCorrection,
    detector_corrections,
    geometries_of_record,
    read_record,
    table_top_correction,
)
from isoalign.geometry import ProjectionGeometry
from isoalign.room.errors import CalibrationIncomplete
from isoalign.room.settings import CalibrationSettings, RoomSettings

IMAGERS, COUCH, DETECTORS, CHANNELS = "imagers", "couch", "detectors", "channels"
ALL_RECORDS = (IMAGERS, COUCH, DETECTORS, CHANNELS)


@dataclass(frozen=True, slots=True)
class RoomCalibration:
    """What the records of a room say.

    Attributes
    ----------
    imagers : mapping of str to ProjectionGeometry
        Empty where the configuration names no record: then the imagers stand where it says.
    couch : TableTopCorrection
        Between the positions of the couch and those of its table top; without a record the couch is taken at its word.
    detectors : mapping of str to DetectorCorrection
        What takes offset, lag, gain and defects off the frames of each panel, in their order; empty without a record.
    channels : ChannelTables or None
        What the device daemon is told of the couch's second channel and of its stops.
    records : tuple of CalibrationRecord
    """

    imagers: Mapping[str, ProjectionGeometry] = field(default_factory=dict)
    couch: TableTopCorrection = UNCORRECTED
    detectors: Mapping[str, DetectorCorrection] = field(default_factory=dict)
    channels: ChannelTables | None = None
    records: tuple[CalibrationRecord, ...] = ()

    def require_valid(self, now: datetime) -> None:
        """Refuse to go on with a record that has expired since it was opened.

        Raises
        ------
        RecordExpired
        """
        for record in self.records:
            if now > record.valid_until:
                raise RecordExpired(
                    f"the record of {record.kind} was valid until {record.valid_until:%Y-%m-%d %H:%M %Z}, and it is "
                    f"{now:%Y-%m-%d %H:%M %Z} now"
                )

    def in_words(self) -> tuple[str, ...]:
        """One line for each record, for reports and logs."""
        return tuple(
            f"{one.kind} of {one.measured_at:%Y-%m-%d %H:%M %Z}, valid until {one.valid_until:%Y-%m-%d}"
            for one in self.records
        )


UNCALIBRATED = RoomCalibration()
"""A room that works with what its configuration states."""


def load_calibration(settings: RoomSettings, now: datetime, *, use: Collection[str] = ALL_RECORDS) -> RoomCalibration:
    """Open the records that a configuration names.

    Parameters
    ----------
    settings : RoomSettings
    now : datetime
        Aware.
    use : collection of str
        Records to work with. A calibration leaves out the record that it is to replace: that may have expired.

    Raises
    ------
    InvalidRoomKey, InvalidCalibrationRecord, RecordTampered, RecordForeign, RecordExpired
    CalibrationIncomplete
        When an imager of the room is not in the record, or there is a record of a couch and no couch.
    """
    stated = settings.calibration
    if stated is None or not set(use) & set(ALL_RECORDS):
        return UNCALIBRATED
    seal = RoomSeal.load(stated.seal)
    records = []
    imagers: Mapping[str, ProjectionGeometry] = {}
    if stated.imagers is not None and IMAGERS in use:
        record = _read(stated.imagers, seal, KV_KIND, stated, now)
        records.append(record)
        imagers = _imagers(record, settings, stated.imagers)
    couch: TableTopCorrection = UNCORRECTED
    if stated.couch is not None and COUCH in use:
        _require_couch(settings, stated.couch, COUCH)
        record = _read(stated.couch, seal, None, stated, now)
        records.append(record)
        couch = table_top_correction(record)
    detectors: Mapping[str, DetectorCorrection] = {}
    if stated.detectors is not None and stated.detector_maps is not None and DETECTORS in use:
        record = _read(stated.detectors, seal, DETECTOR_KIND, stated, now)
        records.append(record)
        detectors = _detectors(record, settings, stated.detector_maps)
    channels: ChannelTables | None = None
    if stated.channels is not None and CHANNELS in use:
        _require_couch(settings, stated.channels, CHANNELS)
        record = _read(stated.channels, seal, CHANNELS_KIND, stated, now)
        records.append(record)
        channels = ChannelTables.from_record(record)
    return RoomCalibration(imagers, couch, detectors, channels, tuple(records))


def _require_couch(settings: RoomSettings, path: Path, key: str) -> None:
    if settings.couch is None:
        raise CalibrationIncomplete(
            f"{path.name} is a record of a couch, and the room has none",
            hint=f"Leave calibration.{key} out, or state [couch].",
        )


def _read(
    path: Path, seal: RoomSeal, kind: str | None, stated: CalibrationSettings, now: datetime
) -> CalibrationRecord:
    """A record of this room; the devices that it names must have the serial numbers that the configuration states."""
    record = read_record(path, seal, kind=kind, now=now)
    wanted = {role: serial for role, serial in stated.devices.items() if role in record.devices}
    return read_record(path, seal, kind=kind, now=now, devices=wanted)


def _detectors(record: CalibrationRecord, settings: RoomSettings, maps: Path) -> Mapping[str, DetectorCorrection]:
    try:
        found = detector_corrections(record, maps.read_bytes())
    except OSError as error:
        raise InvalidCalibrationRecord(f"the maps of the detectors cannot be read: {error}") from error
    for imager in settings.imager:
        if imager.name not in found:
            raise CalibrationIncomplete(f"{maps.name} says nothing of panel {imager.name}", imager=imager.name)
        shape = found[imager.name].calibration.dark.shape
        if shape != (imager.rows, imager.columns):
            raise CalibrationIncomplete(
                f"{maps.name}: panel {imager.name} was calibrated with {shape[0]} x {shape[1]} pixels, the "
                f"configuration states {imager.rows} x {imager.columns}",
                imager=imager.name,
            )
    return found


def _imagers(record: CalibrationRecord, settings: RoomSettings, path: Path) -> Mapping[str, ProjectionGeometry]:
    found = geometries_of_record(record)
    for imager in settings.imager:
        if imager.name not in found:
            raise CalibrationIncomplete(f"{path.name} says nothing of imager {imager.name}", imager=imager.name)
        grid = found[imager.name].grid
        if (grid.rows, grid.columns) != (imager.rows, imager.columns):
            raise CalibrationIncomplete(
                f"{path.name}: imager {imager.name} was calibrated with {grid.rows} x {grid.columns} pixels, the "
                f"configuration states {imager.rows} x {imager.columns}",
                imager=imager.name,
            )
    return found
