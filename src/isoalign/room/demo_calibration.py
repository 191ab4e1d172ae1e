"""A simulated machine that is not as its configuration says, and its calibration before the demonstration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isoalign.room.settings import CalibrationSettings, RoomSettings
from isoalign.room.simulation import CouchErrors, ImagerMisalignment

if TYPE_CHECKING:
    from isoalign.calibration import CalibrationRecord, RoomKey

KEY = "room-key"
IMAGERS = "kv-imagers.json"
COUCH = "couch-axis.json"
VALID_FOR = timedelta(days=1)
NOTES = {"room": "simulated"}
LEAST_SHIFT_MM, GREATEST_SHIFT_MM = 1.2, 2.0
GREATEST_TURN_DEG = 0.5
LEAST_OFFSET_MM, GREATEST_OFFSET_MM = 1.5, 2.0
LEAST_LEAN_DEG, GREATEST_LEAN_DEG = 0.05, 0.1
WALK_MM = 0.15
SAG_MM, SAG_PITCH_DEG = 2.0, 0.1
PATIENT_KG = 75.0
ANGLES = 7
LEAST_SPAN_DEG = 45.0

Told = Callable[[str, float | None], None]


@dataclass(frozen=True, slots=True)
class MachineErrors:
    """How the simulated machines truly stand.

    Attributes
    ----------
    imagers : dict of imager name to ImagerMisalignment
    couch : CouchErrors
        With the patient on it; a phantom weighs nothing.
    """

    imagers: dict[str, ImagerMisalignment] = field(default_factory=dict)
    couch: CouchErrors = field(default_factory=CouchErrors)

    @property
    def unloaded_couch(self) -> CouchErrors:
        """The couch with a phantom on it."""
        return replace(self.couch, payload_kg=0.0)


def machine_errors(settings: RoomSettings, seed: int) -> MachineErrors:
    """Errors of realistic size, drawn from the seed.

    Panels are shifted on their arms by 1.2 to 2 mm along each side, and turned by up to half a degree. The axis of the
    patient support is 1.5 to 2 mm beside the isocentre, leans by 0.05 to 0.1 degrees along each side, and walks; the
    table top sinks and tilts under the patient as usual ones do.
    """
    draw = np.random.default_rng([seed, 0xBAD])
    imagers = {}
    for imager in settings.imager:
        size = draw.uniform(LEAST_SHIFT_MM, GREATEST_SHIFT_MM, 2) * draw.choice([-1.0, 1.0], 2)
        turn = float(draw.uniform(-GREATEST_TURN_DEG, GREATEST_TURN_DEG))
        shift = (float(size[0]), float(size[1]))
        imagers[imager.name] = ImagerMisalignment(receptor_translation_mm=shift, receptor_angle_deg=turn)
    way, length = draw.uniform(0.0, 2.0 * np.pi), draw.uniform(LEAST_OFFSET_MM, GREATEST_OFFSET_MM)
    lean = draw.uniform(LEAST_LEAN_DEG, GREATEST_LEAN_DEG, 2) * draw.choice([-1.0, 1.0], 2)
    couch = CouchErrors(
        axis_offset_mm=(float(length * np.cos(way)), float(length * np.sin(way))),
        axis_lean_deg=(float(lean[0]), float(lean[1])),
        axis_walk_mm=WALK_MM,
        payload_kg=PATIENT_KG,
        sag_mm=SAG_MM,
        sag_pitch_deg=SAG_PITCH_DEG,
    )
    return MachineErrors(imagers, couch)


def calibrate_room(
    settings: RoomSettings, errors: MachineErrors, folder: Path, seed: int, support_angle_deg: float, told: Told
) -> CalibrationSettings:
    """Calibrate imagers and couch on the same machine, as in any room, and sign the records. Blocks.

    First the ball-bearing phantom tells where the imagers stand; then, with imagers that are known, two balls tell
    where the axis of the couch is, over couch angles that hold the plan's.

    Parameters
    ----------
    folder : Path
        The room's key (made once) and the records go here.
    support_angle_deg : float
        Patient support angle of the plan.
    told : callable
        Told what is done and how far it is.

    Raises
    ------
    IsoalignError
        Also when a gate of a calibration does not hold.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key, seal = _key(folder / KEY)
    told("kV imagers, by a phantom of balls", None)
    imagers = _sign(_imagers(settings, errors, seed), folder / IMAGERS, key)
    stated = CalibrationSettings(seal=seal.resolve(), imagers=imagers)
    # between the panels of the example room no couch turns by 45 degrees; what is turned here carries two balls
    known = settings.model_copy(update={"calibration": stated, "clearance": None})
    couch = _sign(_axis(known, errors, seed, support_angle_deg, told), folder / COUCH, key)
    return stated.model_copy(update={"couch": couch})


def _imagers(settings: RoomSettings, errors: MachineErrors, seed: int) -> CalibrationRecord:
    from isoalign.calibration import built_in_phantom, calibrate_kv_imagers, kv_imager_record
    from isoalign.room.facade import BALL_BEARING, Room

    with Room(
        settings,
        scene=BALL_BEARING,
        seed=seed,
        misalignments=errors.imagers,
        couch_errors=errors.unloaded_couch,
        records=(),
    ) as room:
        return kv_imager_record(calibrate_kv_imagers(built_in_phantom(), room.acquire()), notes=NOTES)


def _axis(
    settings: RoomSettings, errors: MachineErrors, seed: int, support_angle_deg: float, told: Told
) -> CalibrationRecord:
    from isoalign.calibration import fit_couch_walkout, measure_walkout, walkout_record
    from isoalign.room.calibration import IMAGERS as KNOWN_IMAGERS
    from isoalign.room.facade import TWO_BALLS, Room

    with Room(
        settings,
        scene=TWO_BALLS,
        seed=seed,
        misalignments=errors.imagers,
        couch_errors=errors.unloaded_couch,
        records=(KNOWN_IMAGERS,),
    ) as room:
        room.clear("calibration of the couch", "demo")
        measured = measure_walkout(room, angles_deg=_angles(support_angle_deg), on_progress=told)
    found = fit_couch_walkout(measured.measurements)
    return walkout_record(found, measured.measured_at, measured.inputs_sha256, notes=NOTES)


def _angles(support_angle_deg: float) -> tuple[float, ...]:
    """Couch angles on both sides of 0 that hold the plan's, to one side and then to the other."""
    span = min(90.0, max(LEAST_SPAN_DEG, abs(support_angle_deg)))
    steps = np.linspace(-span, span, ANGLES)
    return (0.0, *(float(angle) for angle in steps[steps > 0]), *(float(angle) for angle in steps[steps < 0][::-1]))


def _key(private: Path) -> tuple[RoomKey, Path]:
    from isoalign.calibration import RoomKey

    if private.exists():
        return RoomKey.load(private), private.with_name(private.name + ".pub")
    key = RoomKey.generate()
    _, seal = key.save(private)
    return key, seal


def _sign(record: CalibrationRecord, file: Path, key: RoomKey) -> Path:
    from isoalign.calibration import write_record

    return write_record(replace(record, valid_until=record.measured_at + VALID_FOR), file, key).resolve()
