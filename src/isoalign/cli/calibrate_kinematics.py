"""``isoalign calibrate kinematics``: how the couch's axes truly stand, from targets on the table top."""

from __future__ import annotations

from pathlib import Path

from isoalign.cli.calibrate_outputs import Outputs, finish

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
    """How the couch's axes truly stand and give way under load, from targets on its table top.

    The targets come from a file, as a laser tracker makes it, or are the balls of the built-in phantom in images of the
    room. At least 40 poses are needed; with loads of 0, 75 and 150 kg one load is kept out as a proof of its own.

    Parameters
    ----------
    measurements
        File of measured targets; none to measure now.
    simulate
        Measure in a simulated room.
    config
        Measure in this room (room.toml), with the ball-bearing phantom at the isocentre.
    load_kg
        Stated load of the table top while measuring.
    poses
        How many poses to measure.
    seed
        Of the poses, and of the simulated room.
    keep
        Write what was measured to this file, to be fitted again.
    """
    outputs.require_usable()
    from isoalign.calibration import (
        built_in_phantom,
        calibrate_couch,
        kinematics_record,
        read_couch_measurements,
        write_couch_measurements,
    )
    from isoalign.reports.kinematics_report import kinematics_document, kinematics_table

    if measurements is not None:
        given = read_couch_measurements(measurements)
    else:
        from isoalign.calibration.measuring_poses import measure_couch
        from isoalign.cli.calibrate_room import opened_room

        with opened_room(
            config, "ball-bearing" if simulate else None, seed, outputs.operator, ("imagers", "detectors", "channels")
        ) as (
            room,
            told,
        ):
            given = measure_couch(
                room,
                built_in_phantom(),
                travel=room.travel(),
                poses=poses,
                seed=seed,
                load_kg=load_kg,
                devices=outputs.serial_numbers(),
                on_progress=told,
            )
    if keep is not None:
        write_couch_measurements(given, keep)
    result = calibrate_couch(given)
    return finish(
        outputs.completed(kinematics_record(result)), kinematics_document(result), kinematics_table(result), outputs
    )
