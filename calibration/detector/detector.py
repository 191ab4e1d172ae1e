"""Offset, gain, defects and lag of flat panels from their frames. See README.md beside this file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from isoalign.calibration import (
    RoomKey,
    calibrate_detector,
    detector_arrays,
    detector_record,
    read_panel_frames,
    write_record,
)
from isoalign.errors import IsoalignError
from isoalign.reports import detector_document, write_pdf


def main(arguments: list[str] | None = None) -> int:
    """Fit, judge, report, and sign the record when every gate holds; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", type=Path, nargs="+", metavar="FILE", help="npz of each panel's frames")
    parser.add_argument("--arrays", type=Path, default=Path("detector.npz"), metavar="FILE", help="where the maps go")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the room's key; without it no record is written")
    parser.add_argument("--record", type=Path, default=Path("detector.json"), metavar="FILE")
    parser.add_argument("--report", type=Path, metavar="FILE", help="PDF with plots")
    options = parser.parse_args(arguments)
    try:
        result = [calibrate_detector(read_panel_frames(file)) for file in options.frames]
        arrays = detector_arrays(result)
        record = detector_record(result, arrays)
        for one in result:
            even, lag = f"{100 * one.non_uniformity:.2f} %", f"{100 * one.first_frame_lag:.3f} %"
            print(f"panel {one.frames.name}: uneven by {even}, {lag} left in the first frame after an exposure")
        print("; ".join(record.failures) or "All gates hold.")
        if options.report is not None:
            print(f"Report: {write_pdf(detector_document(result), options.report)}")
        if options.key is not None:
            if not record.failures:
                options.arrays.write_bytes(arrays)
            print(f"Record: {write_record(record, options.record, RoomKey.load(options.key))}")
    except IsoalignError as error:
        print(f"{error.code}: {error}\n{error.hint}", file=sys.stderr)
        return error.exit_code
    return 9 if record.failures else 0


if __name__ == "__main__":
    sys.exit(main())
