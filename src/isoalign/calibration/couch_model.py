"""A model of the couch that is not ideal: product of exponentials with elasticity under load and play of the gears.

Each axis i of the chain patient support angle, lateral, longitudinal, vertical, pitch, roll is a twist, turned by its
own value q_i, and the table top hangs at the end:

    fixed_from_table = exp(xi_1 q_1) ... exp(xi_6 q_6) home.

The ideal couch has unit twists along the axes of IEC 61217, and home is the identity. Every twist may differ in all of
its six numbers (direction, place, scale and pitch of the screw), so that no convention of a maker is built in. What
the drives do and the encoders do not see is added to q: a spring in every axis that gives way under the load, the
bending of the table top with its extension, and the play that a gear shows behind the direction from which it came.

Sources: R. Brockett, Robotic manipulators and the product of exponentials formula (1984); I. Chen, G. Yang, C. Tan,
S. Yeo, Mech. Mach. Theory 36 (2001) 1215 (local product of exponentials for calibration); cantilever: any beam table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry import AXES, Array

CHAIN = ("patient_support_angle", "lateral", "longitudinal", "vertical", "pitch", "roll")
"""The axes from the floor to the table top."""
_ORDER = [AXES.index(axis) for axis in CHAIN]
_TURNS = {"patient_support_angle": 2, "pitch": 0, "roll": 1}
_SLIDES = {"lateral": 0, "longitudinal": 1, "vertical": 2}
_LONGITUDINAL, _VERTICAL, _PITCH = (CHAIN.index(name) for name in ("longitudinal", "vertical", "pitch"))
_RADIANS = math.pi / 180.0
JACOBIAN_TERMS = 24
"""Enough for turns up to half a circle."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number of the model.

    Attributes
    ----------
    name : str
    unit : str
    usual : float
        Half of all couches have less than about this: one standard deviation of what is believed before measuring.
    """

    name: str
    unit: str
    usual: float


def _parameters() -> tuple[Parameter, ...]:
    found = [Parameter(f"home shift {axis}", "mm", 5.0) for axis in "xyz"]
    found += [Parameter(f"home turn {axis}", "deg", 0.3) for axis in "xyz"]
    for name in CHAIN:
        turning = name in _TURNS
        own = "xyz"[_TURNS[name] if turning else _SLIDES[name]]
        leans = "axis tilt" if turning else "direction"
        sizes = [("scale", 1e-3) if axis == own else (f"{leans} {axis}", 3e-3) for axis in "xyz"]
        ways = [Parameter(f"{name} {what}", "1", size) for what, size in sizes]
        if turning:
            found += ways
            found += [Parameter(f"{name} axis moment {axis}", "mm", 0.5 if axis == own else 5.0) for axis in "xyz"]
        else:
            found += [Parameter(f"{name} turn {axis} along the way", "deg/m", 0.1) for axis in "xyz"]
            found += ways
    for name in CHAIN:
        turning = name in _TURNS
        found.append(Parameter(f"{name} compliance", "deg/(kg m)" if turning else "mm/kg", 2e-3 if turning else 1e-2))
    found += [Parameter(f"sag under load, extension^{power}", f"mm/(kg m^{power})", 1e-2) for power in (2, 3)]
    found += [Parameter(f"tilt under load, extension^{power}", f"deg/(kg m^{power})", 1e-3) for power in (1, 2)]
    found += [Parameter(f"own sag, extension^{power}", f"mm/m^{power}", 0.5) for power in (2, 3)]
    found.append(Parameter("own tilt, extension^2", "deg/m^2", 0.05))
    found += [Parameter(f"{name} half play", *(("deg", 5e-3) if name in _TURNS else ("mm", 5e-2))) for name in CHAIN]
    return tuple(found)


PARAMETERS = _parameters()
"""All parameters in the order of :attr:`CouchModel.values`; all are zero for the ideal couch."""
_TWISTS = slice(6, 42)
_COMPLIANCE = slice(42, 48)
_BENDING = slice(48, 55)
_PLAY = slice(55, 61)


@dataclass(frozen=True, slots=True)
class CouchState:
    """Where a couch says it is, and what the model needs to know besides.

    Attributes
    ----------
    positions : ndarray, shape (n, 6)
        Read-back, IEC 61217 in the order of ``AXES``, mm and degrees.
    load_kg : ndarray, shape (n,)
    load_centre_mm : ndarray, shape (n, 3)
        Centre of gravity of the load in the table top frame.
    approach : ndarray, shape (n, 6)
        From which side each axis came last: +1 from below, -1 from above, 0 unknown.
    """

    positions: Array
    load_kg: Array
    load_centre_mm: Array
    approach: Array

    @classmethod
    def of(
        cls,
        positions: npt.ArrayLike,
        load_kg: npt.ArrayLike = 0.0,
        load_centre_mm: npt.ArrayLike = (0.0, 0.0, 0.0),
        approach: npt.ArrayLike = 0.0,
    ) -> CouchState:
        """From arrays that are broadcast to the number of positions."""
        many = np.atleast_2d(np.asarray(positions, dtype=np.float64))
        count = len(many)
        return cls(
            many,
            np.array(np.broadcast_to(np.asarray(load_kg, dtype=np.float64), (count,))),
            np.array(np.broadcast_to(np.asarray(load_centre_mm, dtype=np.float64), (count, 3))),
            np.array(np.broadcast_to(np.asarray(approach, dtype=np.float64), (count, 6))),
        )

    def take(self, which: npt.ArrayLike) -> CouchState:
        """Some of the positions, by index or mask."""
        chosen = np.asarray(which)
        return CouchState(
            self.positions[chosen], self.load_kg[chosen], self.load_centre_mm[chosen], self.approach[chosen]
        )


@dataclass(frozen=True, slots=True)
class CouchModel:
    """A couch with errors.

    Attributes
    ----------
    values : ndarray, shape (len(PARAMETERS),)
        In the units of ``PARAMETERS``.
    """

    values: Array

    @classmethod
    def ideal(cls) -> CouchModel:
        """A couch without any error: :func:`isoalign.geometry.fixed_from_table`."""
        return cls(np.zeros(len(PARAMETERS)))

    def table_poses(self, state: CouchState) -> tuple[Array, Array]:
        """Where the table top is: rotations (n, 3, 3) and translations (n, 3), mm, fixed from table top."""
        turns, moments = self._twists()
        drives, _ = self._drives(state, turns, moments)
        return self._chain(drives, turns, moments)

    def points(self, state: CouchState, table_points_mm: Array) -> Array:
        """Points of the table top in the room, shape (n, k, 3), mm."""
        rotation, translation = self.table_poses(state)
        return np.asarray(np.einsum("nij,kj->nki", rotation, table_points_mm) + translation[:, None])

    def rates(self, state: CouchState) -> Array:
        """How the table top moves with each parameter: twists in the room, shape (n, 6, parameters).

        Turn (radians) then moment (mm) for one unit of the parameter. That the levers of the load hang on the other
        parameters is left out; it is of second order.
        """
        turns, moments = self._twists()
        drives, levers = self._drives(state, turns, moments)
        count = len(drives)
        found = np.zeros((count, 6, len(PARAMETERS)))
        turn, shift = np.broadcast_to(np.eye(3), (count, 3, 3)), np.zeros((count, 3))
        alone = np.empty((count, 6, 6))
        for number, name in enumerate(CHAIN):
            carried = _adjoint(turn, shift)
            twist = np.concatenate([turns[number], moments[number]])
            alone[:, :, number] = carried @ twist
            units = np.full(6, _RADIANS) if name in _TURNS else np.array([_RADIANS / 1000.0] * 3 + [1.0] * 3)
            first = _TWISTS.start + 6 * number
            grown = carried @ _left_jacobian(drives[:, number, None] * twist) * drives[:, number, None, None]
            found[:, :, first : first + 6] = grown * units
            step_turn, step_shift = exponential(turns[number], moments[number], drives[:, number])
            shift = np.einsum("nij,nj->ni", turn, step_shift) + shift
            turn = turn @ step_turn
        home = self.values[3:6] * _RADIANS
        found[:, 3:, :3] = turn
        about = np.zeros((6, 3))
        about[:3] = _left_jacobian(np.concatenate([home, np.zeros(3)])[None])[0, :3, :3]
        about[3:] = -_cross(-self.values[None, :3])[0] @ about[:3]
        found[:, :, 3:6] = _adjoint(turn, shift) @ about * _RADIANS
        found[:, :, _COMPLIANCE] = -alone * (state.load_kg[:, None] * levers)[:, None]
        reach, load = state.positions[:, _ORDER[_LONGITUDINAL]] / 1000.0, state.load_kg
        first = _BENDING.start
        for column, (axis, amount) in enumerate(_bends(reach, load)):
            found[:, :, first + column] = -alone[:, :, axis] * amount[:, None]
        found[:, :, _PLAY] = -alone * state.approach[:, None, _ORDER]
        return found

    def _drives(self, state: CouchState, turns: Array, moments: Array) -> tuple[Array, Array]:
        """Values of the axes in the order of the chain, with what load and play add; and the levers of the load."""
        drives = state.positions[:, _ORDER] - self.values[_PLAY] * state.approach[:, _ORDER]
        reach = state.positions[:, _ORDER[_LONGITUDINAL]] / 1000.0
        for value, (axis, amount) in zip(self.values[_BENDING], _bends(reach, state.load_kg), strict=True):
            drives[:, axis] -= value * amount
        if not state.load_kg.any():
            return drives, np.zeros_like(drives)
        levers = self._levers(drives, turns, moments, state)
        return drives - self.values[_COMPLIANCE] * state.load_kg[:, None] * levers, levers

    def _twists(self) -> tuple[Array, Array]:
        """Turn (radians) and moment (mm) of each axis for one unit of its value, shape (6, 3) each."""
        raw = self.values[_TWISTS].reshape(6, 6)
        turns, moments = np.zeros((6, 3)), np.zeros((6, 3))
        for number, name in enumerate(CHAIN):
            if name in _TURNS:
                turns[number] = (np.eye(3)[_TURNS[name]] + raw[number, :3]) * _RADIANS
                moments[number] = raw[number, 3:] * _RADIANS
            else:
                turns[number] = raw[number, :3] * (_RADIANS / 1000.0)
                moments[number] = np.eye(3)[_SLIDES[name]] + raw[number, 3:]
        return turns, moments

    def _levers(self, drives: Array, turns: Array, moments: Array, state: CouchState) -> Array:
        """How far the load rises for one unit of each axis: 1 for a slide that lifts it, m for a turn; shape (n, 6)."""
        rotation, translation = self._chain(drives, turns, moments)
        centre = np.einsum("nij,nj->ni", rotation, state.load_centre_mm) + translation
        levers = np.empty((len(drives), 6))
        before_turn, before_shift = np.broadcast_to(np.eye(3), rotation.shape), np.zeros((len(drives), 3))
        for number, name in enumerate(CHAIN):
            turn = before_turn @ turns[number]
            moment = before_turn @ moments[number] + np.einsum("nij,nj->ni", _cross(before_shift), turn)
            rises = (np.einsum("nij,nj->ni", _cross(turn), centre) + moment)[:, 2]
            levers[:, number] = rises / (_RADIANS * 1000.0) if name in _TURNS else rises
            step_turn, step_shift = exponential(turns[number], moments[number], drives[:, number])
            before_shift = np.einsum("nij,nj->ni", before_turn, step_shift) + before_shift
            before_turn = before_turn @ step_turn
        return levers

    def _chain(self, drives: Array, turns: Array, moments: Array) -> tuple[Array, Array]:
        shift, turn = self.values[:3], self.values[3:6] * _RADIANS
        rotation = np.broadcast_to(_rotation(turn[None])[0], (len(drives), 3, 3))
        translation = np.broadcast_to(shift, (len(drives), 3))
        for number in range(5, -1, -1):
            step_turn, step_shift = exponential(turns[number], moments[number], drives[:, number])
            translation = np.einsum("nij,nj->ni", step_turn, translation) + step_shift
            rotation = step_turn @ rotation
        return np.asarray(rotation), np.asarray(translation)


def _bends(reach_m: Array, load_kg: Array) -> tuple[tuple[int, Array], ...]:
    """Axis and amount by which each parameter of the bending lowers it."""
    return (
        (_VERTICAL, load_kg * reach_m**2),
        (_VERTICAL, load_kg * reach_m**3),
        (_PITCH, load_kg * reach_m),
        (_PITCH, load_kg * reach_m**2),
        (_VERTICAL, reach_m**2),
        (_VERTICAL, reach_m**3),
        (_PITCH, reach_m**2),
    )


def exponential(turn: Array, moment: Array, amount: Array) -> tuple[Array, Array]:
    """The rigid motions exp(twist * amount).

    Parameters
    ----------
    turn, moment : ndarray, shape (3,)
        Rotation, radians, and moment, mm, for one unit.
    amount : ndarray, shape (n,)

    Returns
    -------
    rotation : ndarray, shape (n, 3, 3)
    translation : ndarray, shape (n, 3)
        mm.
    """
    vectors = amount[:, None] * turn
    angle = np.linalg.norm(vectors, axis=1)
    small = angle < 1e-5
    safe = np.where(small, 1.0, angle)
    second = np.where(small, 0.5, (1 - np.cos(safe)) / safe**2)
    third = np.where(small, 1 / 6, (safe - np.sin(safe)) / safe**3)
    cross = _cross(vectors)
    along = np.eye(3) + second[:, None, None] * cross + third[:, None, None] * (cross @ cross)
    return _rotation(vectors), np.asarray((along @ moment) * amount[:, None])


def _rotation(vectors: Array) -> Array:
    """Rodrigues, shape (n, 3) -> (n, 3, 3)."""
    angle = np.linalg.norm(vectors, axis=1)
    small = angle < 1e-5
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 1 - angle**2 / 6, np.sin(safe) / safe)
    second = np.where(small, 0.5, (1 - np.cos(safe)) / safe**2)
    cross = _cross(vectors)
    return np.asarray(np.eye(3) + first[:, None, None] * cross + second[:, None, None] * (cross @ cross))


def _adjoint(rotation: Array, translation: Array) -> Array:
    """What carries a twist (turn, moment) along a rigid motion, shape (n, 6, 6)."""
    found = np.zeros((len(rotation), 6, 6))
    found[:, :3, :3] = found[:, 3:, 3:] = rotation
    found[:, 3:, :3] = _cross(translation) @ rotation
    return found


def _left_jacobian(twists: Array) -> Array:
    """How exp(twist) moves with the twist, as a twist behind it: sum of ad^k / (k + 1)!, shape (n, 6) -> (n, 6, 6)."""
    small = np.zeros((len(twists), 6, 6))
    small[:, :3, :3] = small[:, 3:, 3:] = _cross(twists[:, :3])
    small[:, 3:, :3] = _cross(twists[:, 3:])
    term = np.broadcast_to(np.eye(6), small.shape)
    total = term.copy()
    for order in range(1, JACOBIAN_TERMS):
        term = term @ small / (order + 1)
        total = total + term
    return total


def _cross(vectors: Array) -> Array:
    matrices = np.zeros((len(vectors), 3, 3))
    matrices[:, 2, 1] = vectors[:, 0]
    matrices[:, 0, 2] = vectors[:, 1]
    matrices[:, 1, 0] = vectors[:, 2]
    return matrices - np.swapaxes(matrices, 1, 2)
