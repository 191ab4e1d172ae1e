"""``isoalign calibrate daily-check``: a cube, two images, a known shift, six numbers."""

from __future__ import annotations

from pathlib import Path

from isoalign.cli.calibrate_outputs import Outputs, finish

NONE = Outputs()


def daily_check(
    measurements: Path | None = None,
    /,
    *,
    simulate: bool = False,
    config: Path | None = None,
    phantom: Path | None = None,
    history: Path | None = None,
    seal: Path | None = None,
    seed: int = 1,
    outputs: Outputs = NONE,
) -> int:
    """Does the cube lie where the marks say, and do the images show the shift that the couch was told to make?

    Parameters
    ----------
    measurements
        File of ball shadows; none to measure now.
    simulate
        Measure in a simulated room.
    config
        Measure in this room (room.toml), with the cube at the room's marks.
    phantom
        Description of the phantom; the built-in cube of twelve balls without it.
    history
        Folder with the signed records of the days before, for the trend; needs --seal.
    seal
        Public half of the room's key.
    seed
        Of the simulated room.
    """
    outputs.require_usable()
    from isoalign.calibration import (
        RoomSeal,
        check_day,
        cube_phantom,
        daily_record,
        earlier_checks,
        load_phantom,
        read_daily_measurements,
        trends,
    )
    from isoalign.cli.errors import UnusableArgument
    from isoalign.clock import SystemClock
    from isoalign.reports.daily_report import daily_document, daily_table

    if (history is None) != (seal is None):
        raise UnusableArgument("--history and --seal go together: the records of the days before are proved")
    if measurements is not None:
        given = read_daily_measurements(measurements)
    else:
        from isoalign.calibration.measuring_poses import measure_day
        from isoalign.cli.calibrate_room import opened_room
        from isoalign.room.calibration import ALL_RECORDS

        cube = cube_phantom() if phantom is None else load_phantom(phantom)
        with opened_room(config, "cube" if simulate else None, seed, outputs.operator, ALL_RECORDS) as (room, told):
            given = measure_day(room, cube, devices=outputs.serial_numbers(), on_progress=told)
    check = check_day(given)
    record = outputs.completed(daily_record(check))
    earlier = (
        [] if history is None or seal is None else earlier_checks(history, RoomSeal.load(seal), SystemClock().utc())
    )
    seen = trends([*earlier, record]) if earlier else ()
    return finish(record, daily_document(check, seen), daily_table(check), outputs)
