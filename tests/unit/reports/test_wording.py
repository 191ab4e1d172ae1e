"""Signs and words, typed by hand from IEC 61217."""

from __future__ import annotations

import pytest

from isoalign.reports.wording import direction_words, patient_directions, signed


@pytest.mark.parametrize(
    ("axis", "positive", "negative"),
    [
        ("lateral", "right (+X)", "left (−X)"),
        ("longitudinal", "towards the gantry (+Y)", "away from the gantry (−Y)"),
        ("vertical", "up (+Z)", "down (−Z)"),
        ("pitch", "gantry end up (+Y → +Z)", "gantry end down (+Y → −Z)"),
        ("roll", "right side down (+X → −Z)", "right side up (+X → +Z)"),
        ("patient_support_angle", "counter-clockwise (+X → +Y)", "clockwise (+X → −Y)"),
    ],
)
def test_direction_of_each_sign(axis: str, positive: str, negative: str) -> None:
    assert direction_words(axis, 1.0) == positive
    assert direction_words(axis, -1.0) == negative
    assert direction_words(axis, 0.0) == "no change"


@pytest.mark.parametrize(
    ("position", "lateral", "longitudinal", "vertical"),
    [
        ("HFS", ("left", "right"), ("head", "feet"), ("front", "back")),
        ("HFP", ("right", "left"), ("head", "feet"), ("back", "front")),
        ("FFS", ("right", "left"), ("feet", "head"), ("front", "back")),
        ("FFP", ("left", "right"), ("feet", "head"), ("back", "front")),
    ],
)
def test_sides_of_the_patient(
    position: str, lateral: tuple[str, str], longitudinal: tuple[str, str], vertical: tuple[str, str]
) -> None:
    assert patient_directions(position) == {
        "lateral": lateral,
        "longitudinal": longitudinal,
        "vertical": vertical,
    }


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1.234, "mm", "+1.23"),
        (-1.2, "mm", "−1.20"),
        (-0.001, "mm", "0.00"),
        (0.0004, "°", "0.000"),
        (-2.5, "°", "−2.500"),
    ],
)
def test_numbers_carry_their_sign_and_never_a_negative_zero(value: float, unit: str, shown: str) -> None:
    assert signed(value, unit) == shown
