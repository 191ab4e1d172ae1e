"""Rigid maps between typed frames."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import FrameMismatch, InvalidGeometry, NotARotation
from isoalign.geometry.frames import Frame
from isoalign.geometry.notebook import html_table

Array = npt.NDArray[np.float64]
Dst = TypeVar("Dst", bound=Frame)
Src = TypeVar("Src", bound=Frame)
Far = TypeVar("Far", bound=Frame)

ROTATION_TOLERANCE = 1e-9


class Pose(Generic[Dst, Src]):
    """Rigid map from ``src`` coordinates to ``dst`` coordinates: p_dst = rotation @ p_src + translation_mm.

    Parameters
    ----------
    dst, src : type[Frame]
        The frames that the map leads to and comes from.
    rotation : array_like, shape (3, 3)
        Proper rotation (within 1e-9); use :func:`nearest_rotation` first for rounded matrices.
    translation_mm : array_like, shape (3,)
        Position of the origin of ``src`` in ``dst``, mm.

    Raises
    ------
    NotARotation, InvalidGeometry
    """

    __slots__ = ("dst", "rotation", "src", "translation_mm")
    dst: type[Dst]
    src: type[Src]
    rotation: Array
    translation_mm: Array

    def __init__(
        self, dst: type[Dst], src: type[Src], rotation: npt.ArrayLike, translation_mm: npt.ArrayLike = (0.0, 0.0, 0.0)
    ) -> None:
        rot = np.array(rotation, dtype=np.float64)
        shift = np.array(translation_mm, dtype=np.float64)
        if rot.shape != (3, 3) or shift.shape != (3,):
            raise InvalidGeometry(
                f"a pose needs a (3, 3) rotation and a (3,) translation, not {rot.shape} and {shift.shape}"
            )
        if not (np.isfinite(rot).all() and np.isfinite(shift).all()):
            raise InvalidGeometry("a pose with NaN or infinite elements was refused")
        distance = float(np.abs(rot @ rot.T - np.eye(3)).max())
        if distance > ROTATION_TOLERANCE or np.linalg.det(rot) < 0:
            raise NotARotation(
                f"pose {dst.__name__} <- {src.__name__}: the matrix is not a rotation "
                f"(deviates from orthonormal by {distance:.2e}, determinant {np.linalg.det(rot):+.6f})"
            )
        rot.setflags(write=False)
        shift.setflags(write=False)
        object.__setattr__(self, "dst", dst)
        object.__setattr__(self, "src", src)
        object.__setattr__(self, "rotation", rot)
        object.__setattr__(self, "translation_mm", shift)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("poses are immutable")

    def __getstate__(self) -> tuple[type[Dst], type[Src], Array, Array]:
        return self.dst, self.src, self.rotation, self.translation_mm

    def __setstate__(self, state: tuple[type[Dst], type[Src], Array, Array]) -> None:
        for name, value in zip(("dst", "src", "rotation", "translation_mm"), state, strict=True):
            object.__setattr__(self, name, value)

    @classmethod
    def identity(cls, dst: type[Dst], src: type[Src]) -> Pose[Dst, Src]:
        """The pose that changes no coordinate."""
        return cls(dst, src, np.eye(3))

    @classmethod
    def from_matrix(cls, dst: type[Dst], src: type[Src], matrix: npt.ArrayLike) -> Pose[Dst, Src]:
        """The pose of a homogeneous (4, 4) matrix, row-major, mm."""
        full = np.asarray(matrix, dtype=np.float64)
        if full.shape != (4, 4) or not np.allclose(full[3], (0, 0, 0, 1), rtol=0, atol=1e-12):
            raise InvalidGeometry("a homogeneous matrix is (4, 4) with the last row 0 0 0 1")
        return cls(dst, src, full[:3, :3], full[:3, 3])

    @property
    def matrix(self) -> Array:
        """The homogeneous (4, 4) matrix, mm."""
        full = np.eye(4)
        full[:3, :3] = self.rotation
        full[:3, 3] = self.translation_mm
        return full

    def __matmul__(self, other: Pose[Src, Far]) -> Pose[Dst, Far]:
        """Chain two poses whose frames touch: ``dst_from_far = dst_from_src @ src_from_far``."""
        if self.src is not other.dst:
            raise FrameMismatch(
                f"cannot chain {self.dst.__name__} <- {self.src.__name__} with "
                f"{other.dst.__name__} <- {other.src.__name__}: {self.src.__name__} is not {other.dst.__name__}"
            )
        return Pose(
            self.dst,
            other.src,
            _tidy(self.rotation @ other.rotation),
            self.rotation @ other.translation_mm + self.translation_mm,
        )

    def inverse(self) -> Pose[Src, Dst]:
        """The map the other way."""
        return Pose(self.src, self.dst, self.rotation.T, -self.rotation.T @ self.translation_mm)

    def apply(self, points_mm: npt.ArrayLike) -> Array:
        """Map points: array of shape (..., 3), mm in ``src``, to the same shape, mm in ``dst``."""
        return np.asarray(points_mm, dtype=np.float64) @ self.rotation.T + self.translation_mm

    def is_close(self, other: Pose[Dst, Src], *, atol_mm: float = 1e-9, atol_deg: float = 1e-9) -> bool:
        """Whether both poses join the same frames and agree within the tolerances."""
        if self.dst is not other.dst or self.src is not other.src:
            return False
        turn = float(np.linalg.norm(self.rotation - other.rotation)) / np.sqrt(2.0)
        shift = float(np.linalg.norm(self.translation_mm - other.translation_mm))
        return bool(np.rad2deg(2 * np.arcsin(min(1.0, turn / 2))) <= atol_deg and shift <= atol_mm)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pose):
            return NotImplemented
        return (
            self.dst is other.dst
            and self.src is other.src
            and np.array_equal(self.rotation, other.rotation)
            and np.array_equal(self.translation_mm, other.translation_mm)
        )

    def __hash__(self) -> int:
        return hash((self.dst, self.src, self.rotation.tobytes(), self.translation_mm.tobytes()))

    def _repr_html_(self) -> str:
        header = (f"{self.dst.__name__} ← {self.src.__name__}", "X", "Y", "Z", "origin, mm")
        rows = [
            (name, *(f"{value:+.6f}" for value in row), f"{shift:+.3f}")
            for name, row, shift in zip("XYZ", self.rotation, self.translation_mm, strict=True)
        ]
        return html_table("rigid map", header, rows)

    def __repr__(self) -> str:
        rows = "; ".join(" ".join(f"{value:+.6f}" for value in row) for row in self.rotation)
        shift = ", ".join(f"{value:.3f}" for value in self.translation_mm)
        return f"Pose[{self.dst.__name__} <- {self.src.__name__}]([{rows}], ({shift}) mm)"


def _tidy(rotation: Array) -> Array:
    """One Newton step towards the nearest rotation, so that long chains stay orthonormal to rounding."""
    return rotation @ (1.5 * np.eye(3) - 0.5 * rotation.T @ rotation)


def nearest_rotation(matrix: npt.ArrayLike, *, max_distance: float = 1e-3) -> tuple[Array, float]:
    """The rotation nearest to a rounded matrix, and how far away it is.

    Parameters
    ----------
    matrix : array_like, shape (3, 3)
        A rotation matrix with rounding errors, e.g. six printed digits.
    max_distance : float
        Largest accepted Frobenius distance.

    Returns
    -------
    rotation : ndarray, shape (3, 3)
    distance : float
        Frobenius norm of the difference.

    Raises
    ------
    NotARotation
        When the matrix is mirrored or farther away than ``max_distance``.
    """
    given: Any = np.asarray(matrix, dtype=np.float64)
    if given.shape != (3, 3) or not np.isfinite(given).all():
        raise InvalidGeometry(f"a rotation is a finite (3, 3) matrix, not {given.shape}")
    u, _, vt = np.linalg.svd(given)
    rotation = u @ vt
    distance = float(np.linalg.norm(rotation - given))
    if np.linalg.det(rotation) < 0 or distance > max_distance:
        raise NotARotation(
            f"the matrix is {distance:.3g} away from the nearest rotation (at most {max_distance:g} is accepted), "
            f"determinant {np.linalg.det(given):+.6f}"
        )
    return rotation, distance
