"""The daily check: a cube, two images, a known couch shift, six numbers. See README.md beside this file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import isoalign
from isoalign.calibration import (
    DailyMeasurements,
    check_day,
    cube_phantom,
    daily_record,
    load_phantom,
    measure_day,
    read_daily_measurements,
)
from isoalign.reports import add_outputs, daily_document, finish_script, progress_line, run_script, script_parser


def main(arguments: list[str] | None = None) -> int:
    """Read the arguments, check; returns the exit code."""
    parser = script_parser(__doc__, measured="ball shadows that were found before")
    parser.add_argument("--phantom", type=Path, metavar="FILE", help="its description; the built-in cube without")
    add_outputs(parser, record="daily_check.json")
    return run_script(parser, arguments, check)


def check(options: argparse.Namespace) -> int:
    """Measure, fit, judge, report, and sign the record when all is within tolerance."""
    result = check_day(measure(options))
    record = daily_record(result)
    for what in ("setup", "shift"):
        print(f"{what}: ", ", ".join(f"{name} {value:+.2f}" for name, value in record.result[what].items()))
    return finish_script(options, record, daily_document(result), good="All within tolerance.")


def measure(options: argparse.Namespace) -> DailyMeasurements:
    """Images before and after the shift, from a file, or in a room."""
    if options.measured is not None:
        return read_daily_measurements(options.measured)
    cube = cube_phantom() if options.phantom is None else load_phantom(options.phantom)
    scene = "cube" if options.simulate else None
    with progress_line() as told, isoalign.open_room(options.config, scene=scene, seed=options.seed) as room:
        room.clear("daily check", "daily check")
        return measure_day(room, cube, on_progress=told)


if __name__ == "__main__":
    sys.exit(main())
