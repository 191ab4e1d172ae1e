"""The faults that the chain remembers, as JSON types: what latched, and what was seen from 2 s before to 2 s after."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from isoalign.clock import Clock
from isoalign.devices.ipc import JsonObject
from isoalign.interlocks import FaultRecord, Finding, Inputs, Observation

SAMPLE_PERIOD_S = 0.01
"""The chain is looked at more often than that; samples that are nearer to each other are left out."""


def fault_history(records: Sequence[FaultRecord], number: int, clock: Clock) -> JsonObject:
    """All faults that are remembered, the latest first, and the samples around one of them.

    Parameters
    ----------
    records : sequence of FaultRecord
        The latest last.
    number : int
        Of the fault whose samples are wanted: 0 is the latest.
    clock : Clock
    """
    newest_first = records[::-1]
    wanted = newest_first[number] if 0 <= number < len(newest_first) else None
    return {
        "faults": [_finding(record.fault, clock) for record in newest_first],
        "samples": [] if wanted is None else list(_samples(wanted)),
    }


def _finding(finding: Finding, clock: Clock) -> JsonObject:
    age_s = clock.monotonic_s() - finding.at_s
    at = clock.utc() - timedelta(seconds=age_s)
    return {"rule_id": finding.rule_id, "text": finding.text, "age_s": age_s, "at": at.isoformat()}


def _samples(record: FaultRecord) -> Iterable[JsonObject]:
    last_s = -math.inf
    for at_s, inputs in record.samples:
        if at_s - last_s >= SAMPLE_PERIOD_S:
            last_s = at_s
            yield {"t_s": round(at_s - record.fault.at_s, 4), **_inputs(inputs, at_s)}


def _inputs(inputs: Inputs, at_s: float) -> JsonObject:
    shown: JsonObject = {
        "activity": inputs.activity.value,
        "session_ok": None if inputs.session_ok is None else inputs.session_ok.value,
        "client_age_s": _age(inputs.client_heartbeat, at_s),
        "enable": None if inputs.enable is None else inputs.enable.value,
        "enable_age_s": _age(inputs.enable, at_s),
        "couch_age_s": _age(inputs.couch, at_s),
        "safety_age_s": _age(inputs.safety, at_s),
        "beam": None if inputs.beam is None else inputs.beam.value.value,
        "beam_age_s": _age(inputs.beam, at_s),
    }
    if inputs.couch is not None:
        report = inputs.couch.value
        shown["couch"] = {
            "primary": [_number(axis.primary) for axis in report.axes],
            "secondary": [_number(axis.secondary) for axis in report.axes],
            "velocity": [_number(axis.velocity) for axis in report.axes],
            "brake": report.brake.value,
            "standstill": report.standstill,
            "faults": list(report.faults),
        }
    if inputs.safety is not None:
        safety = asdict(inputs.safety.value)
        shown["safety"] = {key: _plain(value) for key, value in safety.items()}
    return shown


def _age(observed: Observation[Any] | None, at_s: float) -> float | None:
    return None if observed is None else round(observed.age_s(at_s), 4)


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return _number(value)
    return getattr(value, "value", value)
