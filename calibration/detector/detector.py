"""Offset, gain, defects and lag of flat panels from their frames. See README.md beside this file."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import isoalign
from isoalign.calibration import (
    PanelFrames,
    calibrate_detector,
    detector_arrays,
    detector_record,
    measure_panels,
    read_panel_frames,
)
from isoalign.reports import add_outputs, detector_document, finish_script, progress_line, run_script


def main(arguments: list[str] | None = None) -> int:
    """Read the arguments, calibrate; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--simulate", action="store_true", help="take the frames in a simulated room")
    source.add_argument(
        "--config", type=Path, metavar="ROOM.TOML", help="take the frames in this room: X-rays are emitted"
    )
    source.add_argument("frames", type=Path, nargs="*", default=[], metavar="FILE", help="npz of each panel's frames")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated room")
    parser.add_argument("--arrays", type=Path, default=Path("detector.npz"), metavar="FILE", help="where the maps go")
    add_outputs(parser, record="detector.json")
    return run_script(parser, arguments, calibrate)


def calibrate(options: argparse.Namespace) -> int:
    """Fit, judge, report, and sign the record when every gate holds."""
    result = [calibrate_detector(frames) for frames in measure(options)]
    arrays = detector_arrays(result)
    record = detector_record(result, arrays)
    for one in result:
        even, lag = f"{100 * one.non_uniformity:.2f} %", f"{100 * one.first_frame_lag:.3f} %"
        print(f"panel {one.frames.name}: uneven by {even}, {lag} left in the first frame after an exposure")
    if options.key is not None and not record.failures:
        options.arrays.write_bytes(arrays)
    return finish_script(options, record, detector_document(result))


def measure(options: argparse.Namespace) -> list[PanelFrames]:
    """Frames of every panel, from files, or in a room whose field is empty."""
    if options.frames:
        return [read_panel_frames(file) for file in options.frames]
    scene = "open-field" if options.simulate else None
    with (
        progress_line() as told,
        isoalign.open_room(options.config, scene=scene, seed=options.seed, records=()) as room,
    ):
        room.clear("calibration of the panels", "calibration")
        technique = room.settings.technique.technique()
        return list(measure_panels(room, technique, wait=time.sleep, on_progress=told))


if __name__ == "__main__":
    sys.exit(main())
