"""Kinematics of the couch from targets on its table top. See README.md beside this file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import isoalign
from isoalign.calibration import (
    CouchMeasurements,
    RoomKey,
    built_in_phantom,
    calibrate_couch,
    kinematics_record,
    measure_couch,
    read_couch_measurements,
    write_record,
)
from isoalign.errors import IsoalignError
from isoalign.reports import kinematics_document, write_pdf


def main(arguments: list[str] | None = None) -> int:
    """Measure, fit, judge, report, and sign the record when every gate holds; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--simulate", action="store_true", help="measure in a simulated room")
    source.add_argument("--config", type=Path, metavar="ROOM.TOML", help="measure in this room")
    source.add_argument("--measured", type=Path, metavar="FILE", help="use targets that were measured before")
    parser.add_argument("--seed", type=int, default=1, help="of the poses, and of the simulated room")
    parser.add_argument("--poses", type=int, default=48)
    parser.add_argument("--load-kg", type=float, default=0.0, help="stated load of the table top")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the room's key; without it no record is written")
    parser.add_argument("--record", type=Path, default=Path("couch_kinematics.json"), metavar="FILE")
    parser.add_argument("--report", type=Path, metavar="FILE", help="PDF with plots")
    options = parser.parse_args(arguments)
    try:
        result = calibrate_couch(measure(options))
        record = kinematics_record(result)
        for proof in result.held_out:
            print(f"{proof.what}: 95 % within {proof.distance_95_mm:.3f} mm and {proof.angle_95_deg:.4f} deg")
        for words in result.left_out_in_words:
            print(f"{words} does not agree and was left out")
        print("; ".join(record.failures) or "All gates hold.")
        if options.report is not None:
            print(f"Report: {write_pdf(kinematics_document(result), options.report)}")
        if options.key is not None:
            print(f"Record: {write_record(record, options.record, RoomKey.load(options.key))}")
    except IsoalignError as error:
        print(f"{error.code}: {error}\n{error.hint}", file=sys.stderr)
        return error.exit_code
    return 9 if record.failures else 0


def measure(options: argparse.Namespace) -> CouchMeasurements:
    """Targets on the table top, from a file, or from images of a phantom in a room."""
    if options.measured is not None:
        return read_couch_measurements(options.measured)
    scene = "ball-bearing" if options.simulate else None
    # the imagers must have been calibrated before; so the simulated ones stand where the configuration says
    with isoalign.open_room(options.config, scene=scene, seed=options.seed, misalignments={}) as room:
        room.clear("calibration", "calibration")
        return measure_couch(
            room,
            built_in_phantom(),
            travel=room.travel(),
            poses=options.poses,
            seed=options.seed,
            load_kg=options.load_kg,
            on_progress=told,
        )


def told(text: str, fraction: float) -> None:
    """Progress while the couch moves."""
    print(f"\r{100 * fraction:5.1f} %  {text:<50}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
