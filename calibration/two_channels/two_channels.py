"""The second channel of each couch axis, and the table of its stops. See README.md beside this file."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

import isoalign
from isoalign.calibration import (
    RoomKey,
    StopMeasurements,
    calibrate_channels,
    channels_record,
    measure_stops,
    read_stop_measurements,
    write_record,
    write_stop_measurements,
)
from isoalign.errors import IsoalignError
from isoalign.reports import channels_document, write_pdf


def main(arguments: list[str] | None = None) -> int:
    """Measure, fit, judge, report, and sign the record when every gate holds; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--simulate", action="store_true", help="measure in a simulated room")
    source.add_argument("--config", type=Path, metavar="ROOM.TOML", help="measure in this room")
    source.add_argument("--measured", type=Path, nargs="+", metavar="FILE", help="use recordings, one for each load")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated room")
    parser.add_argument("--load-kg", type=float, default=0.0, help="stated load of the table top")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write what was measured, to join several loads")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the room's key; without it no record is written")
    parser.add_argument("--record", type=Path, default=Path("two_channels.json"), metavar="FILE")
    parser.add_argument("--report", type=Path, metavar="FILE", help="PDF with plots")
    options = parser.parse_args(arguments)
    try:
        given = measure(options)
        if options.keep is not None:
            print(f"Recordings: {write_stop_measurements(given, options.keep)}")
        result = calibrate_channels(given)
        record = channels_record(result)
        for one in result.channels:
            scale, lag = f"{1e6 * one.scale:+.0f} ppm", f"{1e3 * one.lag_s:.1f} ms"
            print(f"{one.axis:<22}{scale:>9}, offset {one.offset:+.4f}, lag {lag}, half play {one.half_play:.4f}")
        for cell in result.stops.cells:
            where = f"{cell.axis:<22}{cell.speed_class:<8}{cell.load_kg:6.0f} kg"
            print(f"{where}: stops within {cell.bound_distance:.3f} in {cell.bound_time_s:.2f} s")
        print("; ".join(record.failures) or "All gates hold.")
        if options.report is not None:
            print(f"Report: {write_pdf(channels_document(result), options.report)}")
        if options.key is not None:
            print(f"Record: {write_record(record, options.record, RoomKey.load(options.key))}")
    except IsoalignError as error:
        print(f"{error.code}: {error}\n{error.hint}", file=sys.stderr)
        return error.exit_code
    return 9 if record.failures else 0


def measure(options: argparse.Namespace) -> StopMeasurements:
    """Stops of every axis, from files, or in a room."""
    if options.measured is not None:
        return read_stop_measurements(options.measured)
    scene = "empty" if options.simulate else None
    with isoalign.open_room(options.config, scene=scene, seed=options.seed) as room:
        room.clear("calibration", "calibration")
        return measure_stops(room, now=lambda: datetime.now(UTC), load_kg=options.load_kg, on_progress=told)


def told(text: str, fraction: float) -> None:
    """Progress while the couch moves."""
    print(f"\r{100 * fraction:5.1f} %  {text:<50}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
