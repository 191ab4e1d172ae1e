"""A line to a simulator's truth-and-fault socket: JSON lines over TCP, one answer per request.

Only supervision, tests and the disclosure after a session use it; the room process never does.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from isoalign.geometry import Representation, TableTopPosition
from isoalign.room.errors import ProcessFailed


class SimulatorControl:
    """Asks one simulator.

    Parameters
    ----------
    address : mapping with ``host`` and ``port``
        From the simulator's ready line.
    """

    def __init__(self, address: Mapping[str, Any], *, timeout_s: float = 10.0) -> None:
        self._socket = socket.create_connection((address["host"], address["port"]), timeout=timeout_s)
        self._lines = self._socket.makefile("rb")

    def ask(self, do: str, **parameters: Any) -> dict[str, Any]:
        """Send ``{"do": do, ...}`` and return the answer.

        Raises
        ------
        ProcessFailed
            When the simulator is gone or refuses.
        """
        try:
            self._socket.sendall(json.dumps({"do": do, **parameters}).encode() + b"\n")
            line = self._lines.readline()
        except OSError as error:
            raise ProcessFailed(f"the simulator does not answer {do!r}: {error}") from error
        if not line:
            raise ProcessFailed(f"the simulator closed its control line at {do!r}")
        answer = json.loads(line)
        if not isinstance(answer, dict) or "error" in answer:
            raise ProcessFailed(f"the simulator refused {do!r}: {answer}")
        return answer

    def truth(self) -> dict[str, Any]:
        """What truly is."""
        return self.ask("truth")

    def true_position(self) -> TableTopPosition:
        """The couch's true position, IEC 61217."""
        return TableTopPosition.from_values(Representation.IEC_61217, self.truth()["position"])

    def wait_until(self, holds: Callable[[dict[str, Any]], bool], *, timeout_s: float, what: str) -> dict[str, Any]:
        """Poll the truth until ``holds``; returns it, or raises ProcessFailed that says ``what`` did not happen."""
        deadline = time.monotonic() + timeout_s
        while True:
            truth = self.truth()
            if holds(truth):
                return truth
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{what}: not within {timeout_s:g} s; last truth {truth}")
            time.sleep(0.002)

    def close(self) -> None:
        """Close the line."""
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
