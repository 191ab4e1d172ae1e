"""Kinematics of the couch from targets on its table top. See README.md beside this file."""

from __future__ import annotations

import argparse
import sys

import isoalign
from isoalign.calibration import (
    CouchMeasurements,
    built_in_phantom,
    calibrate_couch,
    kinematics_record,
    measure_couch,
    read_couch_measurements,
)
from isoalign.reports import (
    add_outputs,
    finish_script,
    kinematics_document,
    progress_line,
    run_script,
    script_parser,
)


def main(arguments: list[str] | None = None) -> int:
    """Read the arguments, calibrate; returns the exit code."""
    parser = script_parser(__doc__, measured="targets that were measured before")
    parser.add_argument("--poses", type=int, default=48)
    parser.add_argument("--load-kg", type=float, default=0.0, help="stated load of the table top")
    add_outputs(parser, record="couch_kinematics.json")
    return run_script(parser, arguments, calibrate)


def calibrate(options: argparse.Namespace) -> int:
    """Measure, fit, judge, report, and sign the record when every gate holds."""
    result = calibrate_couch(measure(options))
    for proof in result.held_out:
        print(f"{proof.what}: 95 % within {proof.distance_95_mm:.3f} mm and {proof.angle_95_deg:.4f} deg")
    for words in result.left_out_in_words:
        print(f"{words} does not agree and was left out")
    return finish_script(options, kinematics_record(result), kinematics_document(result))


def measure(options: argparse.Namespace) -> CouchMeasurements:
    """Targets on the table top, from a file, or from images of a phantom in a room."""
    if options.measured is not None:
        return read_couch_measurements(options.measured)
    scene = "ball-bearing" if options.simulate else None
    # the imagers must have been calibrated before; so the simulated ones stand where the configuration says
    with (
        progress_line() as told,
        isoalign.open_room(
            options.config,
            scene=scene,
            seed=options.seed,
            misalignments={},
            records=() if options.simulate else ("imagers", "detectors", "channels"),
        ) as room,
    ):
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


if __name__ == "__main__":
    sys.exit(main())
