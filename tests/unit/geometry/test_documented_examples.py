"""The numbers and signs that the documentation prints about the table, its representations and the imagers."""

from __future__ import annotations

import importlib.util
import itertools
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from isoalign.geometry import (
    NAMED_SCALES,
    ImagerAxis,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    Representation,
    RotatingAxis,
    RotationDirection,
    TableTopEccentricity,
    TableTopPosition,
    fixed_from_gantry,
    fixed_from_table,
    gantry_from_beam_limiting_device,
    gantry_from_receptor,
    support_from_eccentric,
    travel_deg,
    vertical_from_table_height_mm,
    without_eccentric,
)

DOCS = Path(__file__).parents[3] / "docs"
REPRESENTATIONS = DOCS / "explanation" / "iec-61217-and-isocentric-standard.md"
ERRATUM = DOCS / "explanation" / "erratum-worked-example.md"
SIGNS = DOCS / "reference" / "signs.md"
IEC, ISO = Representation.IEC_61217, Representation.ISOCENTRIC_STANDARD
PRINTED = 0.5005e-3
"""Half a unit of the last of three digits, mm."""
AXIS = {"X": (1, 0, 0), "Y": (0, 1, 0), "Z": (0, 0, 1)}


def table_rows(page: Path, head: str) -> list[list[str]]:
    """The body of the one table of a page whose head begins with this text."""
    lines = page.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(f"| {head} |")]
    assert len(starts) == 1, f"{page.name} has {len(starts)} tables that begin with {head!r}"
    body = itertools.takewhile(lambda line: line.startswith("|"), lines[starts[0] + 2 :])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body]
    assert rows
    return rows


def numbers(text: str) -> list[float]:
    """Every number of a text, printed with a true minus sign."""
    return [float(found) for found in re.findall(r"[-+]?\d+(?:\.\d+)?", text.replace("−", "-"))]


def direction(text: str) -> np.ndarray:
    """``+X`` or ``−Y`` as a vector."""
    sign = {"+": 1.0, "−": -1.0}[text[0]]
    return sign * np.array(AXIS[text[1]], dtype=float)


def listings() -> ModuleType:
    """The module of the documentation that makes its lists."""
    spec = importlib.util.spec_from_file_location("isoalign_docs_listings", DOCS / "listings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_tilt_with_iec_translations_kept_moves_the_point_at_the_isocentre() -> None:
    level = TableTopPosition(IEC, 0, 900, -150)
    point = fixed_from_table(level).inverse().apply((0, 0, 0))
    keywords = {"pitch": "pitch_deg", "roll": "roll_deg", "patient support angle": "patient_support_angle_deg"}
    rows = table_rows(REPRESENTATIONS, "Angle +3°")
    assert [row[0] for row in rows] == list(keywords)
    for name, moved, distance, holding in rows:
        tilted = TableTopPosition(IEC, 0, 900, -150, **{keywords[name]: 3.0})
        gone = fixed_from_table(tilted).apply(point)
        np.testing.assert_allclose(numbers(moved), gone, atol=PRINTED)
        np.testing.assert_allclose(numbers(distance), np.linalg.norm(gone), atol=PRINTED)
        held = TableTopPosition(ISO, 0, 900, -150, **{keywords[name]: 3.0})
        np.testing.assert_allclose(fixed_from_table(held).apply(point), 0, atol=1e-9)
        np.testing.assert_allclose(numbers(holding), held.in_representation(IEC).translation_mm, atol=PRINTED)
    text = REPRESENTATIONS.read_text(encoding="utf-8")
    assert "moves 47.8 mm" in text
    assert "0.05° of pitch, what rounding to 0.1° may cost, is 0.8 mm at 900 mm" in " ".join(text.split())
    assert 900 * np.sin(np.radians(0.05)) == pytest.approx(0.8, abs=0.05)


def test_the_worked_conversion() -> None:
    (_, *iec), (_, *iso) = table_rows(REPRESENTATIONS, "Pitch −2.5°, roll +1.75°")
    stored = TableTopPosition(IEC, 25, 1200, -180, -2.5, 1.75, 33.0)
    shown = stored.in_representation(ISO)
    printed_iec, printed_iso = ([numbers(cell)[0] for cell in row] for row in (iec, iso))
    for printed, position in ((printed_iec, stored), (printed_iso, shown)):
        np.testing.assert_allclose(printed[:3], position.translation_mm, atol=PRINTED)
        np.testing.assert_allclose(printed[3], np.linalg.norm(position.translation_mm), atol=PRINTED)
    text = REPRESENTATIONS.read_text(encoding="utf-8")
    p, r = np.radians(-2.5), np.radians(1.75)
    steps = f"cos p = {np.cos(p):.6f}, sin p = {np.sin(p):.6f}, cos r = {np.cos(r):.6f}, sin r = {np.sin(r):.6f}"
    assert steps.replace("-", "−") in text
    along = np.cos(p) * -180 - np.sin(p) * 1200
    assert f"Lng = {along:.3f} mm".replace("-", "−") in text
    assert f"differs by\n{abs(shown.vertical_mm - stored.vertical_mm):.0f} mm" in text


def test_the_worked_conversion_with_an_eccentric_stage() -> None:
    rows = table_rows(REPRESENTATIONS, "Stage at 400 mm, −30°")
    printed = [[numbers(cell)[0] for cell in row[1:]] for row in rows]
    stored = TableTopPosition(IEC, 25, 1200, -180, -2.5, 1.75)
    stage = TableTopEccentricity(axis_distance_mm=400, angle_deg=-30)
    plain = without_eccentric(stored, stage)
    for row, position in zip(printed, (stored, plain, plain.in_representation(ISO)), strict=True):
        np.testing.assert_allclose(row, (*position.translation_mm, position.patient_support_angle_deg), atol=PRINTED)


def test_the_numbers_told_below_the_pictures_of_the_representations() -> None:
    text = REPRESENTATIONS.read_text(encoding="utf-8")
    pitched = TableTopPosition(ISO, 0, 600, -250, pitch_deg=12).in_representation(IEC)
    assert f"longitudinal {pitched.longitudinal_mm:+.1f} and vertical {pitched.vertical_mm:+.1f} mm" in text
    rolled = TableTopPosition(ISO, -220, 0, -250, roll_deg=12).in_representation(IEC)
    assert f"lateral {rolled.lateral_mm:+.1f} and vertical {rolled.vertical_mm:+.1f} mm" in text


def test_pitch_of_five_degrees_is_compensated_upwards() -> None:
    """The definition of the standard; the worked example in its note has the opposite sign of Zt."""
    start = fixed_from_table(TableTopPosition(IEC, 0, 100, 0))
    point = start.inverse().apply((0, 0, 0))
    held = TableTopPosition(ISO, 0, 100, 0, pitch_deg=5).in_representation(IEC)
    np.testing.assert_allclose(held.translation_mm, (0, 99.619, 8.716), atol=PRINTED)
    np.testing.assert_allclose(fixed_from_table(held).apply(point), 0, atol=1e-12)
    rows = table_rows(ERRATUM, "Pitch +5° and")
    for name, *cells in rows:
        x, y, z = (numbers(cell)[0] for cell in cells[:3])
        place = fixed_from_table(TableTopPosition(IEC, x, y, z, pitch_deg=5)).apply(point)
        np.testing.assert_allclose(numbers(cells[3]), place, atol=2 * PRINTED, err_msg=name)
    np.testing.assert_allclose([numbers(cell)[0] for cell in rows[1][1:4]], held.translation_mm, atol=PRINTED)


def test_readings_of_the_note_that_give_a_negative_number() -> None:
    (_, other_sense, _), (_, foot_side, _), (_, tilted_axis, _) = table_rows(ERRATUM, "Reading")
    results = (
        TableTopPosition(ISO, 0, 100, 0, pitch_deg=-5).in_representation(IEC),
        TableTopPosition(ISO, 0, -100, 0, pitch_deg=5).in_representation(IEC),
        TableTopPosition(IEC, 0, 100, 0, pitch_deg=5).in_representation(ISO),
    )
    for printed, position in zip((other_sense, foot_side, tilted_axis), results, strict=True):
        np.testing.assert_allclose(numbers(printed), position.translation_mm[1:], atol=PRINTED)


def _turned(motion: str) -> Pose:
    table = {
        "table top pitch": "pitch_deg",
        "table top roll": "roll_deg",
        "patient support angle": "patient_support_angle_deg",
    }
    if motion in table:
        return fixed_from_table(TableTopPosition(IEC, 0, 0, 0, **{table[motion]: 90.0}))
    return {
        "table top eccentric angle": support_from_eccentric(TableTopEccentricity(0.0, 90.0)),
        "gantry angle": fixed_from_gantry(90.0),
        "gantry pitch angle": fixed_from_gantry(0.0, 90.0),
        "beam limiting device angle": gantry_from_beam_limiting_device(90.0),
        "X-ray image receptor angle": gantry_from_receptor((0, 0, 0), 90.0),
    }[motion]


STANDARD_SIGNS = [  # +90 degrees of this, moves this axis, towards.  IEC 61217 and DICOM, typed by hand
    ("table top pitch", "+Y", "+Z"),
    ("table top pitch", "+Z", "−Y"),
    ("table top roll", "+X", "−Z"),
    ("table top roll", "+Z", "+X"),
    ("patient support angle", "+X", "+Y"),
    ("patient support angle", "+Y", "−X"),
    ("table top eccentric angle", "+X", "+Y"),
    ("gantry angle", "+Z", "+X"),
    ("gantry pitch angle", "+Z", "−Y"),
    ("beam limiting device angle", "+X", "+Y"),
    ("X-ray image receptor angle", "+X", "+Y"),
]


def test_the_page_of_signs_is_the_table_of_the_standard() -> None:
    assert [tuple(row[:3]) for row in table_rows(SIGNS, "Motion, +90°")] == STANDARD_SIGNS


@pytest.mark.parametrize(("motion", "axis", "towards"), STANDARD_SIGNS)
def test_each_documented_rotation(motion: str, axis: str, towards: str) -> None:
    np.testing.assert_allclose(_turned(motion).rotation @ direction(axis), direction(towards), atol=1e-15)


def test_documented_senses_of_clockwise() -> None:
    rows = table_rows(SIGNS, "Axis | You look")
    printed = {axis: (clockwise, counter) for axis, _, clockwise, counter in rows}
    words = {+1: ("grow", "fall"), -1: ("fall", "grow")}
    assert printed == {axis.label: words[axis.clockwise_sign] for axis in RotatingAxis}


def test_documented_ways_between_two_angles() -> None:
    axes = {axis.label: axis for axis in RotatingAxis}
    for axis, start, end, turn, way in table_rows(SIGNS, "Axis | From (deg)"):
        found = travel_deg(axes[axis], float(start), float(end), RotationDirection(turn))
        assert [found] == numbers(way)


def test_documented_sign_of_the_table_height() -> None:
    assert "A Table Height of +132.8 is a vertical of −132.8 mm" in SIGNS.read_text(encoding="utf-8")
    assert vertical_from_table_height_mm(132.8) == -132.8


def test_documented_run_of_rows_and_columns() -> None:
    grid = PixelGrid.centred(5, 7, 2.0)
    for angle, source, along, down in table_rows(SIGNS, "Gantry angle"):
        geometry = ProjectionGeometry.from_axis(ImagerAxis(float(angle), 1000.0, 1500.0), grid)
        first, next_column, next_row = geometry.fixed_from_receptor.apply(
            grid.receptor_points_mm([[0, 0], [1, 0], [0, 1]])
        )
        np.testing.assert_allclose(geometry.source_mm / 1000.0, direction(source), atol=1e-12)
        np.testing.assert_allclose((next_column - first) / 2.0, direction(along), atol=1e-12)
        np.testing.assert_allclose((next_row - first) / 2.0, direction(down), atol=1e-12)
    assert "For SAD 1000 and SID 1500 mm the receptor Z is −500 mm" in SIGNS.read_text(encoding="utf-8")
    assert ImagerAxis(0.0, 1000.0, 1500.0).gantry_from_receptor().translation_mm[2] == -500.0


def test_documented_angles_of_a_c_arm() -> None:
    """The detector of an HFS patient lies where primary and secondary angle say; the source is opposite."""
    sides = {"front": "+Z", "back": "−Z", "left": "+X", "right": "−X", "head": "+Y", "feet": "−Y"}
    for primary, secondary, side, gantry, pitch in table_rows(SIGNS, "Primary (deg)"):
        (p,), (s,), (gantry_deg,), (pitch_deg,) = map(numbers, (primary, secondary, gantry, pitch))
        assert gantry_deg == (180 + p) % 360
        assert pitch_deg == s
        detector = -fixed_from_gantry(gantry_deg, pitch_deg).apply((0, 0, 1))
        np.testing.assert_allclose(detector, direction(sides[side]), atol=1e-15)


@pytest.mark.parametrize(("primary", "secondary"), [(30, 20), (-45, 35), (120, -25)])
def test_documented_angles_of_a_c_arm_hold_for_both_at_once(primary: float, secondary: float) -> None:
    """The detector's direction in DICOM axes by the definition of the two angles, written here by hand."""
    p, s = np.radians((primary, secondary))
    left, back, head = np.sin(p) * np.cos(s), -np.cos(p) * np.cos(s), np.sin(s)
    source = fixed_from_gantry(180 + primary, secondary).apply((0, 0, 1))
    np.testing.assert_allclose(-source, (left, head, -back), atol=1e-15)


ROOM_OF_PATIENT = """
HFS +x +z -y    HFP -x +z +y    HFDL -y +z -x   HFDR +y +z +x
FFS -x -z -y    FFP +x -z +y    FFDL +y -z -x   FFDR -y -z +x
LFS -z +x -y    LFP +z +x +y    RFS +z -x -y    RFP -z -x +y
AFDL -z -y -x   AFDR +z -y +x   PFDL +z +y -x   PFDR -z +y +x
SITTING -x -y +z
"""
"""DICOM patient direction along +X, +Y and +Z of the room, typed by hand from the meaning of each term."""


def test_the_printed_patient_positions() -> None:
    words = ROOM_OF_PATIENT.split()
    expected = {words[i]: words[i + 1 : i + 4] for i in range(0, len(words), 4)}
    assert len(expected) == 17
    found = {}
    for line in listings().patient_positions().splitlines()[2:]:
        term, _, *along = [cell.strip() for cell in line.strip("|").split("|")]
        found[term.strip("`")] = [cell[cell.index("(") + 1 : -1].replace("−", "-") for cell in along]
    assert found == expected


def test_the_printed_machine_scales() -> None:
    printed = listings().machine_scales()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines() if line[:1] == "|"]
    names = [name.strip("`") for name in rows[0][1:]]
    cells = {(row[0], name): cell for row in rows[2:] for name, cell in zip(names, row[1:], strict=True)}
    assert cells["patient support angle", "varian-iec"] == "−a, shown 0 to 360"
    assert cells["gantry angle", "varian-standard"] == "180 − a, shown 0 to 360"
    for name, scale in NAMED_SCALES.items():
        for axis in scale.unverified_axes:
            assert cells[axis.replace("_", " "), name] == "**unverified**"
