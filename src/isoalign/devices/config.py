"""The daemon's configuration file: addresses of the devices, limits and times. An unknown key is an error."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from isoalign.devices.clearance_config import ClearanceConfig, parse_clearance
from isoalign.devices.config_values import (
    axes_of,
    finite_number,
    not_negative,
    object_of,
    one_of,
    positive_number,
    range_of,
    text_of,
    truth_of,
    utc_of,
    whole_number,
)
from isoalign.devices.errors import BadDeviceConfig
from isoalign.devices.status import NORMAL, SPEEDS
from isoalign.geometry import AXES

IN_ROOM, REMOTE = "in-room", "remote"
_NUMBER_ENDINGS = ("_s", "_mm", "_deg", "_c", "_kg", "_percent")


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """Where a device listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class SerialAddress:
    """A serial line and its speed in bits per second."""

    serial: str
    baud: int = 921_600


@dataclass(frozen=True, slots=True)
class ImagerAddress:
    """The three connections of one kV imager: generator, panel commands, panel images."""

    name: str
    generator: TcpAddress
    panel: TcpAddress
    image: TcpAddress


@dataclass(frozen=True, slots=True)
class ApproachConfig:
    """From which side a unidirectional motion comes to its target.

    Attributes
    ----------
    overshoot_mm, overshoot_deg : float
        Length of the last part of the way; more than the play of an axis.
    signs : dict of axis to +1 or -1
        Direction of the last part, the one in which the axis was calibrated; +1 for axes that are not named.
    """

    overshoot_mm: float = 0.5
    overshoot_deg: float = 0.05
    signs: dict[str, int] = field(default_factory=dict)

    @property
    def last_part(self) -> tuple[float, ...]:
        """The last part of the way of every axis, signed, mm and degrees."""
        lengths = (self.overshoot_mm,) * 3 + (self.overshoot_deg,) * 3
        return tuple(self.signs.get(axis, 1) * length for axis, length in zip(AXES, lengths, strict=True))


@dataclass(frozen=True, slots=True)
class RecordConfig:
    """Where the bytes of every link are written.

    Attributes
    ----------
    folder : Path
        Made when it is not there.
    file_mb : float
        A file that has grown beyond this is closed and the next one begun.
    files : int
        As many of each link are kept; the oldest is removed.
    pixels : bool
        Whether the pixels of images are recorded, too; without, only what came with them.
    """

    folder: Path
    file_mb: float = 16.0
    files: int = 4
    pixels: bool = False


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """All settings of the daemon.

    Attributes
    ----------
    socket : Path
        Of the daemon's Unix socket.
    room : str
        Name of the room, by which programs on this computer find the daemon; may be empty.
    couch, pendant, imagers, gantry
        Addresses, the couch's of a serial line or of TCP; None or empty for devices that this room does not have.
    limits : dict of axis to (least, greatest)
        Travel of the couch as this room allows it, mm and degrees; the couch's own travel narrows it further.
    soft_limit_margin_mm, soft_limit_margin_deg : float
        How far inside the limits a target must lie.
    arrival_tolerance_mm, arrival_tolerance_deg : float
        Read-back to target at standstill.
    plan_expiry_s : float
        A prepared motion may begin within this time.
    plan_start_tolerance_mm, plan_start_tolerance_deg : float
        How far the couch may be from where the plan was made.
    enable_wait_s : float
        How long a motion waits for the enable bar.
    enable_press_age_s : float
        A press of the bar older than this does not start a motion.
    settling_s : float
        Allowed beyond the duration of the profile until the couch must have arrived.
    exposure_limit_s : float
        From the first command of an exposure until its image must be complete.
    client_lease_s : float
        A client whose heartbeat stands still for longer loses its motion.
    tick_s : float
        Period at which ages are looked at when nothing arrives.
    secondary_lag_s : dict of axis to seconds
        Overrides what the couch says about its second channel.
    secondary_scale, secondary_offset : dict of axis to float
        How the second channel errs, from a calibration of both: see :class:`isoalign.interlocks.Settings`.
    stop_reaction_s : dict of axis to seconds
        How long an axis was seen to go on after a stop beyond its braking: ``reaction_s`` of the stop table. Stops are
        predicted with it where it is longer than what the couch says of its drives.
    clearance : ClearanceConfig or None
        What couch and patient must keep clear of. None: plans say that the clearance was not checked.
    approach : ApproachConfig
        For motions that are prepared with a unidirectional approach.
    record : RecordConfig or None
        In the file also just the folder. None: nothing is recorded.
    beam : bool
        Whether the room tells the state of its treatment beam; then motion needs it, fresh and off.
    calibration_valid_until : datetime or None
        In the file UTC, ISO 8601. From then on no motion begins. None: the calibration does not expire.
    payload_range_kg : (float, float)
        Load of the table top with which the couch may move.
    payload_change_kg : float
        The load may change by this much between plan and arrival.
    sag_mm_per_kg, sag_deg_per_kg : float
        Of a couch that allows for its load: so far, at most, the position that it tells sinks (vertical) and tilts
        (pitch) for each kilogram that gets on the table. As far as that it is no motion without a command.
    drive_temperature_limit_c, panel_temperature_limit_c : float
        No motion begins with a hotter drive, no exposure with a hotter panel.
    panel_lag_limit_percent : float
        An image is refused when the dark frame after it shows more of it than this.
    speed_class : str
        "service", "normal" or "fast", for motions that do not name one.
    observation : str
        Who watches motions: "in-room", or "remote", where every motion needs a dry run of its path.
    dry_run_expiry_s : float
        A dry run allows motions for this long.
    """

    socket: Path
    room: str = ""
    couch: SerialAddress | TcpAddress | None = None
    pendant: TcpAddress | None = None
    imagers: tuple[ImagerAddress, ...] = ()
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    soft_limit_margin_mm: float = 2.0
    soft_limit_margin_deg: float = 0.2
    arrival_tolerance_mm: float = 0.05
    arrival_tolerance_deg: float = 0.01
    plan_expiry_s: float = 60.0
    plan_start_tolerance_mm: float = 0.1
    plan_start_tolerance_deg: float = 0.02
    enable_wait_s: float = 10.0
    enable_press_age_s: float = 10.0
    settling_s: float = 3.0
    exposure_limit_s: float = 20.0
    client_lease_s: float = 0.250
    tick_s: float = 0.010
    secondary_lag_s: dict[str, float] = field(default_factory=dict)
    secondary_scale: dict[str, float] = field(default_factory=dict)
    secondary_offset: dict[str, float] = field(default_factory=dict)
    stop_reaction_s: dict[str, float] = field(default_factory=dict)
    clearance: ClearanceConfig | None = None
    approach: ApproachConfig = ApproachConfig()
    record: RecordConfig | None = None
    beam: bool = False
    calibration_valid_until: datetime | None = None
    payload_range_kg: tuple[float, float] = (-2.0, 150.0)
    payload_change_kg: float = 10.0
    sag_mm_per_kg: float = 0.0
    sag_deg_per_kg: float = 0.0
    drive_temperature_limit_c: float = 80.0
    panel_temperature_limit_c: float = 40.0
    panel_lag_limit_percent: float = 0.5
    speed_class: str = NORMAL
    observation: str = IN_ROOM
    dry_run_expiry_s: float = 1800.0
    gantry: TcpAddress | None = None


def load_daemon_config(path: Path) -> DaemonConfig:
    """The configuration in a JSON file.

    Raises
    ------
    BadDeviceConfig
        Names the key by its path.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadDeviceConfig(
            f"cannot read {path}: {error}", hint="Check that the file is there and is JSON."
        ) from error
    return parse_daemon_config(content)


def parse_daemon_config(content: Any) -> DaemonConfig:
    """The configuration from JSON types; see :func:`load_daemon_config`."""
    values = object_of(content, "", DaemonConfig)
    values["socket"] = Path(text_of(values["socket"], "socket"))
    if values.get("room", "") != "":
        values["room"] = text_of(values["room"], "room")
    if values.get("couch") is not None:
        is_tcp = isinstance(values["couch"], dict) and not {"host", "port"}.isdisjoint(values["couch"])
        values["couch"] = (_tcp if is_tcp else _serial)(values["couch"], "couch")
    for name in ("pendant", "gantry"):
        if values.get(name) is not None:
            values[name] = _tcp(values[name], name)
    values["imagers"] = _imagers(values.get("imagers", []))
    values["limits"] = {
        axis: range_of(pair, f"limits.{axis}") for axis, pair in axes_of(values.get("limits", {}), "limits").items()
    }
    for name in ("secondary_lag_s", "stop_reaction_s"):
        values[name] = {
            axis: not_negative(time_s, f"{name}.{axis}") for axis, time_s in axes_of(values.get(name, {}), name).items()
        }
    for name in ("secondary_scale", "secondary_offset"):
        values[name] = {
            axis: finite_number(value, f"{name}.{axis}") for axis, value in axes_of(values.get(name, {}), name).items()
        }
    if values.get("clearance") is not None:
        values["clearance"] = parse_clearance(values["clearance"], "clearance")
    values["approach"] = _approach(values.get("approach", {}))
    if values.get("record") is not None:
        values["record"] = _record(values["record"])
    if "beam" in values:
        values["beam"] = truth_of(values["beam"], "beam")
    if values.get("calibration_valid_until") is not None:
        values["calibration_valid_until"] = utc_of(values["calibration_valid_until"], "calibration_valid_until")
    if "payload_range_kg" in values:
        values["payload_range_kg"] = range_of(values["payload_range_kg"], "payload_range_kg")
    for name, known in (("speed_class", SPEEDS), ("observation", (IN_ROOM, REMOTE))):
        if name in values:
            values[name] = one_of(values[name], known, name)
    for name in values:
        if name.endswith(_NUMBER_ENDINGS) and name not in {"secondary_lag_s", "stop_reaction_s", "payload_range_kg"}:
            values[name] = positive_number(values[name], name)
    return DaemonConfig(**values)


def _tcp(content: Any, where: str) -> TcpAddress:
    values = object_of(content, where, TcpAddress)
    return TcpAddress(text_of(values["host"], f"{where}.host"), whole_number(values["port"], f"{where}.port"))


def _serial(content: Any, where: str) -> SerialAddress:
    values = object_of(content, where, SerialAddress)
    return SerialAddress(
        text_of(values["serial"], f"{where}.serial"), whole_number(values.get("baud", 921_600), f"{where}.baud")
    )


def _imagers(content: Any) -> tuple[ImagerAddress, ...]:
    if not isinstance(content, list):
        raise BadDeviceConfig("imagers must be a list", key="imagers")
    found: list[ImagerAddress] = []
    for number, entry in enumerate(content):
        where = f"imagers[{number}]"
        values = object_of(entry, where, ImagerAddress)
        name = text_of(values["name"], f"{where}.name")
        if name in [imager.name for imager in found]:
            raise BadDeviceConfig(f"{where}.name: there are two imagers {name!r}", key=f"{where}.name")
        parts = {part: _tcp(values[part], f"{where}.{part}") for part in ("generator", "panel", "image")}
        found.append(ImagerAddress(name, **parts))
    return tuple(found)


def _approach(content: Any) -> ApproachConfig:
    values = object_of(content, "approach", ApproachConfig)
    for name in ("overshoot_mm", "overshoot_deg"):
        if name in values:
            values[name] = positive_number(values[name], f"approach.{name}")
    for axis, sign in axes_of(values.get("signs", {}), "approach.signs").items():
        if isinstance(sign, bool) or sign not in {1, -1}:
            key = f"approach.signs.{axis}"
            raise BadDeviceConfig(f"{key} must be 1 or -1, not {sign!r}", key=key)
    return ApproachConfig(**values)


def _record(content: Any) -> RecordConfig:
    values = object_of({"folder": content} if isinstance(content, str) else content, "record", RecordConfig)
    values["folder"] = Path(text_of(values["folder"], "record.folder"))
    if "file_mb" in values:
        values["file_mb"] = positive_number(values["file_mb"], "record.file_mb")
    if "files" in values:
        values["files"] = whole_number(values["files"], "record.files")
    if not isinstance(values.get("pixels", False), bool):
        raise BadDeviceConfig("record.pixels must be true or false", key="record.pixels")
    return RecordConfig(**values)
