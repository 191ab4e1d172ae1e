"""Progress: plain lines in a file, live steps on a terminal."""

from __future__ import annotations

import io

import pytest

from isoalign.cli.progress import StepProgress
from isoalign.clock import ManualClock


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def run_steps(stream: io.StringIO) -> str:
    clock = ManualClock()
    with StepProgress(stream=stream, clock=clock) as progress:
        progress("begin", "Match", None)
        clock.advance(1.25)
        progress("progress", "iteration 3", 0.4)
        progress("done", "accepted", None)
        progress("note", "target +1.00", None)
        progress("begin", "Move", None)
        clock.advance(2.0)
        progress("begin", "Second pair", None)
        progress("failed", "panel silent", None)
        progress("something new", "still shown", None)
        progress("done", "all", None)
    return stream.getvalue()


def test_plain_lines_where_it_is_no_terminal() -> None:
    assert run_steps(io.StringIO()).splitlines() == [
        "✓ Match: accepted (1.2 s)",
        "· target +1.00",
        "✓ Move (2.0 s)",
        "✗ Second pair: panel silent (0.0 s)",
        "· still shown",
        "✓ all",
    ]


def test_terminal_shows_the_same_steps_and_leaves_the_cursor_visible() -> None:
    shown = run_steps(Terminal())
    for part in ("Match: accepted", "Move", "Second pair: panel silent", "still shown"):
        assert part in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")


def test_an_open_step_fails_with_the_error_that_ends_it() -> None:
    stream = io.StringIO()

    def receive() -> None:
        with StepProgress(stream=stream, clock=ManualClock()) as progress:
            progress("begin", "Receive", None)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        receive()
    assert stream.getvalue() == "✗ Receive (0.0 s)\n"


def test_progress_without_a_step_opens_one() -> None:
    stream = io.StringIO()
    with StepProgress(stream=stream, clock=ManualClock()) as progress:
        progress("progress", "Images", 2.5)
    assert stream.getvalue() == "✓ Images (0.0 s)\n"
