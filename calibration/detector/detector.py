"""Offset, gain, defects and lag of flat panels from their frames. See README.md beside this file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from isoalign.calibration import calibrate_detector, detector_arrays, detector_record, read_panel_frames
from isoalign.reports import add_outputs, detector_document, finish_script, run_script


def main(arguments: list[str] | None = None) -> int:
    """Read the arguments, calibrate; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", type=Path, nargs="+", metavar="FILE", help="npz of each panel's frames")
    parser.add_argument("--arrays", type=Path, default=Path("detector.npz"), metavar="FILE", help="where the maps go")
    add_outputs(parser, record="detector.json")
    return run_script(parser, arguments, calibrate)


def calibrate(options: argparse.Namespace) -> int:
    """Fit, judge, report, and sign the record when every gate holds."""
    result = [calibrate_detector(read_panel_frames(file)) for file in options.frames]
    arrays = detector_arrays(result)
    record = detector_record(result, arrays)
    for one in result:
        even, lag = f"{100 * one.non_uniformity:.2f} %", f"{100 * one.first_frame_lag:.3f} %"
        print(f"panel {one.frames.name}: uneven by {even}, {lag} left in the first frame after an exposure")
    if options.key is not None and not record.failures:
        options.arrays.write_bytes(arrays)
    return finish_script(options, record, detector_document(result))


if __name__ == "__main__":
    sys.exit(main())
