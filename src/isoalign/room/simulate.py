"""The device simulators by themselves, for drivers and scripts of others."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isoalign.room.errors import ProcessFailed
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
    """Start couch, imager and pendant simulators, report their addresses, and run until SIGINT or SIGTERM.

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
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        with tempfile.TemporaryDirectory(prefix="isoalign-") as folder:
            start = settings.session_settings().default_setup
            with SimulatedRoom(settings, Path(folder), start, seed=seed, scene_file=scene) as room:
                room.start_machines()
                on_ready(room.ready_lines())
                while not stop.wait(POLL_S):
                    ended = room.processes.ended()
                    if ended:
                        raise ProcessFailed(f"the simulator {ended[0]} ended by itself")
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)
