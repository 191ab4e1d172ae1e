"""``isoalign calibrate winston-lutz``: the treatment isocentre, the ball, and which way to move the couch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from isoalign.cli.calibrate_outputs import DEFAULT_OUTPUTS, Outputs, finish
from isoalign.cli.errors import UnusableArgument

if TYPE_CHECKING:
    from isoalign.calibration import Displacement
    from isoalign.geometry import MachineScale


def winston_lutz(
    images: Path,
    /,
    *,
    ball_diameter: float = 5.0,
    couch_angles: Literal["as-tagged", "reversed"] | None = None,
    shown_in: Annotated[str | None, Parameter(name="--in")] = None,
    config: Path | None = None,
    imagers: Annotated[bool, Parameter(negative="")] = False,
    outputs: Outputs = DEFAULT_OUTPUTS,
) -> int:
    """Find the ball against the treatment isocentre, and say which way to move the couch.

    An axis that no image shows is "not available", never zero. With --imagers the ball, still at the same place, is
    imaged by the imagers of the room as well: what they see it off by is their distance from the treatment isocentre.

    Parameters
    ----------
    images
        Folder, or tar archive, of the RT Images of the check.
    ball_diameter
        Diameter of the ball, mm.
    couch_angles
        What the Patient Support Angle of the images means: as-tagged (IEC 61217), or reversed. Without it images that
        clearly contradict their tags are refused.
    shown_in
        Also say the move in this machine scale (see isoalign convert).
    config
        Configuration of the room, room.toml: for its scales, and for --imagers.
    imagers
        Image the ball with the imagers of this room: X-rays are emitted.
    """
    outputs.require_usable()
    from isoalign.calibration import CouchAngles, analyse_winston_lutz, winston_lutz_record
    from isoalign.cli.progress import StepProgress
    from isoalign.reports.winston_lutz_report import winston_lutz_document, winston_lutz_table
    from isoalign.room.beam_images import read_beam_images

    scale = None if shown_in is None else _scale(shown_in, config)
    with StepProgress() as progress:
        progress("begin", f"Reading {images}", None)
        found = read_beam_images(images)
        progress("done", f"{len(found)} images", None)
        progress("begin", "Finding ball and field", None)
        sense = None if couch_angles is None else CouchAngles(couch_angles)
        analysis = analyse_winston_lutz(found, ball_diameter_mm=ball_diameter, couch_angles=sense)
        progress("done", f"in {len(found)} images", None)
        for advice in analysis.advice:
            progress("warning", advice.text, None)
        offsets = _imaged(config, analysis.ball, ball_diameter) if imagers else {}
    record = outputs.completed(winston_lutz_record(analysis, imagers=offsets))
    document = winston_lutz_document(analysis, record, imagers=offsets, scale=scale)
    return finish(record, document, winston_lutz_table(analysis), outputs)


def _scale(name: str, config: Path | None) -> MachineScale:
    from isoalign.room.position_notations import notation_of
    from isoalign.room.settings import load_settings

    notation = notation_of(name, {} if config is None else load_settings(config).scales())
    if notation.scale is None:
        raise UnusableArgument(f"--in {name}: the move is shown in IEC 61217 anyway; name a machine scale")
    return notation.scale


def _imaged(config: Path | None, ball: Displacement, ball_diameter: float) -> dict[str, Displacement]:
    from isoalign.calibration import ball_views, imager_to_treatment
    from isoalign.room.facade import open_room

    with open_room(config, records=("imagers", "detectors", "channels")) as room:
        return imager_to_treatment(ball, ball_views(room.acquire(), 0.5 * ball_diameter))
