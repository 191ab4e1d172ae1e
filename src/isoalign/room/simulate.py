"""The device simulators by themselves, for drivers and scripts of others."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from isoalign.room.errors import ProcessFailed
from isoalign.room.processes import ProcessGroup
from isoalign.room.settings import load_settings
from isoalign.room.simulation import SimulatedRoom

POLL_S = 0.2


def run(
    *,
    scene: Path | None,
    config: Path | None,
    seed: int,
    on_ready: Callable[[list[dict[str, Any]]], None],
) -> None:
    """Start couch, imager, pendant and gantry simulators, report their addresses, and run until SIGINT or SIGTERM.

    Parameters
    ----------
    scene : Path or None
        A scene file that the imagers see instead of an empty couch.

    Raises
    ------
    ProcessFailed
        When a simulator does not start or ends by itself.
    """
    settings = load_settings(config)
    with tempfile.TemporaryDirectory(prefix="isoalign-") as folder:
        start = settings.session_settings().default_setup
        with SimulatedRoom(settings, Path(folder), start, seed=seed, scene_file=scene) as room:

            def begin() -> None:
                room.start_machines()
                on_ready(room.ready_lines())

            _run_until_told(room.processes, begin)


def run_one(kind: str, options: Sequence[str], *, on_ready: Callable[[list[dict[str, Any]]], None]) -> None:
    """Start one simulator alone, report its addresses, and run until SIGINT or SIGTERM.

    Parameters
    ----------
    kind : str
        As ``python -m isoalign.simulators`` names it.
    options : sequence of str
        Its own.

    Raises
    ------
    ProcessFailed
        When it does not start, options it does not know among the reasons, or ends by itself.
    """
    arguments = ["-m", "isoalign.simulators", kind, *options]
    with tempfile.TemporaryDirectory(prefix="isoalign-") as folder, ProcessGroup(Path(folder)) as processes:
        _run_until_told(processes, lambda: on_ready([processes.start(kind, arguments).wait_ready()]))


def _run_until_told(processes: ProcessGroup, begin: Callable[[], None]) -> None:
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        begin()
        while not stop.wait(POLL_S):
            ended = processes.ended()
            if ended:
                raise ProcessFailed(f"the simulator {ended[0]} ended by itself")
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)
