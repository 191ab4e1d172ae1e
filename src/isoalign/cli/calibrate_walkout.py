"""``isoalign calibrate walkout``: the axis of the couch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from isoalign.cli.calibrate_outputs import DEFAULT_OUTPUTS, Outputs, finish
from isoalign.cli.errors import UnusableArgument

if TYPE_CHECKING:
    from isoalign.calibration import MeasuredWalkout


def walkout(
    file: Path | None = None,
    /,
    *,
    simulate: Annotated[bool, Parameter(negative="")] = False,
    config: Path | None = None,
    images: Path | None = None,
    angles: tuple[float, ...] = (),
    ball_diameter: float = 8.0,
    seed: int = 1,
    keep: Path | None = None,
    outputs: Outputs = DEFAULT_OUTPUTS,
) -> int:
    """Find where the axis of the couch truly is, from balls on the couch at several couch angles.

    Measured in a room (the couch turns while the enable bar is held, then goes back), or taken from a file of
    measurements, or from Winston-Lutz images with the couch turned. At least 5 different angles, better 7 to 9 over
    180 degrees.

    Parameters
    ----------
    file
        Measurements in JSON, as --keep writes them.
    simulate
        Measure in a simulated room with two balls on its couch.
    config
        Measure in the room of this configuration, room.toml; with --simulate, simulate that room.
    images
        Folder or tar archive of Winston-Lutz images; heights are not available from them.
    angles
        Couch angles to go to, IEC 61217; nine over 180 degrees by default.
    ball_diameter
        Of the balls, mm.
    seed
        Of the simulated room.
    keep
        File for the measurements, .json.
    """
    sources = [file is not None, simulate or config is not None, images is not None]
    if sum(sources) != 1:
        raise UnusableArgument("name one source: a file of measurements, --simulate, --config room.toml, or --images")
    outputs.require_usable()
    from isoalign.calibration import (
        fit_couch_walkout,
        read_walkout_measurements,
        walkout_record,
        write_walkout_measurements,
    )
    from isoalign.reports.walkout_report import walkout_document, walkout_table

    if file is not None:
        measured = read_walkout_measurements(file)
    elif images is not None:
        measured = _from_images(images, ball_diameter)
    else:
        measured = _from_room(config, simulate, angles, ball_diameter, seed)
    if keep is not None:
        write_walkout_measurements(measured, keep)
    found = fit_couch_walkout(measured.measurements)
    notes = {"room": "simulated"} if simulate else {}
    record = outputs.completed(walkout_record(found, measured.measured_at, measured.inputs_sha256, notes=notes))
    return finish(record, walkout_document(found, record), walkout_table(found), outputs)


def _from_room(
    config: Path | None, simulate: bool, angles: tuple[float, ...], ball_diameter: float, seed: int
) -> MeasuredWalkout:
    from isoalign.calibration import USUAL_ANGLES_DEG, measure_walkout
    from isoalign.cli.progress import StepProgress
    from isoalign.room.facade import open_room

    with StepProgress() as progress:
        progress("begin", "Opening the room", None)
        used = () if simulate else ("imagers", "detectors", "channels")  # the couch is measured by what it says itself
        with open_room(config, scene="two-balls" if simulate else None, seed=seed, records=used) as room:
            if simulate:
                room.clear("calibration of the couch", "isoalign calibrate")
            else:
                progress("note", "hold the enable bar of the pendant while the couch turns", None)
            progress("begin", "Measuring", None)
            return measure_walkout(
                room,
                angles_deg=angles or USUAL_ANGLES_DEG,
                ball_radius_mm=0.5 * ball_diameter,
                on_progress=lambda text, fraction: progress("progress", text, fraction),
            )


def _from_images(images: Path, ball_diameter: float) -> MeasuredWalkout:
    from isoalign.calibration import MeasuredWalkout, analyse_winston_lutz, walkout_measurements
    from isoalign.room.beam_images import read_beam_images

    analysis = analyse_winston_lutz(read_beam_images(images), ball_diameter_mm=ball_diameter)
    return MeasuredWalkout(
        walkout_measurements(analysis.images, analysis.found), analysis.measured_at(), analysis.inputs_sha256
    )
