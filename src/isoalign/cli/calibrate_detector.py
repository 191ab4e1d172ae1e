"""``isoalign calibrate detector``: offset, gain, defects and lag of flat panels."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from isoalign.cli.calibrate_outputs import Outputs, finish
from isoalign.cli.errors import OutputNotWritable, UnusableArgument

if TYPE_CHECKING:
    from isoalign.calibration import PanelFrames

NONE = Outputs()


def detector(
    frames: tuple[Path, ...] = (),
    /,
    *,
    simulate: Annotated[bool, Parameter(negative="")] = False,
    config: Path | None = None,
    seed: int = 1,
    arrays: Path | None = None,
    outputs: Outputs = NONE,
) -> int:
    """Offset, gain, defects and lag of flat panels, from dark, flood and lag frames.

    Taken in a room whose field is empty (X-rays are emitted, for some minutes), or from files.

    Parameters
    ----------
    frames
        One npz file for each panel: dark, flood1 ..., lag1 with lag1_t_s ..., measured_at; none to take them now.
    simulate
        Take the frames in a simulated room.
    config
        Take the frames in this room (room.toml), with its technique.
    seed
        Of the simulated room.
    arrays
        Write the maps to this npz file; the record holds its hash. Needed with --record.
    """
    outputs.require_usable()
    if bool(frames) == (simulate or config is not None):
        raise UnusableArgument("name one source: files of frames, --simulate, or --config room.toml")
    if outputs.record is not None and arrays is None:
        raise UnusableArgument("--record needs --arrays: the maps are kept beside the record")
    from isoalign.calibration import calibrate_detector, detector_arrays, detector_record, read_panel_frames
    from isoalign.reports.detector_report import detector_document, detector_table

    given = [read_panel_frames(one) for one in frames] or _from_room(config, simulate, seed, outputs)
    results = [calibrate_detector(one) for one in given]
    content = detector_arrays(results)
    record = outputs.completed(detector_record(results, content))
    if arrays is not None and not record.failures:
        try:
            arrays.write_bytes(content)
        except OSError as error:
            raise OutputNotWritable(f"the maps cannot be written: {error}") from error
    return finish(record, detector_document(results), detector_table(results), outputs)


def _from_room(config: Path | None, simulate: bool, seed: int, outputs: Outputs) -> list[PanelFrames]:
    from isoalign.calibration import measure_panels
    from isoalign.cli.calibrate_room import opened_room

    with opened_room(config, "open-field" if simulate else None, seed, outputs.operator, ()) as (room, told):
        technique = room.settings.technique.technique()
        devices = outputs.serial_numbers()
        return list(measure_panels(room, technique, wait=time.sleep, devices=devices, on_progress=told))
