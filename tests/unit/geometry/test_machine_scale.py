"""Machine scales: signs, zeros, wrapping, what is unverified, and what a site may state."""

from __future__ import annotations

import numpy as np
import pytest

from isoalign.errors import IsoalignError
from isoalign.geometry import (
    AXES,
    NAMED_SCALES,
    AxisScale,
    InvalidGeometry,
    MachineScale,
    Representation,
    TableTopPosition,
    UnverifiedScale,
    Wrap,
    fixed_from_table,
    scale_from_mapping,
)

IEC = Representation.IEC_61217
POSITION = TableTopPosition(IEC, 12.5, 700.0, -120.0, -1.5, 0.75, -10.0)
PAGE = "acceptance protocol, page 12"


def site_table() -> dict:
    """A site's scale as it comes out of a TOML file: everything different from IEC 61217."""
    return {
        "based_on": "varian-iec",
        "table_top_origin_mm": [0.0, 0.0, 100.0],
        "origin_source": PAGE,
        "axes": {
            "lateral": {"sign": -1, "zero": 0.0, "source": PAGE},
            "longitudinal": {"sign": 1, "zero": 50.0, "unit": "cm", "source": PAGE},
            "vertical": {"sign": -1, "zero": 0.0, "unit": "cm", "source": PAGE},
            "pitch": {"sign": 1, "wrap": "-180 to 180", "source": PAGE},
            "roll": {"sign": -1, "source": PAGE},
        },
    }


def test_iec_scale_shows_the_position_with_wrapped_angles() -> None:
    reading = NAMED_SCALES["iec61217"].read(POSITION)
    np.testing.assert_allclose(reading.values, (12.5, 700, -120, 358.5, 0.75, 350), atol=1e-12)
    np.testing.assert_allclose(reading.position().values, POSITION.values, atol=1e-12)


def test_every_axis_of_a_site_scale_by_hand() -> None:
    level = TableTopPosition(IEC, 10.0, 700.0, -120.0, 0.0, 0.0, -10.0)
    reading = scale_from_mapping("room 2", site_table()).read(level)
    # the origin lies 100 mm above the table top: -120 + 100 = -20 mm, shown downwards in cm
    np.testing.assert_allclose(reading.values, (-10.0, 120.0, 2.0, 0.0, 0.0, 10.0), atol=1e-12)


def test_an_origin_above_the_table_tilts_with_it() -> None:
    """At 90 degrees of pitch a point 100 mm above the table top is 100 mm nearer to the foot end."""
    table = {"based_on": "iec61217", "table_top_origin_mm": [0.0, 0.0, 100.0], "origin_source": PAGE}
    reading = scale_from_mapping("x", table).read(TableTopPosition(IEC, 0, 500, 0, pitch_deg=90.0))
    np.testing.assert_allclose(reading.values[:3], (0.0, 400.0, 0.0), atol=1e-9)


def test_shown_origin_is_a_point_of_the_table_top() -> None:
    origin = (3.0, -40.0, 100.0)
    table = {"based_on": "iec61217", "table_top_origin_mm": list(origin), "origin_source": PAGE}
    reading = scale_from_mapping("x", table).read(POSITION)
    level = TableTopPosition(IEC, *POSITION.values[:5], 0.0)
    np.testing.assert_allclose(reading.values[:3], fixed_from_table(level).apply(origin), atol=1e-9)


@pytest.mark.parametrize("name", ["varian-iec", "varian-standard", "elekta-iec", "iba"])
def test_what_nobody_has_published_is_refused_by_name(name: str) -> None:
    scale = NAMED_SCALES[name]
    with pytest.raises(UnverifiedScale, match=r"lateral, longitudinal, vertical, pitch, roll") as caught:
        scale.read(POSITION)
    assert "scale.NAME.axes" in caught.value.hint
    assert set(AXES[:5]) <= set(scale.unverified_axes)


def test_one_missing_axis_is_enough_to_refuse() -> None:
    table = site_table()
    del table["axes"]["roll"]
    with pytest.raises(UnverifiedScale, match="roll unverified"):
        scale_from_mapping("x", table).read(POSITION)


def test_translations_need_a_stated_origin() -> None:
    table = site_table()
    del table["table_top_origin_mm"], table["origin_source"]
    with pytest.raises(UnverifiedScale, match="vertical unverified"):
        scale_from_mapping("x", table).read(POSITION)


def test_rotations_of_an_otherwise_unverified_scale_can_be_used() -> None:
    assert float(NAMED_SCALES["varian-iec"].angle_reading("patient_support_angle", 315.0)) == 45.0
    assert float(NAMED_SCALES["varian-iec"].angle_deg("patient_support_angle", 45.0)) == -45.0
    with pytest.raises(UnverifiedScale, match="gantry_angle not defined"):
        NAMED_SCALES["iba"].angle_reading("gantry_angle", 0.0)
    with pytest.raises(InvalidGeometry, match="no angle"):
        NAMED_SCALES["iec61217"].angle_reading("vertical", 0.0)


def test_readings_and_back_for_many_positions() -> None:
    rng = np.random.default_rng(5)
    rows = np.column_stack(
        [rng.uniform(-1500, 1500, (500, 3)), rng.uniform(-80, 80, (500, 2)), rng.uniform(-179, 179, 500)]
    )
    scale = scale_from_mapping("room 2", site_table())
    np.testing.assert_allclose(scale.iec_rows(scale.readings(rows)), rows, atol=1e-9)
    one = scale.read(TableTopPosition.from_values(IEC, rows[7]))
    np.testing.assert_allclose(one.values, scale.readings(rows)[7], atol=1e-12)


def test_a_wrapped_reading_is_unwrapped_near_a_known_position() -> None:
    near = TableTopPosition(IEC, 0, 0, 0, 0, 0, 725.0)
    reading = NAMED_SCALES["iec61217"].read(near)
    assert reading.patient_support_angle == pytest.approx(5.0)
    assert reading.position(near=near).patient_support_angle_deg == pytest.approx(725.0)


def test_180_and_minus_180_are_one_place() -> None:
    """A bipolar read-out shows the positive one; both are understood."""
    axis = AxisScale(wrap=Wrap.BIPOLAR, source=PAGE)
    np.testing.assert_array_equal(axis.reading([180.0, -180.0, 540.0, 179.5, -179.5]), [180, 180, 180, 179.5, -179.5])
    np.testing.assert_array_equal(axis.value([180.0, -180.0]), [180.0, 180.0])


def test_a_tiny_negative_angle_is_shown_as_zero_not_as_360() -> None:
    shown = float(AxisScale(wrap=Wrap.UNIPOLAR, source=PAGE).reading(-1e-17))
    assert 0.0 <= shown < 360.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"based_on": "varian"}, "based_on"),
        ({"colour": 1}, "unknown keys colour"),
        ({"axes": {"height": {"sign": 1, "source": PAGE}}}, "axes.height: unknown axis"),
        ({"axes": {"roll": {"sign": 1, "source": PAGE, "offset": 3}}}, "axes.roll: unknown keys offset"),
        ({"axes": {"roll": {"sign": 2, "source": PAGE}}}, "axes.roll.sign"),
        ({"axes": {"roll": {"sign": True, "source": PAGE}}}, "axes.roll.sign"),
        ({"axes": {"roll": {"source": PAGE}}}, "axes.roll.sign"),
        ({"axes": {"roll": {"sign": 1, "source": " "}}}, "axes.roll.source"),
        ({"axes": {"roll": {"sign": 1, "zero": "x", "source": PAGE}}}, "axes.roll.zero"),
        ({"axes": {"roll": {"sign": 1, "unit": "mm", "source": PAGE}}}, "axes.roll.unit"),
        ({"axes": {"vertical": {"sign": 1, "unit": "inch", "source": PAGE}}}, "axes.vertical.unit"),
        ({"axes": {"vertical": {"sign": 1, "wrap": "0 to 360", "source": PAGE}}}, "axes.vertical.wrap"),
        ({"axes": {"roll": {"sign": 1, "wrap": "round", "source": PAGE}}}, "axes.roll.wrap"),
        ({"table_top_origin_mm": [0, 0]}, "table_top_origin_mm"),
        ({"origin_source": ""}, "origin_source"),
    ],
)
def test_a_wrong_key_is_named_with_its_path(change: dict, message: str) -> None:
    with pytest.raises(IsoalignError, match=r"scale\.room 2") as caught:
        scale_from_mapping("room 2", {**site_table(), **change})
    assert message in str(caught.value)


def test_bad_readings_are_refused_by_axis_and_position() -> None:
    scale = NAMED_SCALES["iec61217"]
    with pytest.raises(InvalidGeometry, match="roll of position 1 is nan"):
        scale.readings([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, np.nan, 0]])
    with pytest.raises(InvalidGeometry, match=r"\(n, 6\)"):
        scale.readings([0.0] * 6)
    with pytest.raises(InvalidGeometry):
        MachineScale("x", {"heigth": AxisScale()})
    with pytest.raises(InvalidGeometry):
        AxisScale(sign=0)


def test_reprs_say_what_they_are() -> None:
    assert "unverified: lateral" in repr(NAMED_SCALES["varian-iec"])
    assert repr(NAMED_SCALES["iec61217"]) == "MachineScale('iec61217')"
    assert "iec61217: lateral 12.5" in repr(NAMED_SCALES["iec61217"].read(POSITION))
