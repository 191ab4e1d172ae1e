"""``isoalign calibrate kinematics``: how the couch's axes truly stand, from targets on the table top."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from isoalign.cli.calibrate_outputs import Outputs, finish

if TYPE_CHECKING:
    from isoalign.calibration import CouchMeasurements

NONE = Outputs()


def kinematics(
    measurements: Path | None = None,
    /,
    *,
    simulate: bool = False,
    config: Path | None = None,
    load_kg: float = 0.0,
    poses: int = 48,
    seed: int = 1,
    keep: Path | None = None,
    outputs: Outputs = NONE,
) -> int:
    """How the couch's axes truly stand, and how it gives way under load, from targets on its table top.

    The targets come from a file that a tracker made, or are the balls of the built-in phantom in images of the room.
    At least 40 poses are needed; a load of 0, 75 and 150 kg lets a load be kept out as a proof.

    Parameters
    ----------
    measurements
        File of measured targets; none to measure now.
    simulate
        Measure in a simulated room.
    config
        Measure in this room (room.toml), with the ball-bearing phantom on the couch.
    load_kg
        Stated load of the table top while measuring.
    poses
        How many poses to measure.
    seed
        Of the poses, and of the simulated room.
    keep
        Write what was measured to this file, to be fitted again or together with other loads.
    """
    outputs.require_usable()
    from isoalign.calibration import calibrate_couch, kinematics_record, read_couch_measurements
    from isoalign.calibration.couch_kinematics_record import write_couch_measurements
    from isoalign.cli.progress import moving
    from isoalign.reports.kinematics_document import kinematics_document, kinematics_table

    given: CouchMeasurements
    if measurements is not None:
        given = read_couch_measurements(measurements)
    else:
        from isoalign.cli.calibrate_room import opened_room

        with opened_room(config, "ball-bearing" if simulate else None, seed) as room, moving() as progress:
            given = room.measure_couch(poses=poses, load_kg=load_kg, seed=seed, on_progress=progress)
    if keep is not None:
        write_couch_measurements(given, keep)
    result = calibrate_couch(given)
    return finish(kinematics_record(result), kinematics_document(result), kinematics_table(result), outputs)
