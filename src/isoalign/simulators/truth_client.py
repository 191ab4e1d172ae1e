"""One request to a simulator's truth or control connection, for programs that do not run a simulation themselves."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any

from isoalign.errors import error_from_wire
from isoalign.simulators.errors import InvalidTruthRequest, SimulatorSilent

TIMEOUT_S = 5.0
_ANSWER_MAX_BYTES = 1 << 20
_RESERVED = frozenset({"do", "name"})


def parameters_from_words(words: Sequence[str]) -> dict[str, Any]:
    """``key=value`` words as a request's parameters; numbers become numbers.

    Raises
    ------
    InvalidTruthRequest
    """
    parameters: dict[str, Any] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not separator or not key or not value:
            raise InvalidTruthRequest(f"{word!r} is not key=value", hint="For example axis=longitudinal or p=0.3.")
        if key in _RESERVED or key in parameters:
            raise InvalidTruthRequest(f"{key!r} is given twice" if key in parameters else f"{key!r} is no parameter")
        parameters[key] = _number(value)
    return parameters


def ask(address: str, request: dict[str, Any], *, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Send one request and return the answer.

    Parameters
    ----------
    address : str
        HOST:PORT.
    request : dict
        Of JSON types, with a text ``do``.
    timeout_s : float
        For connecting and for the answer, each.

    Raises
    ------
    InvalidTruthRequest
        When the address makes no sense.
    SimulatorSilent
        When nobody answers there, or not in the language of simulators.
    RemoteError
        What the simulator objects to.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InvalidTruthRequest(
            f"{address!r} is not HOST:PORT", hint="Use the truth or control address that isoalign simulate prints."
        )
    try:
        with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                line = lines.readline(_ANSWER_MAX_BYTES)
    except OSError as error:
        raise SimulatorSilent(f"no simulator answers at {address}: {error}") from error
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise SimulatorSilent(f"what answers at {address} is no truth or control connection") from error
    if not isinstance(answer, dict):
        raise SimulatorSilent(f"what answers at {address} is no truth or control connection")
    if "error" in answer:
        raise error_from_wire(answer["error"])
    return answer


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
