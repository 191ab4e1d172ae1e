"""``isoalign calibrate kv-imager``: where each kV source and panel truly stand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from isoalign.cli.calibrate_outputs import DEFAULT_OUTPUTS, Outputs, finish
from isoalign.cli.errors import UnusableArgument


def kv_imager(
    shadows: Path | None = None,
    /,
    *,
    simulate: Annotated[bool, Parameter(negative="")] = False,
    config: Path | None = None,
    phantom: Path | None = None,
    seed: int = 1,
    outputs: Outputs = DEFAULT_OUTPUTS,
) -> int:
    """Find source and panel of each kV imager from one image of a ball-bearing phantom by each.

    The phantom stands with its marks at the isocentre. Judged by residuals, and by balls that are kept out of the fit
    and must be found again in space.

    Parameters
    ----------
    shadows
        Ball shadows that were measured before, JSON.
    simulate
        Take the images in a simulated room.
    config
        Take the images in the room of this configuration, room.toml; with --simulate, simulate that room.
    phantom
        Description of the phantom; the built-in one without.
    seed
        Of the simulated room.
    """
    if (shadows is not None) == (simulate or config is not None):
        raise UnusableArgument("name one source: a file of shadows, --simulate, or --config room.toml")
    outputs.require_usable()
    from isoalign.calibration import (
        built_in_phantom,
        calibrate_from_shadows,
        calibrate_kv_imagers,
        kv_imager_record,
        load_phantom,
        read_shadows,
    )
    from isoalign.reports.kv_imager_report import kv_imager_document, kv_imager_table

    if shadows is not None:
        calibration = calibrate_from_shadows(*read_shadows(shadows))
    else:
        from isoalign.cli.progress import StepProgress
        from isoalign.room.facade import open_room

        described = built_in_phantom() if phantom is None else load_phantom(phantom)
        with StepProgress() as progress:
            progress("begin", "Opening the room", None)
            with open_room(config, scene="ball-bearing" if simulate else None, seed=seed, records=()) as room:
                progress("begin", "Taking images", None)
                images = room.acquire()
            progress("begin", "Fitting", None)
            calibration = calibrate_kv_imagers(described, images)
    record = outputs.completed(kv_imager_record(calibration, notes={"room": "simulated"} if simulate else {}))
    return finish(record, kv_imager_document(calibration, record), kv_imager_table(calibration), outputs)
