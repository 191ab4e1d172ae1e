"""What couch and patient must keep clear of, as the daemon's configuration says it.

The shapes themselves are checked by the worker process, which builds bodies of them; here only that every key is known
and has the right type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from isoalign.devices.config_values import finite_number, object_of, positive_number, text_of
from isoalign.devices.errors import BadDeviceConfig

EXAMPLE_ROOM = "example"
"""In place of a room: the example room of :mod:`isoalign.geometry.clearance`, without a patient."""
FRAMES = ("fixed", "table_top", "gantry")
STOWED, EXTENDED, BETWEEN = "stowed", "extended", "between"
IMAGER_ARM = ("", STOWED, EXTENDED, BETWEEN)
"""Where the imager arm is while a part is there: "" whatever the arm does; "between" is what it sweeps on its way."""


@dataclass(frozen=True, slots=True)
class PartConfig:
    """One convex body; see :class:`isoalign.geometry.clearance.ConvexPart`.

    Attributes
    ----------
    frame : str
        "fixed", "table_top" or "gantry": what the part moves with.
    vertices_mm : sequence of (x, y, z)
        In that frame.
    imager_arm : str
        Of a part of the gantry's imager arm: where the arm is while the part is there; one of ``IMAGER_ARM``.
    """

    name: str
    frame: str
    vertices_mm: Sequence[Sequence[float]]
    body: str = ""
    arm: str = ""
    slides: bool = False
    imager_arm: str = ""


@dataclass(frozen=True, slots=True)
class RoomConfig:
    """The bodies of a room; see :class:`isoalign.geometry.clearance.RoomModel`.

    Attributes
    ----------
    pairs : tuple of (str, str)
        Bodies to be checked against each other; empty: all that the table top carries with all that it does not.
    uncertainty_mm : float
        Subtracted from every distance.
    patient_unchecked : bool
        There is no patient among the parts, and that is meant.
    """

    parts: tuple[PartConfig, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    uncertainty_mm: float = 5.0
    patient_unchecked: bool = False


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """Where everything stands that is not the couch, as long as no device reports it. None is unknown.

    A part that moves with something unknown makes every plan fail: unknown is never clear.
    """

    gantry_angle_deg: float | None = None
    snout_extension_mm: float | None = None
    arm_angles_deg: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClearanceConfig:
    """How the clearance of a motion is checked.

    Attributes
    ----------
    room : RoomConfig or None
        None is the example room.
    required_mm : float
        Least clearance anywhere on the way; the way that a stop of the couch may need is added.
    step_mm : float
        No point of what moves goes further between two samples of the way.
    timeout_s : float
        A worker that has not answered by then is ended, and the motion is refused.
    patient : tuple of PartConfig
        Who lies on the table top, in its frame; usually placed later, by the program that knows the patient.
    """

    room: RoomConfig | None
    required_mm: float = 30.0
    step_mm: float = 2.0
    timeout_s: float = 5.0
    machine: MachineConfig = MachineConfig()
    patient: tuple[PartConfig, ...] = ()


def clearance_to_wire(config: ClearanceConfig) -> dict[str, Any]:
    """The inverse of :func:`parse_clearance`: JSON types."""
    return asdict(config) | {"room": EXAMPLE_ROOM if config.room is None else asdict(config.room)}


def parse_clearance(content: Any, where: str) -> ClearanceConfig:
    """The section of the configuration from JSON types; raises BadDeviceConfig, which names the key."""
    values = object_of(content, where, ClearanceConfig)
    for name in ("required_mm", "step_mm", "timeout_s"):
        if name in values:
            values[name] = positive_number(values[name], f"{where}.{name}")
    values["room"] = None if values["room"] == EXAMPLE_ROOM else _room(values["room"], f"{where}.room")
    values["patient"] = parse_parts(values.get("patient", []), f"{where}.patient")
    values["machine"] = _machine(values.get("machine", {}), f"{where}.machine")
    return ClearanceConfig(**values)


def parse_parts(content: Any, where: str) -> tuple[PartConfig, ...]:
    """Bodies from JSON types; raises BadDeviceConfig, which names the key."""
    return tuple(_part(part, f"{where}[{number}]") for number, part in enumerate(_list(content, where)))


def _room(content: Any, where: str) -> RoomConfig:
    if isinstance(content, str):
        raise BadDeviceConfig(f'{where} must be an object or "{EXAMPLE_ROOM}", not {content!r}', key=where)
    values = object_of(content, where, RoomConfig)
    values["parts"] = parse_parts(values["parts"], f"{where}.parts")
    values["pairs"] = tuple(
        _pair(pair, f"{where}.pairs[{number}]")
        for number, pair in enumerate(_list(values.get("pairs", []), f"{where}.pairs"))
    )
    if "uncertainty_mm" in values:
        values["uncertainty_mm"] = finite_number(values["uncertainty_mm"], f"{where}.uncertainty_mm")
    if not isinstance(values.get("patient_unchecked", False), bool):
        raise BadDeviceConfig(f"{where}.patient_unchecked must be true or false", key=f"{where}.patient_unchecked")
    return RoomConfig(**values)


def _part(content: Any, where: str) -> PartConfig:
    values = object_of(content, where, PartConfig)
    values["name"] = text_of(values["name"], f"{where}.name")
    if values["frame"] not in FRAMES:
        raise BadDeviceConfig(f"{where}.frame must be one of {', '.join(FRAMES)}", key=f"{where}.frame")
    key = f"{where}.vertices_mm"
    rows = _list(values["vertices_mm"], key)
    if any(len(_list(row, key)) != 3 for row in rows):
        raise BadDeviceConfig(f"{key} must be rows of three numbers", key=key)
    values["vertices_mm"] = tuple(tuple(finite_number(value, key) for value in row) for row in rows)
    for name in ("body", "arm"):
        if not isinstance(values.get(name, ""), str):
            raise BadDeviceConfig(f"{where}.{name} must be a text", key=f"{where}.{name}")
    if not isinstance(values.get("slides", False), bool):
        raise BadDeviceConfig(f"{where}.slides must be true or false", key=f"{where}.slides")
    if values.get("imager_arm", "") not in IMAGER_ARM:
        named = ", ".join(repr(place) for place in IMAGER_ARM)
        raise BadDeviceConfig(f"{where}.imager_arm must be one of {named}", key=f"{where}.imager_arm")
    if values.get("imager_arm") and values["frame"] == "table_top":
        raise BadDeviceConfig(f"{where}: the table top carries no imager arm", key=f"{where}.imager_arm")
    return PartConfig(**values)


def _pair(content: Any, where: str) -> tuple[str, str]:
    names = _list(content, where)
    if len(names) != 2:
        raise BadDeviceConfig(f"{where} must be two names of bodies", key=where)
    return text_of(names[0], where), text_of(names[1], where)


def _machine(content: Any, where: str) -> MachineConfig:
    values = object_of(content, where, MachineConfig)
    for name in ("gantry_angle_deg", "snout_extension_mm"):
        if values.get(name) is not None:
            values[name] = finite_number(values[name], f"{where}.{name}")
    arms = values.get("arm_angles_deg", {})
    if not isinstance(arms, dict):
        raise BadDeviceConfig(f"{where}.arm_angles_deg must be an object", key=f"{where}.arm_angles_deg")
    values["arm_angles_deg"] = {
        arm: finite_number(angle, f"{where}.arm_angles_deg.{arm}") for arm, angle in arms.items()
    }
    return MachineConfig(**values)


def _list(content: Any, where: str) -> list[Any]:
    if not isinstance(content, list | tuple):
        raise BadDeviceConfig(f"{where} must be a list", key=where)
    return list(content)
