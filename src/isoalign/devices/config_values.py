"""Values of a configuration file from JSON types: every mistake is an error that names the key by its path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

from isoalign.devices.errors import BadDeviceConfig
from isoalign.geometry import AXES


def object_of(content: Any, where: str, shape: type[Any]) -> dict[str, Any]:
    """The keys and values of an object that has the fields of ``shape``; those without a default must be there."""
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


def axes_of(content: Any, where: str) -> dict[str, Any]:
    """An object whose keys are axes."""
    if not isinstance(content, dict):
        raise BadDeviceConfig(f"{where} must be an object of axes", key=where)
    for axis in content:
        if axis not in AXES:
            raise BadDeviceConfig(f"unknown key {where}.{axis}; axes are {', '.join(AXES)}", key=f"{where}.{axis}")
    return content


def positive_number(value: Any, where: str) -> float:
    """A number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise BadDeviceConfig(f"{where} must be a positive number, not {value!r}", key=where)
    return float(value)


def not_negative(value: Any, where: str) -> float:
    """A number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise BadDeviceConfig(f"{where} must be 0 or a positive number, not {value!r}", key=where)
    return float(value)


def text_of(value: Any, where: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise BadDeviceConfig(f"{where} must be a text, not {value!r}", key=where)
    return value


def whole_number(value: Any, where: str) -> int:
    """A whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadDeviceConfig(f"{where} must be a positive whole number, not {value!r}", key=where)
    return value


def range_of(pair: Any, where: str) -> tuple[float, float]:
    """Least and greatest value."""
    numbers = isinstance(pair, list | tuple) and len(pair) == 2
    if not numbers or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in pair):
        raise BadDeviceConfig(f"{where} must be [least, greatest], not {pair!r}", key=where)
    least, greatest = float(pair[0]), float(pair[1])
    if not least < greatest:
        raise BadDeviceConfig(f"{where}: {least:g} is not below {greatest:g}", key=where)
    return least, greatest


def finite_number(value: Any, where: str) -> float:
    """A number of either sign."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e6 < value < 1e6:
        raise BadDeviceConfig(f"{where} must be a number, not {value!r}", key=where)
    return float(value)


def truth_of(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise BadDeviceConfig(f"{where} must be true or false, not {value!r}", key=where)
    return value


def one_of(value: Any, known: Sequence[str], where: str) -> str:
    """One of a few words."""
    if value not in known:
        raise BadDeviceConfig(f"{where} must be one of {', '.join(known)}, not {value!r}", key=where)
    return str(value)


def utc_of(value: Any, where: str) -> datetime:
    """A moment in UTC, ISO 8601 with its offset, which must be zero."""
    try:
        moment = datetime.fromisoformat(text_of(value, where))
    except ValueError as error:
        raise BadDeviceConfig(f"{where} must be a time, 2026-01-31T12:00:00Z, not {value!r}", key=where) from error
    if moment.tzinfo is None or moment.utcoffset() != UTC.utcoffset(None):
        raise BadDeviceConfig(f"{where} must be in UTC and say so, 2026-01-31T12:00:00Z, not {value!r}", key=where)
    return moment
