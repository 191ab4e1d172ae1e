"""``isoalign calibrate two-channels``: the second channel of each axis, and how far the couch goes on after a stop."""

from __future__ import annotations

from pathlib import Path

from isoalign.cli.calibrate_outputs import Outputs, finish

NONE = Outputs()


def two_channels(
    recordings: tuple[Path, ...] = (),
    /,
    *,
    simulate: bool = False,
    config: Path | None = None,
    load_kg: float = 0.0,
    again: int = 2,
    seed: int = 1,
    keep: Path | None = None,
    outputs: Outputs = NONE,
) -> int:
    """Scale, offset, lag and play of each second channel, and the table of stops that interlocks look into.

    Every axis is stopped half-way, in both directions, at service and at normal speed. Measure once for each load and
    keep the recordings; then name all of them together.

    Parameters
    ----------
    recordings
        Files of recorded stops, such as one for each load; none to measure now.
    simulate
        Measure in a simulated room.
    config
        Measure in this room (room.toml).
    load_kg
        Stated load of the table top while measuring.
    again
        How often each axis is stopped in each direction at each speed.
    seed
        Of the simulated room.
    keep
        Write what was measured to this file.
    """
    outputs.require_usable()
    from isoalign.calibration import (
        calibrate_channels,
        channels_record,
        read_stop_measurements,
        write_stop_measurements,
    )
    from isoalign.reports.channels_report import channels_document, channels_table

    if recordings:
        given = read_stop_measurements(recordings)
    else:
        from isoalign.calibration.measuring_poses import measure_stops
        from isoalign.cli.calibrate_room import opened_room
        from isoalign.clock import SystemClock

        with opened_room(config, "empty" if simulate else None, seed, outputs.operator, ()) as (room, told):
            given = measure_stops(
                room,
                now=SystemClock().utc,
                load_kg=load_kg,
                again=again,
                devices=outputs.serial_numbers(),
                on_progress=told,
            )
    if keep is not None:
        write_stop_measurements(given, keep)
    result = calibrate_channels(given)
    return finish(
        outputs.completed(channels_record(result)), channels_document(result), channels_table(result), outputs
    )
