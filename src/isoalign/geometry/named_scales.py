"""The scales of machines as far as they are published, and how a site states the rest.

Rotations: the scale tables and tests of the public quality-assurance library pylinac (``core/scale.py``). The zero of
the IBA table top: manual of the maker, section 6-3, by way of public notes. No public source was found for
translations, pitch and roll of any of these scales: they are unverified.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isoalign.geometry.errors import InvalidGeometry
from isoalign.geometry.machine_scale import (
    LINEAR_AXES,
    SCALE_AXES,
    AxisScale,
    MachineScale,
    Wrap,
)
from isoalign.geometry.table_top import AXES

_IEC = "IEC 61217: the scale itself"
_ROTATIONS = "pylinac core/scale.py and its tests"
_UNKNOWN = AxisScale()
_SAME = AxisScale(wrap=Wrap.UNIPOLAR, source=_ROTATIONS)
_MIRRORED = AxisScale(sign=-1, wrap=Wrap.UNIPOLAR, source=_ROTATIONS)
_FROM_180 = AxisScale(sign=-1, zero=180.0, wrap=Wrap.UNIPOLAR, source=_ROTATIONS)
_UNPUBLISHED = dict.fromkeys(AXES[:5], _UNKNOWN)

IEC_61217_SCALE = MachineScale(
    "iec61217",
    {
        **dict.fromkeys(LINEAR_AXES, AxisScale(source=_IEC)),
        **dict.fromkeys(SCALE_AXES[3:], AxisScale(wrap=Wrap.UNIPOLAR, source=_IEC)),
    },
    origin_source=_IEC,
)
"""IEC 61217 itself, angles shown from 0 to 360."""

VARIAN_IEC_SCALE = MachineScale(
    "varian-iec",
    {
        **_UNPUBLISHED,
        "patient_support_angle": _MIRRORED,
        "gantry_angle": _SAME,
        "beam_limiting_device_angle": _SAME,
    },
)
"""Varian IEC (also called Varian IEC 601): the couch turns the other way."""

VARIAN_STANDARD_SCALE = MachineScale(
    "varian-standard",
    {
        **_UNPUBLISHED,
        "patient_support_angle": _FROM_180,
        "gantry_angle": _FROM_180,
        "beam_limiting_device_angle": _FROM_180,
    },
)
"""Varian Standard: all rotations are 180 degrees minus the IEC 61217 angle."""

ELEKTA_IEC_SCALE = MachineScale(
    "elekta-iec",
    {
        **_UNPUBLISHED,
        "patient_support_angle": _MIRRORED,
        "gantry_angle": _SAME,
        "beam_limiting_device_angle": _SAME,
    },
)
"""Elekta IEC: the couch turns the other way."""

IBA_SCALE = MachineScale(
    "iba",
    {
        **dict.fromkeys(LINEAR_AXES, _UNKNOWN),
        "pitch": AxisScale(wrap=Wrap.BIPOLAR),
        "roll": AxisScale(wrap=Wrap.BIPOLAR),
        "patient_support_angle": _UNKNOWN,
    },
    table_top_origin_mm=(0.0, 0.0, 100.0),
)
"""IBA robotic table: its origin lies 100 mm above the table top. Where along the table depends on the site's IEC origin
(it is 850 mm in front of the robot's sixth joint), so the origin counts as unverified until the site states it."""

NAMED_SCALES: Mapping[str, MachineScale] = {
    scale.name: scale
    for scale in (IEC_61217_SCALE, VARIAN_IEC_SCALE, VARIAN_STANDARD_SCALE, ELEKTA_IEC_SCALE, IBA_SCALE)
}
"""By name, as on the command line and in configuration files."""

_UNIT_SIZES = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "deg": 1.0}
_AXIS_KEYS = frozenset({"sign", "zero", "unit", "wrap", "source"})
_SCALE_KEYS = frozenset({"based_on", "axes", "table_top_origin_mm", "origin_source"})


def scale_from_mapping(name: str, table: Mapping[str, Any]) -> MachineScale:
    """The scale that a site states, as read from a TOML table.

    ::

        [scale.room-2]
        based_on = "varian-iec"
        table_top_origin_mm = [0.0, 0.0, 0.0]
        origin_source = "acceptance protocol, page 12"

        [scale.room-2.axes.vertical]
        sign = 1
        zero = 100.0            # reading at the IEC 61217 value 0, in the unit of the reading
        unit = "cm"             # mm (default), cm, m; deg for angles
        source = "acceptance protocol, page 12"

    Parameters
    ----------
    name : str
    table : mapping
        ``axes`` may be any of lateral, longitudinal, vertical, pitch, roll, patient_support_angle, gantry_angle,
        beam_limiting_device_angle; ``wrap`` is "continuous", "0 to 360" or "-180 to 180". An axis that is stated needs
        a source. ``based_on`` is a named scale; without it every axis must be stated.

    Raises
    ------
    InvalidGeometry
        Names the key that is wrong.
    """
    where = f"scale.{name}"
    _refuse_unknown(table, _SCALE_KEYS, where)
    base_name = table.get("based_on")
    if base_name is not None and base_name not in NAMED_SCALES:
        raise InvalidGeometry(f"{where}.based_on: {base_name!r} is none of {', '.join(NAMED_SCALES)}")
    base = MachineScale(name, {}) if base_name is None else NAMED_SCALES[base_name]
    stated = {axis: _axis_from(f"{where}.axes.{axis}", axis, keys) for axis, keys in table.get("axes", {}).items()}
    scale = base.with_axes(name, stated)
    if "table_top_origin_mm" not in table and "origin_source" not in table:
        return scale
    origin = table.get("table_top_origin_mm", (0.0, 0.0, 0.0))
    if not isinstance(origin, (list, tuple)) or len(origin) != 3 or not all(map(_is_number, origin)):
        raise InvalidGeometry(f"{where}.table_top_origin_mm: three numbers in mm, not {origin!r}")
    x, y, z = (float(value) for value in origin)
    return scale.with_origin((x, y, z), _source_from(where, "origin_source", table))


def _axis_from(where: str, axis: str, keys: Mapping[str, Any]) -> AxisScale:
    if axis not in SCALE_AXES:
        raise InvalidGeometry(f"{where}: unknown axis; known are {', '.join(SCALE_AXES)}")
    _refuse_unknown(keys, _AXIS_KEYS, where)
    linear = axis in LINEAR_AXES
    unit = keys.get("unit", "mm" if linear else "deg")
    if unit not in _UNIT_SIZES or (unit == "deg") is linear:
        raise InvalidGeometry(f"{where}.unit: {unit!r} is none of {'mm, cm, m' if linear else 'deg'}")
    try:
        wrap = Wrap(keys.get("wrap", (Wrap.CONTINUOUS if linear else Wrap.UNIPOLAR).value))
    except ValueError:
        raise InvalidGeometry(
            f"{where}.wrap: {keys['wrap']!r} is none of {', '.join(one.value for one in Wrap)}"
        ) from None
    if linear and wrap is not Wrap.CONTINUOUS:
        raise InvalidGeometry(f"{where}.wrap: a translation does not wrap")
    sign, zero = keys.get("sign"), keys.get("zero", 0.0)
    if isinstance(sign, bool) or sign not in {1, -1}:
        raise InvalidGeometry(f"{where}.sign: 1 or -1 must be stated, not {sign!r}")
    if not _is_number(zero):
        raise InvalidGeometry(f"{where}.zero: a number in {unit}, not {zero!r}")
    return AxisScale(int(sign), float(zero), _UNIT_SIZES[unit], wrap, _source_from(where, "source", keys))


def _source_from(where: str, key: str, table: Mapping[str, Any]) -> str:
    source = table.get(key, "")
    if not isinstance(source, str) or not source.strip():
        raise InvalidGeometry(f"{where}.{key}: say who states this, e.g. an acceptance protocol and its page")
    return source


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _refuse_unknown(table: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise InvalidGeometry(f"{where}: unknown keys {', '.join(unknown)}; known are {', '.join(sorted(known))}")
