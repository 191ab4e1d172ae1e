"""Mutants that are led by what the code does with them: those that reach new lines become parents of others.

The lines that run are seen by a trace function, in all threads that are started while it is set. The same seed and code
give the same mutants, as far as the threads under test do the same.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Self

from raw_dicom_peer import mutant

Line = tuple[str, int]
LEAST_BYTES = 64
"""Of a parent: it may lose some with every descendant."""


class Lines:
    """Sees which lines of some packages run; use as a context manager, one at a time.

    Parameters
    ----------
    parts : tuple of str
        A file is watched when its path holds one of these.
    """

    def __init__(self, parts: tuple[str, ...]) -> None:
        self.seen: set[Line] = set()
        self._parts = parts
        self._watched: dict[str, bool] = {}
        self._before: tuple[Any, Any] = (None, None)

    def __enter__(self) -> Self:
        self._before = sys.gettrace(), threading.gettrace()
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before[0])
        threading.settrace(self._before[1])  # type: ignore[arg-type]

    def take(self) -> set[Line]:
        """What has run since the last call."""
        taken, self.seen = self.seen, set()
        return taken

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        name = frame.f_code.co_filename
        watched = self._watched.get(name)
        if watched is None:
            watched = self._watched[name] = any(part in name for part in self._parts)
        if not watched:
            return None
        if event == "line":
            self.seen.add((name, frame.f_lineno))
        return self._trace


@dataclass(frozen=True)
class Guided:
    """Mutants, and what was found on the way: lines that ran, for how many parents, and lines of the first parent."""

    mutants: list[bytes]
    parents: int
    lines: int
    lines_of_whole: int


def guided_mutants(
    seed: int, count: int, whole: bytes, run: Callable[[bytes], None], watch: tuple[str, ...], *, tries: int
) -> Guided:
    """Mutants of some bytes and of their descendants.

    Parameters
    ----------
    run : callable
        Does with them what is to be explored; never raises.
    watch : tuple of str
        The files in whose paths one of these stands.
    tries : int
        How many of the first mutants are run to find parents; the others descend from what was found.
    """
    chance = random.Random(seed)
    parents, children = [whole], []
    with Lines(watch) as lines:
        run(whole)
        known = lines.take()
        lines_of_whole = len(known)
        for number in range(count):
            # mostly the youngest, which have got farthest; any other keeps the search out of one corner
            youngest = parents[-1 - min(int(chance.expovariate(0.5)), len(parents) - 1)]
            child = mutant(chance, chance.choice(parents) if chance.random() < 0.5 else youngest)
            children.append(child)
            if number < tries:
                run(child)
                found = lines.take()
                if not found <= known and len(child) >= LEAST_BYTES:
                    known |= found
                    parents.append(child)
    return Guided(children, len(parents), len(known), lines_of_whole)
