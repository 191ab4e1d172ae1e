"""Where the axis of the couch truly is, from balls on it at several couch angles. See README.md beside this file."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import isoalign
from isoalign.calibration import (
    USUAL_ANGLES_DEG,
    WALK_OUT_BALL_RADIUS_MM,
    MeasuredWalkout,
    RoomKey,
    fit_couch_walkout,
    measure_walkout,
    read_walkout_measurements,
    walkout_record,
    write_record,
    write_walkout_measurements,
)
from isoalign.reports import document_group, print_result, progress_line, run_script, walkout_document, write_pdf


def main(arguments: list[str] | None = None) -> int:
    """Read the arguments, calibrate; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--simulate", action="store_true", help="measure in a simulated room")
    source.add_argument("--config", type=Path, metavar="ROOM.TOML", help="measure in this room")
    source.add_argument("--measurements", type=Path, metavar="FILE", help="use what was measured before")
    parser.add_argument("--angles", type=float, nargs="+", default=USUAL_ANGLES_DEG, help="couch angles, IEC 61217")
    parser.add_argument("--ball-radius-mm", type=float, default=WALK_OUT_BALL_RADIUS_MM)
    parser.add_argument("--seed", type=int, default=1, help="of the simulated room")
    parser.add_argument("--operator", default="", help="kept in the record")
    parser.add_argument("--couch-serial", default="", help="serial number of the couch, kept in the record")
    parser.add_argument(
        "--key", type=Path, help="the room's key (isoalign calibrate new-key); without it nothing is signed"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("couch_walkout.json"), metavar="FILE", help="the signed record"
    )
    parser.add_argument("--report", type=Path, metavar="FILE.pdf")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the measurements, for --measurements")
    return run_script(parser, arguments, calibrate)


def calibrate(options: argparse.Namespace) -> int:
    """Measure, fit, judge, and sign the record when the gates hold."""
    key = None if options.key is None else RoomKey.load(options.key)
    measured = measure(options)
    if options.keep is not None:
        write_walkout_measurements(measured, options.keep)
    walkout = fit_couch_walkout(measured.measurements)
    devices = {"couch": options.couch_serial} if options.couch_serial else {}
    record = walkout_record(walkout, measured.measured_at, measured.inputs_sha256, devices=devices)
    record = replace(record, notes={"operator": options.operator} if options.operator else {})
    document = walkout_document(walkout, record)
    print_result(document_group(document))
    if options.report is not None:
        write_pdf(document, options.report)
    if key is not None:
        print(f"Record: {write_record(record, options.out, key)}")
    return 0 if not record.failures else 9


def measure(options: argparse.Namespace) -> MeasuredWalkout:
    """The balls over the couch angles, from a room or from a file."""
    if options.measurements is not None:
        return read_walkout_measurements(options.measurements)
    scene = "two-balls" if options.simulate else None
    # the couch is measured by what it says itself
    records = () if options.simulate else ("imagers", "detectors", "channels")
    with (
        progress_line() as told,
        isoalign.open_room(options.config, scene=scene, seed=options.seed, records=records) as room,
    ):
        room.clear("calibration of the couch", options.operator or "calibration script")
        return measure_walkout(room, angles_deg=options.angles, ball_radius_mm=options.ball_radius_mm, on_progress=told)


if __name__ == "__main__":
    sys.exit(main())
