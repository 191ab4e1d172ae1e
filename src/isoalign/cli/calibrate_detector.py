"""``isoalign calibrate detector``: offset, gain, defects and lag of flat panels."""

from __future__ import annotations

from pathlib import Path

from isoalign.cli.calibrate_outputs import Outputs, finish
from isoalign.cli.errors import OutputNotWritable, UnusableArgument

NONE = Outputs()


def detector(frames: tuple[Path, ...], /, *, arrays: Path | None = None, outputs: Outputs = NONE) -> int:
    """Offset, gain, defects and lag of flat panels, from dark, flood and lag frames.

    Parameters
    ----------
    frames
        One npz file for each panel: dark, flood1 ..., lag1 with lag1_t_s ..., measured_at.
    arrays
        Write the maps to this npz file; the record holds its hash. Needed with --record.
    """
    outputs.require_usable()
    if not frames:
        raise UnusableArgument("no file of frames was named")
    if outputs.record is not None and arrays is None:
        raise UnusableArgument("--record needs --arrays: the maps are kept beside the record")
    from isoalign.calibration import calibrate_detector, detector_arrays, detector_record, read_panel_frames
    from isoalign.reports.detector_report import detector_document, detector_table

    results = [calibrate_detector(read_panel_frames(one)) for one in frames]
    content = detector_arrays(results)
    record = outputs.completed(detector_record(results, content))
    if arrays is not None and not record.failures:
        try:
            arrays.write_bytes(content)
        except OSError as error:
            raise OutputNotWritable(f"the maps cannot be written: {error}") from error
    return finish(record, detector_document(results), detector_table(results), outputs)
