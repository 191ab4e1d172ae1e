"""Records across process borders: JSON types plus raw arrays, and back.

Only the types named here travel; nothing of what arrives is executed, unlike with pickle.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from isoalign import geometry, records
from isoalign.errors import IsoalignError
from isoalign.geometry import Frame, Pose


class UnreadableRecord(IsoalignError):
    """What another process sent is not a record of this version."""

    code = "room.unreadable-record"
    exit_code = 10
    default_hint = "Restart the room's processes so that all run the same version."


_ARRAY_TYPES = frozenset({"float64", "float32", "uint16", "int16"})
_TYPES: dict[str, type] = {
    name: kind
    for room in (geometry, records)
    for name in room.__all__
    if isinstance(kind := getattr(room, name), type) and (dataclasses.is_dataclass(kind) or issubclass(kind, Enum))
}
_FRAMES: dict[str, type[Frame]] = {
    name: kind
    for name in geometry.__all__
    if isinstance(kind := getattr(geometry, name), type) and issubclass(kind, Frame)
}


def pack(record: Any) -> tuple[Any, list[bytes]]:
    """A record as JSON types and the raw bytes of its arrays, in order.

    Raises
    ------
    TypeError
        When a value of a type that does not travel is inside.
    """
    arrays: list[bytes] = []

    def encode(value: Any) -> Any:
        match value:
            case None | bool() | int() | float() | str():
                return value
            case Enum():
                return {"$enum": type(value).__name__, "value": value.value}
            case datetime():
                return {"$datetime": value.isoformat()}
            case np.ndarray() if value.dtype.name in _ARRAY_TYPES:
                arrays.append(np.ascontiguousarray(value).tobytes())
                return {"$array": len(arrays) - 1, "dtype": value.dtype.name, "shape": list(value.shape)}
            case Pose():
                return {"$pose": [value.dst.__name__, value.src.__name__], "matrix": encode(value.matrix)}
            case tuple() | list():
                return [encode(item) for item in value]
            case Mapping():
                return {"$map": [[key, encode(item)] for key, item in value.items()]}
            case _ if dataclasses.is_dataclass(value) and type(value).__name__ in _TYPES:
                fields = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
                return {"$record": type(value).__name__, "fields": fields}
        raise TypeError(f"{type(value).__name__} does not travel between processes")

    return encode(record), arrays


def unpack(document: Any, arrays: Sequence[bytes]) -> Any:
    """The record that :func:`pack` took apart; sequences come back as tuples.

    Raises
    ------
    UnreadableRecord
    """

    def array(entry: dict[str, Any]) -> npt.NDArray[Any]:
        if entry["dtype"] not in _ARRAY_TYPES:
            raise UnreadableRecord(f"array type {entry['dtype']!r} is not one that travels")
        values = np.frombuffer(arrays[entry["$array"]], dtype=entry["dtype"])
        return values.reshape([int(n) for n in entry["shape"]])

    def decode(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(decode(item) for item in value)
        if not isinstance(value, dict):
            return value
        if "$enum" in value:
            return _TYPES[value["$enum"]](value["value"])
        if "$datetime" in value:
            return datetime.fromisoformat(value["$datetime"])
        if "$array" in value:
            return array(value)
        if "$pose" in value:
            dst, src = value["$pose"]
            return Pose.from_matrix(_FRAMES[dst], _FRAMES[src], array(value["matrix"]))
        if "$map" in value:
            return {key: decode(item) for key, item in value["$map"]}
        return _TYPES[value["$record"]](**{name: decode(item) for name, item in value["fields"].items()})

    try:
        return decode(document)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UnreadableRecord(f"a record could not be read: {type(error).__name__}: {error}") from error
