"""What a bad line does to bytes, one direction at a time and without input or output.

A frame is what stands before a zero byte and that byte; nothing else about the protocol is known here, so that driver
and device stay innocent and a spoiler cannot share their errors. Bytes go in with the time, and come out when due.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from isoalign.simulators.errors import InvalidTruthRequest, UnknownFault
from isoalign.simulators.fault_table import FaultParameters

DELIMITER = b"\x00"
TAPE_FRAMES = 1000
_UNFINISHED_MAX_BYTES = 4096


LINE_FAULTS = {
    "drop": FaultParameters("a frame is lost with probability p", {"p": 1.0}),
    "delay": FaultParameters("everything comes late", {"seconds": 0.1}),
    "jitter": FaultParameters("everything comes late by a random time, in order", {"seconds": 0.05}),
    "duplicate": FaultParameters("a frame comes again with probability p", {"p": 1.0, "copies": 1.0}),
    "reorder": FaultParameters("a frame is overtaken by the next ones with probability p", {"p": 0.5, "by": 1.0}),
    "bit_flip": FaultParameters("bits of a frame are flipped with probability p", {"p": 1.0, "bits": 1.0}),
    "burst": FaultParameters("a run of bytes in a frame is noise with probability p", {"p": 1.0, "bytes": 8.0}),
    "truncate": FaultParameters("a frame lacks its end, but not its delimiter, with probability p", {"p": 1.0}),
    "insert": FaultParameters("random bytes come into a frame with probability p", {"p": 1.0, "bytes": 1.0}),
    "freeze": FaultParameters("everything is taken and nothing is delivered"),
    "stall": FaultParameters("everything is kept back, and delivered at once when the fault is cleared"),
    "slow_loris": FaultParameters("one byte at a time", {"seconds": 0.005}),
}
"""Faults of one direction, with their parameters. ``replay`` is an act and not a state."""


class LinkDirection:
    """The bytes that go one way.

    Parameters
    ----------
    seed : int
        Of everything that is drawn.
    index : int
        Which direction, so that both draw different numbers from one seed.

    Attributes
    ----------
    faults : dict
        Active faults with their parameters.
    frames, delivered_bytes, spoiled, lost : int
        Whole frames that came; bytes that went on; frames that were changed, repeated or overtaken; frames that were
        thrown away.
    """

    def __init__(self, *, seed: int, index: int) -> None:
        self.faults: dict[str, dict[str, float]] = {}
        self.frames = self.delivered_bytes = self.spoiled = self.lost = 0
        self._random = np.random.default_rng([seed, 0x11, index])
        self._unfinished = bytearray()
        self._queue: list[tuple[float, int, bytes]] = []
        self._number = 0
        self._latest_due_s = float("-inf")
        self._overtaken: list[tuple[int, bytes]] = []
        self._stalled: list[bytes] = []
        self._passing: deque[bytes] = deque(maxlen=TAPE_FRAMES)
        self._tape: tuple[bytes, ...] = ()

    def start(self, name: str, parameters: dict[str, Any]) -> None:
        """Begin a fault; raises UnknownFault or InvalidTruthRequest."""
        self.faults[name] = _known(name).resolve(name, parameters)

    def stop(self, name: str, now_s: float) -> None:
        """End a fault; what it has kept back goes out at once."""
        _known(name)
        self.faults.pop(name, None)
        if name in {"delay", "jitter", "slow_loris"}:
            self._queue = [(min(due_s, now_s), number, data) for due_s, number, data in self._queue]
            heapq.heapify(self._queue)
            self._latest_due_s = min(self._latest_due_s, now_s)
        if name == "stall":
            kept, self._stalled = self._stalled, []
            for data in kept:
                self._put(data, now_s)
        elif name == "reorder":
            late, self._overtaken = self._overtaken, []
            for _, data in late:
                self._put(data, now_s)

    def record(self) -> int:
        """Keep the latest frames as the tape of an old session; how many."""
        self._tape = tuple(self._passing)
        return len(self._tape)

    def replay(self, now_s: float) -> int:
        """Send the tape again, at once; how many frames. Raises InvalidTruthRequest when there is none."""
        if not self._tape:
            raise InvalidTruthRequest("there is no tape to be replayed: record one first")
        for frame in self._tape:
            self._put(frame, now_s)
        self.spoiled += len(self._tape)
        return len(self._tape)

    def feed(self, data: bytes, now_s: float) -> None:
        """Take bytes."""
        self._unfinished += data
        while (end := self._unfinished.find(DELIMITER)) >= 0:
            frame = bytes(self._unfinished[: end + 1])
            del self._unfinished[: end + 1]
            self.frames += 1
            self._passing.append(frame)
            self._frame(frame, now_s)
        if len(self._unfinished) > _UNFINISHED_MAX_BYTES:  # no frames at all: let it pass as it is
            self._put(bytes(self._unfinished), now_s)
            self._unfinished.clear()

    def take(self, now_s: float) -> bytes:
        """What is due."""
        due = bytearray()
        while self._queue and self._queue[0][0] <= now_s:
            due += heapq.heappop(self._queue)[2]
        self.delivered_bytes += len(due)
        return bytes(due)

    def next_due_s(self) -> float | None:
        """When something is due next."""
        return self._queue[0][0] if self._queue else None

    def forget(self) -> None:
        """The line has gone: what was under way is lost."""
        self._unfinished.clear()
        self._queue.clear()
        self._overtaken.clear()
        self._stalled.clear()

    def _frame(self, frame: bytes, now_s: float) -> None:
        if "freeze" in self.faults or self._strikes("drop"):
            self.lost += 1
            return
        spoiled = frame
        for name, spoil in _SPOILERS.items():
            if self._strikes(name):
                spoiled = spoil(spoiled, self.faults[name], self._random)
        if spoiled != frame:
            self.spoiled += 1
        late = [(after - 1, kept) for after, kept in self._overtaken]
        self._overtaken = [(after, kept) for after, kept in late if after > 0]
        if self._strikes("reorder"):
            self.spoiled += 1
            self._overtaken.append((max(1, round(self.faults["reorder"]["by"])), spoiled))
        else:
            self._put(spoiled, now_s)
        for after, kept in late:
            if after <= 0:
                self._put(kept, now_s)
        if self._strikes("duplicate"):
            self.spoiled += 1
            for _ in range(max(1, round(self.faults["duplicate"]["copies"]))):
                self._put(spoiled, now_s)

    def _strikes(self, name: str) -> bool:
        parameters = self.faults.get(name)
        return parameters is not None and float(self._random.random()) < parameters["p"]

    def _put(self, data: bytes, now_s: float) -> None:
        if "stall" in self.faults:
            self._stalled.append(data)
            return
        due_s = now_s
        if "delay" in self.faults:
            due_s += self.faults["delay"]["seconds"]
        if "jitter" in self.faults:
            due_s += float(self._random.uniform(0.0, self.faults["jitter"]["seconds"]))
        slow = self.faults.get("slow_loris")
        for part in [data[i : i + 1] for i in range(len(data))] if slow else [data]:
            if slow:
                due_s = max(due_s, self._latest_due_s) + slow["seconds"]
            due_s = max(due_s, self._latest_due_s)
            self._latest_due_s = due_s
            self._number += 1
            heapq.heappush(self._queue, (due_s, self._number, part))


_Spoiler = Callable[[bytes, dict[str, float], np.random.Generator], bytes]


def _flip(frame: bytes, parameters: dict[str, float], random: np.random.Generator) -> bytes:
    damaged = bytearray(frame)
    count = min(max(1, round(parameters["bits"])), 8 * len(damaged))
    for bit in random.choice(8 * len(damaged), size=count, replace=False):
        damaged[bit // 8] ^= 1 << (bit % 8)
    return bytes(damaged)


def _burst(frame: bytes, parameters: dict[str, float], random: np.random.Generator) -> bytes:
    length = min(max(1, round(parameters["bytes"])), len(frame))
    first = int(random.integers(0, len(frame) - length + 1))
    return frame[:first] + random.bytes(length) + frame[first + length :]


def _truncate(frame: bytes, _parameters: dict[str, float], random: np.random.Generator) -> bytes:
    return frame[: int(random.integers(0, max(1, len(frame) - 1)))] + DELIMITER


def _insert(frame: bytes, parameters: dict[str, float], random: np.random.Generator) -> bytes:
    at = int(random.integers(0, len(frame)))
    return frame[:at] + random.bytes(max(1, round(parameters["bytes"]))) + frame[at:]


_SPOILERS: dict[str, _Spoiler] = {"bit_flip": _flip, "burst": _burst, "truncate": _truncate, "insert": _insert}


def _known(name: str) -> FaultParameters:
    if name not in LINE_FAULTS:
        raise UnknownFault(f"a line cannot play the fault {name!r}; it can: {', '.join(LINE_FAULTS)}")
    return LINE_FAULTS[name]
