"""A motion of couch or gantry on the command line: asked for, confirmed, shown while it happens."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from isoalign.cli.errors import UnusableArgument


class Step(Protocol):
    """Where a motion has come to."""

    @property
    def phase(self) -> str:
        """One of the phases of :mod:`isoalign.devices.status`."""

    @property
    def elapsed_s(self) -> float:
        """Since it began."""

    @property
    def expected_s(self) -> float:
        """What it takes in all."""

    @property
    def fraction(self) -> float:
        """0 to 1."""


S = TypeVar("S", bound=Step)


class ShownMotion(Generic[S]):
    """Shows a motion on standard error; an instance is what the room tells its progress to.

    Parameters
    ----------
    what : str
        What moves: "couch", "gantry", "imager arm".
    where : callable, optional
        Says in words where a step of the motion is.
    """

    def __init__(self, what: str, where: Callable[[S], str] = lambda _step: "") -> None:
        from isoalign.cli.progress import StepProgress

        self._what = what
        self._where = where
        self._progress = StepProgress()
        self._phase = ""

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)
        if kind is KeyboardInterrupt:
            go_on = 'isoalign couch clear --user NAME --reason "..."'
            print(f"the {self._what} was held; go on with: {go_on}", file=sys.stderr)

    def __call__(self, step: S) -> None:
        """Show one step."""
        from isoalign.room.devices_tools import WAITING_FOR_ENABLE

        if step.phase != self._phase:
            self._phase = step.phase
            if step.phase == "arrived":
                self._progress("done", f"arrived after {step.elapsed_s:.1f} s", None)
                return
            if step.phase == WAITING_FOR_ENABLE:
                self._progress("note", press_words(self._what), None)
            self._progress("begin", step.phase, None)
        left_s = max(0.0, step.expected_s - step.elapsed_s)
        words = [self._where(step), f"{left_s:.0f} s left"] if step.phase == "moving" else []
        self._progress("progress", ", ".join(word for word in words if word), step.fraction)


def press_words(what: str) -> str:
    """What somebody at the pendant has to do."""
    return f"press the enable bar of the pendant to its middle position, and keep it there until the {what} has arrived"


def require_somebody_to_ask(*, answered: bool, as_json: bool) -> None:
    """Raise UnusableArgument when a motion must be confirmed and nobody is there."""
    if not answered and (as_json or not sys.stdin.isatty()):
        raise UnusableArgument(
            "a motion must be confirmed, and there is nobody to ask",
            hint="Confirm it on the command line with --yes, or see the plan with --plan-only.",
        )


def is_confirmed(what: str) -> bool:
    """Ask on the terminal."""
    print(f"Move the {what}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() in {"y", "yes"}:
        return True
    print("not confirmed: nothing has moved", file=sys.stderr)
    return False


def hold_room(socket: Path | None, room: str | None, reason: str, schema: str | None) -> int:
    """Hold everything in a room and say so, as a JSON document where a schema is named; returns the exit code."""
    from isoalign.room import devices_tools

    devices_tools.hold(devices_tools.find_socket(socket, room), reason)
    print(
        f"held: {reason}"
        if schema is None
        else json.dumps({"schema": schema, "held": True, "reason": reason}, indent=2)
    )
    return 0
