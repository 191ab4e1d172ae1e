"""Arrays of table-top positions: the compiled path against the plain one and against scipy, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from isoalign.geometry import (
    InvalidGeometry,
    Representation,
    RepresentationMismatch,
    TableTopArray,
    TableTopPosition,
    iec_to_isocentric,
)

IEC, ISO, CID = Representation.IEC_61217, Representation.ISOCENTRIC_STANDARD, Representation.DICOM_CID_9569


def random_rows(count: int, largest_deg: float = 180.0) -> np.ndarray:
    rng = np.random.default_rng(11)
    return np.column_stack([rng.uniform(-1500, 1500, (count, 3)), rng.uniform(-largest_deg, largest_deg, (count, 3))])


def test_compiled_conversion_equals_numpy_and_scipy() -> None:
    rows = random_rows(4000)
    converted = TableTopArray.from_rows(IEC, rows).in_representation(ISO)
    ours = np.column_stack(converted.columns[:3])
    np.testing.assert_allclose(ours, np.column_stack(iec_to_isocentric(*rows.T[:5])), atol=1e-11)
    tilt = Rotation.from_euler("XY", rows[:, 3:5], degrees=True)
    np.testing.assert_allclose(ours, tilt.inv().apply(rows[:, :3]), atol=1e-11)


@pytest.mark.parametrize("turns", [0, 1, -3, 99])
def test_compiled_sine_is_exact_for_continuous_angles(turns: int) -> None:
    """Quarter turns give exact zeros and ones, however many turns away they are."""
    angles = np.arange(-270.0, 271.0, 90.0) + 360.0 * turns
    rows = np.zeros((len(angles), 6))
    rows[:, 2], rows[:, 3] = 1.0, angles
    converted = TableTopArray.from_rows(IEC, rows).in_representation(ISO)
    np.testing.assert_array_equal(converted.longitudinal_mm, np.round(np.sin(np.radians(angles - 360.0 * turns))))
    np.testing.assert_array_equal(converted.vertical_mm, np.round(np.cos(np.radians(angles - 360.0 * turns))))


def test_compiled_sine_against_the_library_over_the_whole_range() -> None:
    rng = np.random.default_rng(3)
    angles = rng.uniform(-35_999, 35_999, 200_000)
    rows = np.zeros((len(angles), 6))
    rows[:, 2], rows[:, 3] = 1.0, angles
    converted = TableTopArray.from_rows(IEC, rows).in_representation(ISO)
    exact = np.radians(np.remainder(angles, 360.0))
    # the remainder is exact; what is left is the rounding of 2 pi in radians (4.4e-16) and of both results
    np.testing.assert_allclose(converted.longitudinal_mm, np.sin(exact), atol=1.2e-15)
    np.testing.assert_allclose(converted.vertical_mm, np.cos(exact), atol=1.2e-15)


def test_both_ways_round_trip_and_angles_are_shared() -> None:
    rows = random_rows(1000, 85.0)
    given = TableTopArray.from_rows(IEC, rows)
    there = given.in_representation(ISO)
    assert np.shares_memory(there.pitch_deg, given.pitch_deg)
    np.testing.assert_allclose(there.in_representation(IEC).rows(), rows, atol=1e-9)
    assert given.in_representation(IEC) is given


def test_single_positions_agree_with_the_array() -> None:
    rows = random_rows(50)
    converted = TableTopArray.from_rows(ISO, rows).in_representation(IEC)
    for index, row in enumerate(rows):
        alone = TableTopPosition.from_values(ISO, row).in_representation(IEC)
        np.testing.assert_allclose(converted[index].values, alone.values, atol=1e-11)
    assert [position.representation for position in converted][:2] == [IEC, IEC]


def test_blocks_can_use_one_piece_of_memory() -> None:
    out = np.empty((3, 100))
    rows = random_rows(100)
    converted = TableTopArray.from_rows(IEC, rows).in_representation(ISO, out=out)
    assert np.shares_memory(converted.lateral_mm, out)
    for wrong in (np.empty((3, 99)), np.empty((3, 100), dtype=np.float32), np.empty((100, 3)).T):
        with pytest.raises(InvalidGeometry, match="out must be"):
            TableTopArray.from_rows(IEC, rows).in_representation(ISO, out=wrong)


def test_values_are_read_only() -> None:
    positions = TableTopArray.from_rows(IEC, random_rows(3))
    with pytest.raises(ValueError, match="read-only"):
        positions.lateral_mm[0] = 1.0


@pytest.mark.parametrize(("value", "column"), [(np.nan, 3), (np.inf, 0), (10_001.0, 2), (-36_000.0, 4), (-np.inf, 5)])
def test_a_bad_value_is_refused_by_axis_and_position(value: float, column: int) -> None:
    rows = random_rows(10)
    rows[6, column] = value
    with pytest.raises(InvalidGeometry, match="position 6") as caught:
        TableTopArray.from_rows(IEC, rows)
    assert caught.value.facts["index"] == 6


def test_wrong_shapes_and_mixed_representations_are_refused() -> None:
    with pytest.raises(InvalidGeometry, match=r"\(n, 6\)"):
        TableTopArray.from_rows(IEC, np.zeros((4, 5)))
    with pytest.raises(InvalidGeometry, match="different lengths"):
        TableTopArray(IEC, *[np.zeros(3)] * 5, np.zeros(2))
    with pytest.raises(InvalidGeometry, match="one-dimensional"):
        TableTopArray(IEC, *[np.zeros((3, 1))] * 6)
    with pytest.raises(InvalidGeometry, match="Representation"):
        TableTopArray("IEC", *[np.zeros(3)] * 6)  # type: ignore[arg-type]
    with pytest.raises(RepresentationMismatch, match="IEC 61217, Isocentric Standard"):
        TableTopArray.of([TableTopPosition(IEC, 0, 0, 0), TableTopPosition(ISO, 0, 0, 0)])
    with pytest.raises(RepresentationMismatch, match="none"):
        TableTopArray.of([])
    with pytest.raises(RepresentationMismatch, match="DICOM CID 9569"):
        TableTopArray.from_rows(CID, random_rows(2)).in_representation(IEC)


def test_positions_of_one_representation_become_an_array() -> None:
    positions = [TableTopPosition(ISO, 1, 2, 3, 4, 5, 6), TableTopPosition(ISO, 7, 8, 9)]
    made = TableTopArray.of(positions)
    assert list(made) == positions
    assert len(made) == 2
    assert repr(made) == "TableTopArray(2 positions, Isocentric Standard)"
    assert len(TableTopArray.from_rows(IEC, np.zeros((0, 6))).in_representation(ISO)) == 0
