"""The daemon's configuration file: addresses of the devices, limits and times. An unknown key is an error."""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from isoalign.devices.errors import BadDeviceConfig
from isoalign.geometry import AXES


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
class DaemonConfig:
    """All settings of the daemon.

    Attributes
    ----------
    socket : Path
        Of the daemon's Unix socket.
    couch, pendant, imagers
        Addresses; None or empty for devices that this room does not have.
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
    """

    socket: Path
    couch: SerialAddress | None = None
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
    values = _object(content, "", DaemonConfig)
    values["socket"] = Path(_text(values["socket"], "socket"))
    if values.get("couch") is not None:
        values["couch"] = _serial(values["couch"], "couch")
    if values.get("pendant") is not None:
        values["pendant"] = _tcp(values["pendant"], "pendant")
    values["imagers"] = _imagers(values.get("imagers", []))
    values["limits"] = {
        axis: _range(pair, f"limits.{axis}") for axis, pair in _axes(values.get("limits", {}), "limits").items()
    }
    values["secondary_lag_s"] = {
        axis: _number(lag, f"secondary_lag_s.{axis}")
        for axis, lag in _axes(values.get("secondary_lag_s", {}), "secondary_lag_s").items()
    }
    for name in values:
        if name.endswith(("_s", "_mm", "_deg")) and name != "secondary_lag_s":
            values[name] = _number(values[name], name)
    return DaemonConfig(**values)


def _object(content: Any, where: str, shape: type[Any]) -> dict[str, Any]:
    name = where or "the configuration"
    if not isinstance(content, dict):
        raise BadDeviceConfig(f"{name} must be an object", key=where)
    known = {f.name: f for f in fields(shape)}
    for key in content:
        if key not in known:
            path = f"{where}.{key}".lstrip(".")
            raise BadDeviceConfig(f"unknown key {path}; known here: {', '.join(sorted(known))}", key=path)
    for key, described in known.items():
        if key not in content and described.default is MISSING and described.default_factory is MISSING:
            path = f"{where}.{key}".lstrip(".")
            raise BadDeviceConfig(f"key {path} is missing", key=path)
    return dict(content)


def _axes(content: Any, where: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise BadDeviceConfig(f"{where} must be an object of axes", key=where)
    for axis in content:
        if axis not in AXES:
            raise BadDeviceConfig(f"unknown key {where}.{axis}; axes are {', '.join(AXES)}", key=f"{where}.{axis}")
    return content


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise BadDeviceConfig(f"{where} must be a positive number, not {value!r}", key=where)
    return float(value)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise BadDeviceConfig(f"{where} must be a text, not {value!r}", key=where)
    return value


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadDeviceConfig(f"{where} must be a positive whole number, not {value!r}", key=where)
    return value


def _range(pair: Any, where: str) -> tuple[float, float]:
    numbers = isinstance(pair, list | tuple) and len(pair) == 2
    if not numbers or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in pair):
        raise BadDeviceConfig(f"{where} must be [least, greatest], not {pair!r}", key=where)
    least, greatest = float(pair[0]), float(pair[1])
    if not least < greatest:
        raise BadDeviceConfig(f"{where}: {least:g} is not below {greatest:g}", key=where)
    return least, greatest


def _tcp(content: Any, where: str) -> TcpAddress:
    values = _object(content, where, TcpAddress)
    return TcpAddress(_text(values["host"], f"{where}.host"), _whole(values["port"], f"{where}.port"))


def _serial(content: Any, where: str) -> SerialAddress:
    values = _object(content, where, SerialAddress)
    return SerialAddress(
        _text(values["serial"], f"{where}.serial"), _whole(values.get("baud", 921_600), f"{where}.baud")
    )


def _imagers(content: Any) -> tuple[ImagerAddress, ...]:
    if not isinstance(content, list):
        raise BadDeviceConfig("imagers must be a list", key="imagers")
    found: list[ImagerAddress] = []
    for number, entry in enumerate(content):
        where = f"imagers[{number}]"
        values = _object(entry, where, ImagerAddress)
        name = _text(values["name"], f"{where}.name")
        if name in [imager.name for imager in found]:
            raise BadDeviceConfig(f"{where}.name: there are two imagers {name!r}", key=f"{where}.name")
        parts = {part: _tcp(values[part], f"{where}.{part}") for part in ("generator", "panel", "image")}
        found.append(ImagerAddress(name, **parts))
    return tuple(found)
