"""Geometry of the kV imagers from one image of a ball-bearing phantom by each. See README.md beside this file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import isoalign
from isoalign.calibration import (
    KvCalibration,
    RoomKey,
    built_in_phantom,
    calibrate_from_shadows,
    calibrate_kv_imagers,
    isocentre_offset_mm,
    kv_imager_record,
    load_phantom,
    nearest_axis,
    read_shadows,
    write_calibration,
    write_record,
)
from isoalign.reports import run_script


def main(arguments: list[str] | None = None) -> int:
    """Read the arguments, calibrate; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--simulate", action="store_true", help="take the images in a simulated room")
    source.add_argument("--config", type=Path, metavar="ROOM.TOML", help="take the images in this room")
    source.add_argument("--shadows", type=Path, metavar="FILE", help="use ball shadows that were measured before")
    parser.add_argument("--phantom", type=Path, metavar="FILE", help="phantom description; the built-in one without")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated room")
    parser.add_argument("--operator", default="", help="kept in the record")
    parser.add_argument("--out", type=Path, default=Path("kv_imager_geometry.json"), metavar="FILE")
    parser.add_argument("--key", type=Path, help="the room's key; signs a record beside --out, ending in .signed.json")
    return run_script(parser, arguments, calibrate)


def calibrate(options: argparse.Namespace) -> int:
    """Measure, fit, judge, and write the record when the gates hold."""
    key = None if options.key is None else RoomKey.load(options.key)
    calibration = measure(options)
    print(table(calibration))
    written = write_calibration(calibration, options.out)
    if key is not None:
        written = write_record(kv_imager_record(calibration), options.out.with_suffix(".signed.json"), key)
    print(f"All gates hold. Record: {written}")
    return 0


def measure(options: argparse.Namespace) -> KvCalibration:
    """The calibration, from a room or from a file of shadows."""
    notes = {"operator": options.operator} if options.operator else {}
    if options.shadows is not None:
        phantom, images, measured_at = read_shadows(options.shadows)
        return calibrate_from_shadows(phantom, images, measured_at, notes=notes)
    phantom = built_in_phantom() if options.phantom is None else load_phantom(options.phantom)
    scene = "ball-bearing" if options.simulate else None
    with isoalign.open_room(options.config, scene=scene, seed=options.seed, records=()) as room:
        return calibrate_kv_imagers(phantom, room.acquire(), notes=notes)


def table(calibration: KvCalibration) -> str:
    """The result in plain text."""
    lines = [f"Phantom {calibration.phantom.name}, measured {calibration.measured_at:%Y-%m-%d %H:%M} UTC"]
    for one in calibration.imagers:
        axis, believed = nearest_axis(one.fit.geometry), nearest_axis(one.believed)
        x, y = axis.receptor_translation_mm
        counts = f"{len(one.fit.balls)} balls, {len(one.fit.outliers)} left out"
        distances = f"{axis.sad_mm:10.2f} mm, {axis.sid_mm:.2f} mm"
        lines += [
            f"Imager {one.name}: {counts}, residual {one.fit.rms_px:.3f} px rms",
            f"  source angle    {axis.gantry_angle_deg:10.3f} deg  (believed {believed.gantry_angle_deg:.3f})",
            f"  SAD, SID        {distances}  (believed {believed.sad_mm:.2f}, {believed.sid_mm:.2f})",
            f"  receptor        {x:10.3f} mm, {y:.3f} mm, {axis.receptor_angle_deg:.3f} deg",
            f"  isocentre seen  {isocentre_offset_mm(one):10.3f} mm from where it was believed",
        ]
        lines += [f"  ball {ball} does not agree and was left out" for ball in one.fit.outliers]
    errors = calibration.triangulation_errors_mm
    if len(errors):
        lines.append(
            f"{len(errors)} held-out balls found again within {errors.max():.3f} mm (mean {errors.mean():.3f})"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
