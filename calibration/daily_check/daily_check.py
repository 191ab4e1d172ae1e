"""The daily check: a cube, two images, a known couch shift, six numbers. See README.md beside this file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import isoalign
from isoalign.calibration import (
    DailyMeasurements,
    RoomKey,
    check_day,
    cube_phantom,
    daily_record,
    load_phantom,
    measure_day,
    read_daily_measurements,
    write_record,
)
from isoalign.errors import IsoalignError
from isoalign.reports import daily_document, write_pdf


def main(arguments: list[str] | None = None) -> int:
    """Measure, fit, judge, report, and sign the record when every gate holds; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--simulate", action="store_true", help="measure in a simulated room")
    source.add_argument("--config", type=Path, metavar="ROOM.TOML", help="measure in this room")
    source.add_argument("--measured", type=Path, metavar="FILE", help="use ball shadows that were found before")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated room")
    parser.add_argument("--phantom", type=Path, metavar="FILE", help="its description; the built-in cube without")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the room's key; without it no record is written")
    parser.add_argument("--record", type=Path, default=Path("daily_check.json"), metavar="FILE")
    parser.add_argument("--report", type=Path, metavar="FILE", help="PDF with plots")
    options = parser.parse_args(arguments)
    try:
        result = check_day(measure(options))
        record = daily_record(result)
        for what in ("setup", "shift"):
            print(f"{what}: ", ", ".join(f"{name} {value:+.2f}" for name, value in record.result[what].items()))
        print("; ".join(record.failures) or "All within tolerance.")
        if options.report is not None:
            print(f"Report: {write_pdf(daily_document(result), options.report)}")
        if options.key is not None:
            print(f"Record: {write_record(record, options.record, RoomKey.load(options.key))}")
    except IsoalignError as error:
        print(f"{error.code}: {error}\n{error.hint}", file=sys.stderr)
        return error.exit_code
    return 9 if record.failures else 0


def measure(options: argparse.Namespace) -> DailyMeasurements:
    """Images before and after the shift, from a file, or in a room."""
    if options.measured is not None:
        return read_daily_measurements(options.measured)
    cube = cube_phantom() if options.phantom is None else load_phantom(options.phantom)
    with isoalign.open_room(options.config, scene="cube" if options.simulate else None, seed=options.seed) as room:
        room.clear("daily check", "daily check")
        return measure_day(room, cube, on_progress=told)


def told(text: str, fraction: float) -> None:
    """Progress while the couch moves."""
    print(f"\r{100 * fraction:5.1f} %  {text:<50}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
