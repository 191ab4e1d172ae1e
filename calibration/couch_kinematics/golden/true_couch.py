"""A couch with errors, built another way than the model that is fitted: matrices, eccentric axes, real springs.

Every joint is a chain of homogeneous matrices with an eccentric and skew axis in the manner of Denavit and Hartenberg.
Elasticity comes from torsion springs at the joints and a cantilever. ``drift``, ``bearing`` and
``stiffening`` are effects that no fitted model of this package contains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

LEVER_MM = 900.0
"""From the column to the table-top origin along the table when it is extended by nothing."""


def _turn(axis: int, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.eye(4)
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    matrix[first, first] = matrix[second, second] = cos
    matrix[second, first], matrix[first, second] = sin, -sin
    return matrix


def _shift(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def _skewed(axis: int, degrees: float, tilt: tuple[float, float], place: tuple[float, float, float]) -> np.ndarray:
    """A turn about an axis that is tilted about the two others and goes through a place."""
    others = [index for index in range(3) if index != axis]
    lean = _turn(others[0], tilt[0]) @ _turn(others[1], tilt[1])
    return _shift(*place) @ lean @ _turn(axis, degrees) @ np.linalg.inv(lean) @ _shift(*(-value for value in place))


@dataclass(frozen=True)
class TrueCouch:
    """Errors of a couch; all zero is the ideal one. Lengths in mm, angles in degrees, springs in degrees per N m."""

    support_tilt: tuple[float, float] = (0.0, 0.0)
    support_place: tuple[float, float] = (0.0, 0.0)
    support_scale: float = 0.0
    slide_scale: tuple[float, float, float] = (0.0, 0.0, 0.0)
    lateral_squareness: tuple[float, float] = (0.0, 0.0)
    longitudinal_squareness: tuple[float, float] = (0.0, 0.0)
    vertical_lean: tuple[float, float] = (0.0, 0.0)
    longitudinal_pitching: float = 0.0  # degrees over one metre
    pitch_tilt: tuple[float, float] = (0.0, 0.0)
    pitch_place: tuple[float, float] = (0.0, 0.0)
    pitch_offset: float = 0.0
    roll_tilt: tuple[float, float] = (0.0, 0.0)
    roll_place: tuple[float, float] = (0.0, 0.0)
    roll_offset: float = 0.0
    table: tuple[float, float, float, float, float, float] = (0.0,) * 6
    column_spring: float = 0.0
    roll_spring: float = 0.0
    beam: float = 0.0  # mm per N and m^3
    own_weight_n: float = 0.0
    play: tuple[float, ...] = (0.0,) * 6
    drift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)  # over the whole measurement
    bearing_mm: float = 0.0  # twice a turn
    stiffening: float = 0.0  # the beam gets stiffer by this part at 150 kg

    def pose(
        self, position: np.ndarray, load_kg: float, centre: np.ndarray, approach: np.ndarray, moment: float
    ) -> np.ndarray:
        """Fixed from table top, (4, 4), for IEC 61217 axis values; ``moment`` from 0 to 1 is how far the measurement
        is.
        """
        lat, lng, vrt, pitch, roll, support = position - 0.5 * np.array(self.play) * approach
        force = 9.81 * load_kg
        reach = lng / 1000.0
        arm = (lng + centre[1] + LEVER_MM) / 1000.0
        leaning = -self.column_spring * (force * arm + self.own_weight_n * (reach + 0.4))
        sag = (
            1 - self.stiffening * load_kg / 150.0
        ) * self.beam * force * reach**3 + self.beam * self.own_weight_n * reach**3 / 3
        bend = np.rad2deg(1.5 * (sag / max(lng, 1.0))) if lng > 0 else 0.0
        roll_x, roll_z = self.roll_place
        rolling = self.roll_spring * force * centre[0] / 1000.0
        turn = support * (1 + self.support_scale)
        wobble = self.bearing_mm * np.array([np.cos(np.deg2rad(2 * support)), np.sin(np.deg2rad(2 * support))])
        x, y, z = (1 + np.array(self.slide_scale)) * [lat, lng, vrt]
        return (
            _shift(*(np.array(self.drift_mm) * moment))
            @ _shift(*wobble)
            @ _skewed(2, turn, self.support_tilt, (*self.support_place, 0.0))
            @ _turn(2, self.lateral_squareness[0]) @ _turn(1, self.lateral_squareness[1]) @ _shift(x)
            @ _turn(1, -self.lateral_squareness[1]) @ _turn(2, -self.lateral_squareness[0])
            @ _turn(2, self.longitudinal_squareness[0]) @ _turn(0, self.longitudinal_squareness[1]) @ _shift(0, y)
            @ _turn(0, self.longitudinal_pitching * reach)
            @ _turn(0, -self.longitudinal_squareness[1]) @ _turn(2, -self.longitudinal_squareness[0])
            @ _turn(0, self.vertical_lean[0]) @ _turn(1, self.vertical_lean[1]) @ _shift(0, 0, z)
            @ _turn(1, -self.vertical_lean[1]) @ _turn(0, -self.vertical_lean[0])
            @ _shift(0, -LEVER_MM) @ _turn(0, leaning) @ _shift(0, LEVER_MM)
            @ _shift(0, 0, -sag) @ _turn(0, -bend)
            @ _skewed(0, pitch + self.pitch_offset, self.pitch_tilt, (0.0, *self.pitch_place))
            @ _skewed(1, roll + self.roll_offset + rolling, self.roll_tilt, (roll_x, 0.0, roll_z))
            @ _shift(*self.table[:3]) @ _turn(0, self.table[3]) @ _turn(1, self.table[4]) @ _turn(2, self.table[5])
        )  # fmt: skip

    def mirrored(self, sign: float) -> TrueCouch:
        """The same couch with every geometric error the other way round; springs and weight stay as nature has them."""
        kept = {"column_spring", "roll_spring", "beam", "own_weight_n", "play", "stiffening"}
        changed = {}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name not in kept:
                changed[name] = tuple(sign * one for one in value) if isinstance(value, tuple) else sign * value
        return replace(self, **changed)


REALISTIC = TrueCouch(
    support_tilt=(0.03, -0.02),
    support_place=(0.6, -0.4),
    support_scale=2e-4,
    slide_scale=(1e-4, -1.5e-4, 2e-4),
    lateral_squareness=(0.02, 0.01),
    longitudinal_squareness=(-0.03, 0.02),
    vertical_lean=(0.03, -0.02),
    longitudinal_pitching=0.04,
    pitch_tilt=(0.05, -0.04),
    pitch_place=(3.0, -2.0),
    pitch_offset=0.05,
    roll_tilt=(-0.04, 0.05),
    roll_place=(1.5, 2.0),
    roll_offset=-0.04,
    table=(1.0, -0.8, 0.5, 0.03, -0.02, 0.04),
    column_spring=2.5e-5,
    roll_spring=8e-5,
    beam=4e-4,
    own_weight_n=400.0,
    play=(0.04, 0.05, 0.03, 0.004, 0.004, 0.006),
    drift_mm=(0.03, 0.02, -0.05),
    bearing_mm=0.02,
    stiffening=0.05,
)
"""Errors of a couch as it may leave the works, with all that a model leaves out."""
