"""Round trips over all representations and poses, against scipy as an independent oracle."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from isoalign.geometry import (
    Fixed,
    Pose,
    Representation,
    TableTopPosition,
    apply_correction,
    fixed_from_table,
    rotation_vector_deg,
    table_top_position,
)

millimetres = st.floats(-2000, 2000)
tilts = st.floats(-84.9, 84.9)
turns = st.floats(-720, 720)
positions = st.builds(
    TableTopPosition,
    st.sampled_from([Representation.IEC_61217, Representation.ISOCENTRIC_STANDARD]),
    millimetres,
    millimetres,
    millimetres,
    tilts,
    st.floats(-179, 179),
    turns,
)


def other_than(representation: Representation) -> Representation:
    iec = representation is Representation.IEC_61217
    return Representation.ISOCENTRIC_STANDARD if iec else Representation.IEC_61217


@given(positions)
def test_representations_round_trip(position: TableTopPosition) -> None:
    other = other_than(position.representation)
    back = position.in_representation(other).in_representation(position.representation)
    np.testing.assert_allclose(back.values, position.values, atol=1e-9)


@given(positions)
def test_both_representations_are_the_same_pose(position: TableTopPosition) -> None:
    other = other_than(position.representation)
    assert fixed_from_table(position).is_close(
        fixed_from_table(position.in_representation(other)), atol_mm=1e-8, atol_deg=1e-6
    )


@given(positions)
def test_pose_round_trip(position: TableTopPosition) -> None:
    iec = position.in_representation(Representation.IEC_61217)
    back = table_top_position(fixed_from_table(iec), near=iec)
    np.testing.assert_allclose(back.values, iec.values, atol=1e-8)


@given(positions)
def test_rotation_equals_scipy(position: TableTopPosition) -> None:
    theirs = Rotation.from_euler(
        "ZXY", [position.patient_support_angle_deg, position.pitch_deg, position.roll_deg], degrees=True
    )
    np.testing.assert_allclose(fixed_from_table(position).rotation, theirs.as_matrix(), atol=1e-12)


@given(st.lists(st.floats(-1.8, 1.8), min_size=3, max_size=3))
def test_rotation_vector_equals_scipy(vector: list[float]) -> None:
    rotation = Rotation.from_rotvec(vector).as_matrix()
    np.testing.assert_allclose(rotation_vector_deg(rotation), np.degrees(vector), atol=1e-6)


@given(
    positions,
    st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=3),
    st.lists(st.floats(-20, 20), min_size=3, max_size=3),
)
def test_correction_then_its_inverse_returns(position: TableTopPosition, turn: list[float], shift: list[float]) -> None:
    iec = position.in_representation(Representation.IEC_61217)
    if abs(iec.pitch_deg) > 70:
        return
    correction = Pose(Fixed, Fixed, Rotation.from_rotvec(turn).as_matrix(), shift)
    back = apply_correction(apply_correction(iec, correction), correction.inverse())
    np.testing.assert_allclose(back.values, iec.values, atol=1e-7)
