"""What records of one kind have found over time: their figures, and how two differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from isoalign.calibration.errors import InvalidCalibrationRecord
from isoalign.calibration.signed_record import CalibrationRecord, RoomSeal, open_record
from isoalign.errors import CalibrationError

LONGEST_LIST = 6
"""Longer lists are measurements, not figures."""
NOT_FIGURES = frozenset({"table", "covariance", "measurements", "inputs"})


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record in a file, with what keeps it from being used now (empty: nothing)."""

    file: Path
    record: CalibrationRecord
    refused: str


def read_history(folder: str | Path, seal: RoomSeal, *, kind: str, now: datetime) -> tuple[KeptRecord, ...]:
    """The records of one kind in the JSON files of a folder, oldest first; each with whether it can be used now.

    Files that are no records, and records of another kind, are passed over. What was changed or is foreign stays in,
    and says so.
    """
    found = []
    for file in sorted(Path(folder).glob("*.json")):
        try:
            signed = json.loads(file.read_text(encoding="utf-8"))
            record = CalibrationRecord.from_content(signed["content"])
        except (OSError, ValueError, LookupError, TypeError, InvalidCalibrationRecord):
            continue
        if record.kind == kind:
            found.append(KeptRecord(file, record, _refused(signed, seal, now)))
    return tuple(sorted(found, key=lambda one: one.record.measured_at))


def figures(record: CalibrationRecord) -> dict[str, float]:
    """The single numbers of a record, by where they stand in it: ``axis_mm[0]``, ``rms_mm``."""
    found: dict[str, float] = {}
    for part in (record.result, record.residuals):
        _collect("", part, found)
    return found


def differences(old: CalibrationRecord, new: CalibrationRecord) -> dict[str, tuple[float | None, float | None]]:
    """Figure -> value in the old and in the new record; None where one does not have it.

    Raises
    ------
    InvalidCalibrationRecord
        When the records are of different kinds.
    """
    if old.kind != new.kind:
        raise InvalidCalibrationRecord(f"a record of {old.kind} cannot be compared with one of {new.kind}")
    before, after = figures(old), figures(new)
    return {name: (before.get(name), after.get(name)) for name in dict.fromkeys([*before, *after])}


def _refused(signed: Mapping[str, Any], seal: RoomSeal, now: datetime) -> str:
    try:
        open_record(signed, seal, now=now)
    except CalibrationError as error:
        return error.message
    return ""


def _collect(name: str, value: Any, found: dict[str, float]) -> None:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        found[name] = float(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in NOT_FIGURES:
                _collect(f"{name}.{key}" if name else str(key), inner, found)
    elif isinstance(value, list) and len(value) <= LONGEST_LIST:
        for place, inner in enumerate(value):
            _collect(f"{name}[{place}]", inner, found)
