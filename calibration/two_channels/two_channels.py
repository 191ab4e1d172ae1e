"""The second channel of each couch axis, and the table of its stops. See README.md beside this file."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

import isoalign
from isoalign.calibration import (
    StopMeasurements,
    calibrate_channels,
    channels_record,
    measure_stops,
    read_stop_measurements,
    write_stop_measurements,
)
from isoalign.reports import add_outputs, channels_document, finish_script, progress_line, run_script, script_parser


def main(arguments: list[str] | None = None) -> int:
    """Read the arguments, calibrate; returns the exit code."""
    parser = script_parser(__doc__, measured="recordings, one for each load", several=True)
    parser.add_argument("--load-kg", type=float, default=0.0, help="stated load of the table top")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write what was measured, to join several loads")
    add_outputs(parser, record="two_channels.json")
    return run_script(parser, arguments, calibrate)


def calibrate(options: argparse.Namespace) -> int:
    """Measure, fit, judge, report, and sign the record when every gate holds."""
    given = measure(options)
    if options.keep is not None:
        print(f"Recordings: {write_stop_measurements(given, options.keep)}")
    result = calibrate_channels(given)
    for one in result.channels:
        scale, lag = f"{1e6 * one.scale:+.0f} ppm", f"{1e3 * one.lag_s:.1f} ms"
        print(f"{one.axis:<22}{scale:>9}, offset {one.offset:+.4f}, lag {lag}, half play {one.half_play:.4f}")
    for cell in result.stops.cells:
        where = f"{cell.axis:<22}{cell.speed_class:<8}{cell.load_kg:6.0f} kg"
        print(f"{where}: stops within {cell.bound_distance:.3f} in {cell.bound_time_s:.2f} s")
    return finish_script(options, channels_record(result), channels_document(result))


def measure(options: argparse.Namespace) -> StopMeasurements:
    """Stops of every axis, from files, or in a room."""
    if options.measured is not None:
        return read_stop_measurements(options.measured)
    scene = "empty" if options.simulate else None
    with (
        progress_line() as told,
        isoalign.open_room(options.config, scene=scene, seed=options.seed, records=()) as room,
    ):
        room.clear("calibration", "calibration")
        return measure_stops(room, now=lambda: datetime.now(UTC), load_kg=options.load_kg, on_progress=told)


if __name__ == "__main__":
    sys.exit(main())
