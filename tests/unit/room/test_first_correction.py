"""What an erring couch does to the first correction, with perfect images: geometry of many couches and patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from isoalign.calibration import (
    TableTopCorrection,
    WalkoutMeasurements,
    fit_couch_walkout,
    table_top_correction,
    walkout_record,
)
from isoalign.calibration.table_top_correction import UNCORRECTED
from isoalign.clock import SystemClock
from isoalign.geometry import Representation, TableTopPosition, apply_correction, fixed_from_table, residual_of
from isoalign.room.demo import hidden_error
from isoalign.room.demo_calibration import machine_errors
from isoalign.room.settings import load_settings
from isoalign.simulators.support_axis import SupportAxisErrors

SETTINGS = load_settings()
SETUP = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)
BALLS_MM = np.array([[4.0, -6.0, 3.0], [58.0, 27.0, -9.0]])
COUCHES = 20
LEFT_MM = 0.1
"""Of a walk of 0.15 mm twice around in a turn, by a series that was fitted over 90 degrees."""


def couch_of(seed: int) -> SupportAxisErrors:
    drawn = machine_errors(SETTINGS, seed).couch
    return SupportAxisErrors(drawn.axis_offset_mm, drawn.axis_lean_deg, drawn.axis_walk_mm)


def truly(couch: SupportAxisErrors, told: TableTopPosition) -> TableTopPosition:
    return TableTopPosition.from_values(Representation.IEC_61217, couch.applied_to(np.array(told.values)))


def measured(couch: SupportAxisErrors) -> TableTopCorrection:
    """From a walk-out over 90 degrees, with images that tell the balls exactly."""
    on_table = fixed_from_table(SETUP).inverse().apply(BALLS_MM)
    angles = np.linspace(-45.0, 45.0, 7)
    places = [
        fixed_from_table(truly(couch, replace(SETUP, patient_support_angle_deg=float(angle)))).apply(on_table)
        for angle in angles
    ]
    labels = tuple(f"{angle:g}" for angle in angles for _ in BALLS_MM)
    seen = WalkoutMeasurements(np.repeat(angles, 2), np.vstack(places), np.tile([0, 1], len(angles)), labels)
    return table_top_correction(walkout_record(fit_couch_walkout(seen), SystemClock().utc(), ""))


def after_first_correction(seed: int, correction: TableTopCorrection, angle_deg: float) -> tuple[float, float]:
    """How far the patient is from the plan, and the table top from where the room says, mm."""
    couch, error = couch_of(seed), hidden_error(seed, None)
    start = correction.command(replace(SETUP, patient_support_angle_deg=angle_deg))
    target = apply_correction(correction.true_position(start), error.inverse())
    stopped = correction.command(target)
    way = fixed_from_table(truly(couch, stopped)) @ fixed_from_table(truly(couch, start)).inverse()
    told = fixed_from_table(truly(couch, stopped)) @ fixed_from_table(correction.true_position(stopped)).inverse()
    return residual_of(way @ error).distance_mm, residual_of(told).distance_mm


@pytest.mark.parametrize("angle_deg", [0.0, 15.0, 40.0])
def test_images_hide_what_the_couch_errs_and_only_a_record_tells_where_it_stands(angle_deg: float) -> None:
    """The patient was imaged where they are treated, so only the change over the correction is missed: a turn of some
    degrees about an axis 2 mm off. The read-back is off by the whole turn.
    """
    without = np.array([after_first_correction(seed, UNCORRECTED, angle_deg) for seed in range(COUCHES)])
    with_record = np.array(
        [after_first_correction(seed, measured(couch_of(seed)), angle_deg) for seed in range(COUCHES)]
    )
    assert 0.05 < without[:, 0].max() < 0.2
    assert with_record[:, 0].max() < 0.02
    assert with_record[:, 1].max() < LEFT_MM
    if angle_deg >= 15.0:
        assert without[:, 1].min() > 8.0 * with_record[:, 1].max()
        assert without[:, 1].min() > (0.25 if angle_deg < 40.0 else 0.7)


def test_a_turn_without_images_carries_the_patient_away_unless_the_couch_is_known() -> None:
    """Imaged at angle 0 and treated at 45 degrees: what the axis errs is not hidden by anything."""
    missed = {}
    for name in ("without", "with record"):
        far = []
        for seed in range(COUCHES):
            couch = couch_of(seed)
            known = UNCORRECTED if name == "without" else measured(couch)
            wanted = replace(SETUP, patient_support_angle_deg=45.0)
            true = fixed_from_table(truly(couch, known.command(wanted)))
            far.append(residual_of(true @ fixed_from_table(wanted).inverse()).distance_mm)
        missed[name] = np.array(far)
    assert missed["without"].min() > 0.7
    assert missed["with record"].max() < LEFT_MM
