"""The ball, and the imagers, against the treatment isocentre, by Winston-Lutz. See README.md beside this file."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import isoalign
from isoalign.calibration import (
    CouchAngles,
    Displacement,
    RoomKey,
    WinstonLutz,
    analyse_winston_lutz,
    ball_views,
    imager_to_treatment,
    winston_lutz_record,
    write_record,
)
from isoalign.reports import document_group, print_result, run_script, winston_lutz_document, write_pdf


def main(arguments: list[str] | None = None) -> int:
    """Read the arguments, analyse; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder or tar archive of the RT Images of the check")
    parser.add_argument("--ball-diameter-mm", type=float, default=5.0)
    parser.add_argument("--couch-angles", choices=[one.value for one in CouchAngles], help="how the tags are meant")
    parser.add_argument(
        "--imagers", type=Path, metavar="ROOM.TOML", help="image the ball with the imagers of this room"
    )
    parser.add_argument("--operator", default="", help="kept in the record")
    parser.add_argument(
        "--key", type=Path, help="the room's key (isoalign calibrate new-key); without it nothing is signed"
    )
    parser.add_argument("--out", type=Path, default=Path("winston_lutz.json"), metavar="FILE", help="the signed record")
    parser.add_argument("--report", type=Path, metavar="FILE.pdf")
    return run_script(parser, arguments, analyse)


def analyse(options: argparse.Namespace) -> int:
    """Analyse, judge, and sign the record when the gates hold."""
    key = None if options.key is None else RoomKey.load(options.key)
    analysis = analyse_winston_lutz(
        isoalign.read_beam_images(options.images),
        ball_diameter_mm=options.ball_diameter_mm,
        couch_angles=None if options.couch_angles is None else CouchAngles(options.couch_angles),
    )
    imagers = {} if options.imagers is None else against_treatment(analysis, options)
    record = winston_lutz_record(analysis, imagers=imagers)
    record = replace(record, notes={"operator": options.operator} if options.operator else {})
    document = winston_lutz_document(analysis, record, imagers=imagers)
    print_result(document_group(document))
    if options.report is not None:
        write_pdf(document, options.report)
    if key is not None:
        print(f"Record: {write_record(record, options.out, key)}")
    return 0 if not record.failures else 9


def against_treatment(analysis: WinstonLutz, options: argparse.Namespace) -> dict[str, Displacement]:
    """Where each imager has its isocentre, by the ball that still lies where the treatment beam saw it."""
    with isoalign.open_room(options.imagers, records=("imagers", "detectors", "channels")) as room:
        return imager_to_treatment(analysis.ball, ball_views(room.acquire(), 0.5 * options.ball_diameter_mm))


if __name__ == "__main__":
    sys.exit(main())
