"""Poses: frames are checked, bad matrices are refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from isoalign.geometry import (
    DicomPatient,
    Fixed,
    FrameMismatch,
    Gantry,
    InvalidGeometry,
    NotARotation,
    Pose,
    TableTop,
    nearest_rotation,
    rotation_x,
    rotation_z,
)


def test_chain_of_frames_that_do_not_touch_is_refused() -> None:
    fixed_from_table = Pose.identity(Fixed, TableTop)
    gantry_from_fixed = Pose.identity(Gantry, Fixed)
    assert (gantry_from_fixed @ fixed_from_table).src is TableTop
    with pytest.raises(FrameMismatch, match="TableTop is not Gantry"):
        fixed_from_table @ gantry_from_fixed  # type: ignore[operator]


def test_inverse_and_matrix_agree_with_numpy() -> None:
    pose = Pose(Fixed, TableTop, rotation_z(30) @ rotation_x(-20), (1, -2, 3))
    np.testing.assert_allclose(pose.inverse().matrix, np.linalg.inv(pose.matrix), atol=1e-12)
    points = np.random.default_rng(0).normal(size=(4, 5, 3))
    homogeneous = np.concatenate([points, np.ones((4, 5, 1))], axis=-1)
    np.testing.assert_allclose(pose.apply(points), (homogeneous @ pose.matrix.T)[..., :3], atol=1e-12)
    assert Pose.from_matrix(Fixed, TableTop, pose.matrix) == pose


@pytest.mark.parametrize(
    "rotation",
    [np.diag([1.0, 1.0, -1.0]), np.eye(3) * 1.001, np.eye(3) + 1e-4],
    ids=["mirror", "scaled", "sheared"],
)
def test_what_is_not_a_rotation_is_refused(rotation: np.ndarray) -> None:
    with pytest.raises(NotARotation):
        Pose(Fixed, TableTop, rotation)


def test_nan_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(InvalidGeometry):
        Pose(Fixed, TableTop, np.full((3, 3), np.nan))
    with pytest.raises(InvalidGeometry):
        Pose(Fixed, TableTop, np.eye(4))
    with pytest.raises(InvalidGeometry):
        Pose.from_matrix(Fixed, TableTop, np.eye(3))


def test_rounded_matrices_are_projected_and_far_ones_refused() -> None:
    exact = rotation_z(12.3) @ rotation_x(4.5)
    rotation, distance = nearest_rotation(np.round(exact, 6))
    assert 0 < distance < 3e-6
    np.testing.assert_allclose(rotation, exact, atol=1e-6)
    with pytest.raises(NotARotation):
        nearest_rotation(1.01 * exact)
    with pytest.raises(NotARotation):
        nearest_rotation(np.diag([1.0, 1.0, -1.0]))


def test_poses_are_immutable_and_survive_pickling() -> None:
    pose = Pose(Fixed, DicomPatient, rotation_z(5), (1, 2, 3))
    with pytest.raises(AttributeError):
        pose.src = TableTop  # type: ignore[assignment,misc]
    with pytest.raises(ValueError, match="read-only"):
        pose.rotation[0, 0] = 2.0
    copy = pickle.loads(pickle.dumps(pose))
    assert copy == pose
    assert hash(copy) == hash(pose)


def test_long_chains_stay_rotations() -> None:
    step = Pose(Fixed, Fixed, rotation_z(0.1) @ rotation_x(0.07))
    pose = Pose.identity(Fixed, Fixed)
    for _ in range(5000):
        pose = step @ pose
    assert float(np.abs(pose.rotation @ pose.rotation.T - np.eye(3)).max()) < 1e-12
