"""A simulated machine that is not as its configuration says, and its calibration before the demonstration."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from isoalign.room.settings import CalibrationSettings, RoomSettings
from isoalign.room.simulation import CouchErrors, ImagerMisalignment

KEY = "room-key"
IMAGERS = "kv-imagers.json"
VALID_FOR = timedelta(days=1)
LEAST_SHIFT_MM, GREATEST_SHIFT_MM = 1.2, 2.0
GREATEST_TURN_DEG = 0.5


def machine_errors(settings: RoomSettings, seed: int) -> dict[str, ImagerMisalignment]:
    """Panels shifted on their arms by 1.2 to 2 mm along each side, and turned by up to half a degree."""
    draw = np.random.default_rng([seed, 0xBAD])
    found = {}
    for imager in settings.imager:
        size = draw.uniform(LEAST_SHIFT_MM, GREATEST_SHIFT_MM, 2) * draw.choice([-1.0, 1.0], 2)
        turn = float(draw.uniform(-GREATEST_TURN_DEG, GREATEST_TURN_DEG))
        shift = (float(size[0]), float(size[1]))
        found[imager.name] = ImagerMisalignment(receptor_translation_mm=shift, receptor_angle_deg=turn)
    return found


def calibrate_imagers(
    settings: RoomSettings, misalignments: dict[str, ImagerMisalignment], folder: Path, seed: int
) -> CalibrationSettings:
    """Image the ball-bearing phantom on the same machine, fit, and sign the record. Blocks.

    Parameters
    ----------
    folder : Path
        The room's key (made once) and the record go here.

    Raises
    ------
    IsoalignError
        Also when a gate of the calibration does not hold.
    """
    from isoalign.calibration import RoomKey, built_in_phantom, calibrate_kv_imagers, kv_imager_record, write_record
    from isoalign.room.facade import BALL_BEARING, Room

    with Room(settings, scene=BALL_BEARING, seed=seed, misalignments=misalignments, couch_errors=CouchErrors()) as room:
        calibration = calibrate_kv_imagers(built_in_phantom(), room.acquire())
    folder.mkdir(parents=True, exist_ok=True)
    private = folder / KEY
    if private.exists():
        key, seal = RoomKey.load(private), private.with_name(KEY + ".pub")
    else:
        key = RoomKey.generate()
        _, seal = key.save(private)
    record = kv_imager_record(calibration, notes={"room": "simulated"})
    until = calibration.measured_at + VALID_FOR
    file = write_record(replace(record, valid_until=until), folder / IMAGERS, key)
    return CalibrationSettings(seal=seal.resolve(), imagers=file.resolve())
