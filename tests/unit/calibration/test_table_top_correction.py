"""Positions of an erring couch and of its table top: judged by the simulator's axis and the other couch's formulas."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from isoalign.calibration import (
    CalibrationRecord,
    InvalidCalibrationRecord,
    OutsideCalibratedRange,
    TableTopCorrection,
    WalkoutMeasurements,
    calibrate_couch,
    fit_couch_walkout,
    kinematics_record,
    read_couch_measurements,
    table_top_correction,
    walkout_record,
)
from isoalign.calibration.couch_kinematics_record import CouchCorrection
from isoalign.calibration.couch_model import PARAMETERS
from isoalign.geometry import Representation, TableTopPosition, displacement_between, fixed_from_table
from isoalign.simulators.support_axis import SupportAxisErrors

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SETUP = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)
BALLS_MM = np.array([[4.0, -6.0, 3.0], [58.0, 27.0, -9.0]])
ERRING = [
    SupportAxisErrors((0.7, -0.4), (0.1, -0.05)),
    SupportAxisErrors((-0.5, 0.9), (-0.08, 0.1), 0.25),
    SupportAxisErrors((0.0, 0.0), (0.0, 0.0), 0.3),
]


def at_angle(angle_deg: float) -> TableTopPosition:
    return replace(SETUP, patient_support_angle_deg=float(angle_deg))


def truly(errors: SupportAxisErrors, told: TableTopPosition) -> TableTopPosition:
    """Where the simulator's table top is when its couch tells ``told``."""
    return TableTopPosition.from_values(Representation.IEC_61217, errors.applied_to(np.array(told.values)))


def walkout_of(errors: SupportAxisErrors, noise_mm: float = 0.0) -> CalibrationRecord:
    """The record of a walk-out that was measured with balls on the simulator's couch."""
    on_table = fixed_from_table(SETUP).inverse().apply(BALLS_MM)
    angles = np.linspace(-90.0, 90.0, 9)
    seen = np.array([fixed_from_table(truly(errors, at_angle(angle))).apply(on_table) for angle in angles])
    seen += np.random.default_rng(5).normal(0.0, noise_mm, seen.shape) if noise_mm else 0.0
    balls = np.tile([0, 1], len(angles))
    labels = tuple(f"couch {angle:g}" for angle in angles for _ in BALLS_MM)
    found = fit_couch_walkout(WalkoutMeasurements(np.repeat(angles, 2), seen.reshape(-1, 3), balls, labels))
    return walkout_record(found, NOW, "")


def apart(one: TableTopPosition, other: TableTopPosition) -> tuple[float, float]:
    """Distance at the isocentre, mm, and angle, degrees."""
    moved = displacement_between(one, other)
    return moved.distance_mm, moved.angle_deg


@pytest.mark.parametrize("errors", ERRING)
@pytest.mark.parametrize("angle_deg", [-90.0, -37.0, 0.0, 12.0, 60.0, 90.0])
def test_the_true_table_top_gets_where_it_is_wanted(errors: SupportAxisErrors, angle_deg: float) -> None:
    """Off by up to 2 mm without the record; what the record leaves is the plane of the balls and the fit's series."""
    correction = table_top_correction(walkout_of(errors))
    wanted = TableTopPosition(Representation.IEC_61217, 8.0, 690.0, -126.0, 2.0, -1.5, angle_deg)
    reached = truly(errors, correction.command(wanted))
    distance_mm, turned_deg = apart(wanted, reached)
    assert distance_mm < 0.05
    assert turned_deg < 0.01
    if abs(angle_deg) >= 60.0:
        assert apart(wanted, truly(errors, wanted))[0] > 0.4


@pytest.mark.parametrize("errors", ERRING)
def test_scatter_of_the_balls_stays_small_in_the_table_top(errors: SupportAxisErrors) -> None:
    """What is left is what the record says of itself, three standard deviations of it; a lean turns twice."""
    record = walkout_of(errors, noise_mm=0.05)
    correction = table_top_correction(record)
    lean_deg = 2.0 * 3.0 * float(np.hypot(*record.result["tilt_sigma_deg"]))
    for angle_deg in (-80.0, -30.0, 45.0, 90.0):
        distance_mm, turned_deg = apart(at_angle(angle_deg), truly(errors, correction.command(at_angle(angle_deg))))
        assert distance_mm < 2.0 * 3.0 * record.result["uncertainty95_mm"] / 2.45
        assert turned_deg < lean_deg


@pytest.mark.parametrize("errors", ERRING)
def test_command_and_read_back_belong_together(errors: SupportAxisErrors) -> None:
    correction = table_top_correction(walkout_of(errors))
    dice = np.random.default_rng(3)
    for _ in range(20):
        values = np.array(SETUP.values) + dice.uniform(-1, 1, 6) * (40, 60, 60, 3, 3, 90)
        wanted = TableTopPosition.from_values(Representation.IEC_61217, values)
        back = correction.true_position(correction.command(wanted))
        np.testing.assert_allclose(back.values, wanted.values, atol=1e-5)


def test_what_the_couch_tells_becomes_where_its_table_top_is() -> None:
    errors = ERRING[1]
    correction = table_top_correction(walkout_of(errors))
    for angle_deg in (-90.0, -45.0, 30.0, 90.0):
        told = at_angle(angle_deg)
        assert apart(told, truly(errors, told))[0] > 0.2
        assert apart(correction.true_position(told), truly(errors, told))[0] < 0.05


def test_at_angle_zero_nothing_changes() -> None:
    correction = table_top_correction(walkout_of(ERRING[1]))
    np.testing.assert_allclose(correction.true_position(SETUP).values, SETUP.values, atol=1e-9)
    np.testing.assert_allclose(correction.command(SETUP).values, SETUP.values, atol=1e-6)


def test_other_representations_are_understood() -> None:
    correction = table_top_correction(walkout_of(ERRING[0]))
    wanted = at_angle(70.0)
    isocentric = wanted.in_representation(Representation.ISOCENTRIC_STANDARD)
    np.testing.assert_allclose(correction.command(isocentric).values, correction.command(wanted).values, atol=1e-6)


def test_heights_that_were_not_measured_are_not_corrected() -> None:
    record = walkout_of(ERRING[0])
    rows = [*record.result["offset_fourier_mm"][:2], None]
    flat = replace(record, result={**record.result, "offset_fourier_mm": rows, "tilt_deg": None})
    told = at_angle(80.0)
    found = table_top_correction(flat).true_position(told)
    assert found.vertical_mm == pytest.approx(told.vertical_mm, abs=1e-9)
    assert found.pitch_deg == pytest.approx(0.0, abs=1e-9)
    assert abs(found.lateral_mm - told.lateral_mm) > 0.1


def test_angles_that_were_not_measured_are_refused() -> None:
    record = walkout_of(ERRING[0])
    correction: TableTopCorrection = table_top_correction(record)
    with pytest.raises(OutsideCalibratedRange):
        correction.command(at_angle(120.0))
    with pytest.raises(OutsideCalibratedRange):
        correction.true_position(at_angle(-101.0))


@pytest.mark.parametrize(
    "changed",
    [
        {"offset_fourier_mm": [[0.1], None, [0.0]]},
        {"offset_fourier_mm": "none"},
        {"range_deg": [20.0, 90.0]},
        {"range_deg": [0.0]},
        {"tilt_deg": [float("nan"), 0.0]},
        {"tilt_deg": 3},
    ],
)
def test_damaged_records_are_refused(changed: dict[str, object]) -> None:
    record = walkout_of(ERRING[0])
    with pytest.raises(InvalidCalibrationRecord):
        table_top_correction(replace(record, result={**record.result, **changed}))


def test_records_of_something_else_are_refused() -> None:
    with pytest.raises(InvalidCalibrationRecord, match="Winston-Lutz"):
        table_top_correction(replace(walkout_of(ERRING[0]), kind="Winston-Lutz"))
    with pytest.raises(InvalidCalibrationRecord):
        table_top_correction(replace(walkout_of(ERRING[0]), version=9))


# --- kinematics: the record of the other couch, whose truth shares no formulas with the model ----------------------


@pytest.fixture(scope="module")
def kinematics() -> CalibrationRecord:
    golden = Path(__file__).parents[3] / "calibration" / "couch_kinematics" / "golden" / "measurements.json"
    return kinematics_record(calibrate_couch(read_couch_measurements(golden)))


def test_kinematics_lead_back_from_the_command(kinematics: CalibrationRecord) -> None:
    correction = table_top_correction(kinematics)
    wanted = TableTopPosition(Representation.IEC_61217, 20.0, 820.0, -150.0, 1.0, -0.5, 30.0)
    command = correction.command(wanted, load_kg=80.0)
    assert apart(command, wanted)[0] > 0.5
    np.testing.assert_allclose(correction.true_position(command, load_kg=80.0).values, wanted.values, atol=1e-6)


def test_a_couch_that_gives_way_must_tell_its_load(kinematics: CalibrationRecord) -> None:
    correction = table_top_correction(kinematics)
    wanted = TableTopPosition(Representation.IEC_61217, 20.0, 820.0, -150.0)
    with pytest.raises(OutsideCalibratedRange, match="not known"):
        correction.command(wanted)
    with pytest.raises(OutsideCalibratedRange, match="load 190 kg"):
        correction.true_position(wanted, load_kg=190.0)
    one_load = {**kinematics.result, "range": {**kinematics.result["range"], "load_kg": [0.0, 0.0]}}
    empty = table_top_correction(replace(kinematics, result=one_load))
    assert empty.command(wanted) == empty.command(wanted, load_kg=-0.4)


def test_the_loads_of_the_calibration_say_where_a_patient_has_their_weight(kinematics: CalibrationRecord) -> None:
    found = CouchCorrection.from_record(kinematics)
    assert found.range.load_centre_mm[1] < -300.0
    older = {name: value for name, value in kinematics.result["range"].items() if name != "load_centre_mm"}
    before = CouchCorrection.from_record(replace(kinematics, result={**kinematics.result, "range": older}))
    assert before.range.load_centre_mm == (0.0, 0.0, 0.0)
    assert len(PARAMETERS) == before.model.values.size
    assert kinematics.valid_until - kinematics.measured_at > timedelta(days=300)
