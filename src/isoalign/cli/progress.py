"""Progress on standard error: live steps with check marks on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from isoalign.clock import Clock, SystemClock


class StepProgress:
    """Shows the events of a long command; an instance is the ``on_event`` callable of the room.

    Kinds of events:

    ``begin``
        A step starts; one that is still open is finished first.
    ``progress``
        How far the open step is; ``fraction`` 0 to 1, ``text`` (when not empty) says where it is.
    ``done``
        The open step is finished; ``text`` (when not empty) says with what result.
    ``failed``
        The open step failed.
    ``warning``
        Something the user should know; no step.
    ``note`` or any other kind
        A line of information; no step.
    """

    def __init__(self, *, stream: TextIO | None = None, clock: Clock | None = None) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock or SystemClock()
        self._console = Console(file=self._stream, highlight=False, soft_wrap=True)
        self._live: Progress | None = None
        if self._console.is_terminal:
            self._live = Progress(
                SpinnerColumn(finished_text=" "),
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
        self._open: str | None = None
        self._opened_at_s = 0.0
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is not None:
            self._close("✓" if kind is None else "✗", "")
        if self._live is not None:
            self._live.stop()

    def __call__(self, kind: str, text: str, fraction: float | None = None) -> None:
        """Show one event."""
        if kind == "begin":
            if self._open is not None:
                self._close("✓", "")
            self._begin(text)
        elif kind == "progress":
            self._advance(text, fraction)
        elif kind == "done":
            self._close("✓", text)
        elif kind == "failed":
            self._close("✗", text)
        elif kind == "warning":
            self._print("!", text, style="yellow")
        else:
            self._print("·", text, style="dim")

    def _begin(self, text: str) -> None:
        self._open = text
        self._opened_at_s = self._clock.monotonic_s()
        if self._live is not None:
            self._task = self._live.add_task(text, total=None)

    def _advance(self, text: str, fraction: float | None) -> None:
        if self._open is None:
            self._begin(text)
        if self._live is None or self._task is None:
            return
        if text and self._open is not None:
            self._live.update(self._task, description=f"{self._open}: {text}" if text != self._open else text)
        if fraction is not None:
            self._live.update(self._task, total=1.0, completed=min(max(fraction, 0.0), 1.0))

    def _close(self, mark: str, text: str) -> None:
        if self._open is None:
            self._print(mark, text, style="green" if mark == "✓" else "red")
            return
        took_s = self._clock.monotonic_s() - self._opened_at_s
        line = f"{self._open}: {text}" if text and text != self._open else self._open
        if self._live is not None and self._task is not None:
            self._live.remove_task(self._task)
        self._task = None
        self._open = None
        self._print(mark, f"{line} ({took_s:.1f} s)", style="green" if mark == "✓" else "red")

    def _print(self, mark: str, text: str, *, style: str) -> None:
        console = self._live.console if self._live is not None else self._console
        console.print(f"[{style}]{mark}[/{style}] ", end="")
        console.print(text, markup=False)
