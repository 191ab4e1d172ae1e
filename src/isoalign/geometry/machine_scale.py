"""Machine scales: what the read-outs of a machine say, axis by axis, for a position in IEC 61217.

A scale differs from IEC 61217 in the sign, the zero and the unit of each axis, in how angles are wrapped, and
sometimes in which point of the table top is its origin. Vendors document the rotations well and the rest hardly at
all: an axis for which no source is known is **unverified**, and is refused until the site states it, with its source,
in the configuration of the room. Nothing is assumed to be as in IEC 61217 because it usually is.

    reading = sign * value + zero, then wrapped
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import InvalidGeometry, UnverifiedScale
from isoalign.geometry.notebook import html_table
from isoalign.geometry.pose import Array
from isoalign.geometry.rotations import nearest_equivalent_deg, unipolar_deg
from isoalign.geometry.table_top import AXES, LARGEST, Representation, TableTopPosition, isocentric_to_iec

LINEAR_AXES = AXES[:3]
TABLE_ANGLES = AXES[3:]
BEAM_AXES = ("gantry_angle", "beam_limiting_device_angle")
SCALE_AXES = (*AXES, *BEAM_AXES)
"""Every axis that a scale may describe."""

UNVERIFIED = ""
"""Source of an axis that nobody has published."""


class Wrap(Enum):
    """How a read-out wraps an angle."""

    CONTINUOUS = "continuous"
    UNIPOLAR = "0 to 360"
    BIPOLAR = "-180 to 180"


@dataclass(frozen=True, slots=True)
class AxisScale:
    """One axis of a scale.

    Attributes
    ----------
    sign : int
        +1 where the reading grows with the IEC 61217 value, -1 where it falls.
    zero : float
        The reading at the IEC 61217 value 0, in the unit of the reading.
    unit_size : float
        mm or degrees in one unit of the reading: 10 for a read-out in cm.
    wrap : Wrap
    source : str
        Who says so. Empty: unverified.
    """

    sign: int = +1
    zero: float = 0.0
    unit_size: float = 1.0
    wrap: Wrap = Wrap.CONTINUOUS
    source: str = UNVERIFIED

    def __post_init__(self) -> None:
        if self.sign not in {1, -1} or not math.isfinite(self.zero) or not 0 < self.unit_size < math.inf:
            raise InvalidGeometry(
                f"an axis of a scale has a sign of +1 or -1, a finite zero and a positive unit, not {self.sign}, "
                f"{self.zero} and {self.unit_size}"
            )

    @property
    def is_verified(self) -> bool:
        """Whether a source for sign and zero is known."""
        return bool(self.source.strip())

    def reading(self, value: npt.ArrayLike) -> Array:
        """What is read for IEC 61217 values (any shape, mm or degrees)."""
        read = self.sign * np.asarray(value, dtype=np.float64) / self.unit_size + self.zero
        if self.wrap is Wrap.UNIPOLAR:
            return unipolar_deg(read)
        if self.wrap is Wrap.BIPOLAR:
            # 180 and -180 are one place; the positive one is shown
            return np.asarray(180.0 - unipolar_deg(180.0 - read))
        return np.asarray(read)

    def value(self, reading: npt.ArrayLike) -> Array:
        """The IEC 61217 values (mm or degrees) of readings; angles in (-180, 180] where the reading is wrapped."""
        value = self.sign * (np.asarray(reading, dtype=np.float64) - self.zero) * self.unit_size
        if self.wrap is Wrap.CONTINUOUS:
            return np.asarray(value)
        return np.asarray(180.0 - unipolar_deg(180.0 - value))


@dataclass(frozen=True, slots=True)
class MachineScale:
    """The scale of one kind of machine, or of one machine.

    Attributes
    ----------
    name : str
    axes : mapping of axis to AxisScale
        Any of :data:`SCALE_AXES`; an axis that is missing does not exist on the machine.
    table_top_origin_mm : (float, float, float)
        The scale's origin of the table top, in the IEC 61217 table top frame. Since it tilts with the table top, it is
        more than a shift of the zeros.
    origin_source : str
        Who says so. Empty: unverified; only needed for the translations.
    """

    name: str
    axes: Mapping[str, AxisScale]
    table_top_origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    origin_source: str = UNVERIFIED

    def __post_init__(self) -> None:
        unknown = [axis for axis in self.axes if axis not in SCALE_AXES]
        if unknown:
            raise InvalidGeometry(f"scale {self.name!r}: unknown axes {unknown}; known are {', '.join(SCALE_AXES)}")
        if len(self.table_top_origin_mm) != 3 or not all(map(math.isfinite, self.table_top_origin_mm)):
            raise InvalidGeometry(f"scale {self.name!r}: the table-top origin is three finite numbers in mm")
        object.__setattr__(self, "axes", dict(self.axes))

    @property
    def unverified_axes(self) -> tuple[str, ...]:
        """Axes that are refused."""
        without = [axis for axis, scale in self.axes.items() if not scale.is_verified]
        if not self.origin_source.strip():
            without += [axis for axis in LINEAR_AXES if axis in self.axes and axis not in without]
        return tuple(axis for axis in SCALE_AXES if axis in without)

    def with_axes(self, name: str, axes: Mapping[str, AxisScale]) -> MachineScale:
        """The same scale under another name with some axes stated anew, as a site does."""
        return replace(self, name=name, axes={**self.axes, **axes})

    def with_origin(self, table_top_origin_mm: tuple[float, float, float], source: str) -> MachineScale:
        """The same scale with its table-top origin stated."""
        return replace(self, table_top_origin_mm=table_top_origin_mm, origin_source=source)

    def require_verified(self, *axes: str) -> None:
        """Raise UnverifiedScale that names every one of ``axes`` without a source (or without existence)."""
        missing = [axis for axis in axes if axis not in self.axes]
        unverified = [axis for axis in axes if axis in self.unverified_axes]
        if missing or unverified:
            why = [f"{', '.join(unverified)} unverified"] if unverified else []
            why += [f"{', '.join(missing)} not defined"] if missing else []
            raise UnverifiedScale(
                f"scale {self.name!r}: {'; '.join(why)}: no published source says what the machine reads",
                scale=self.name,
                unverified=unverified,
                missing=missing,
            )

    def angle_reading(self, axis: str, angle_deg: npt.ArrayLike) -> Array:
        """The reading of one rotating axis, any of the table's or the beam's, degrees.

        Raises
        ------
        UnverifiedScale
        """
        self._require_angle(axis)
        return self.axes[axis].reading(angle_deg)

    def angle_deg(self, axis: str, reading: npt.ArrayLike) -> Array:
        """Inverse of :meth:`angle_reading`: IEC 61217 degrees."""
        self._require_angle(axis)
        return self.axes[axis].value(reading)

    def _require_angle(self, axis: str) -> None:
        if axis in LINEAR_AXES:
            raise InvalidGeometry(f"{axis} is no angle: a translation depends on the other axes, convert positions")
        self.require_verified(axis)

    def read(self, position: TableTopPosition) -> ScaleReading:
        """What the machine shows for a position in any representation.

        Raises
        ------
        UnverifiedScale
        """
        rows = self.readings(np.array([position.in_representation(Representation.IEC_61217).values]))
        return ScaleReading(self, *(float(value) for value in rows[0]))

    def readings(self, iec_rows: npt.ArrayLike) -> Array:
        """What the machine shows for many IEC 61217 positions, shape (n, 6) in the order AXES; the same shape.

        Raises
        ------
        UnverifiedScale, InvalidGeometry
        """
        self.require_verified(*AXES)
        rows = _rows_of(iec_rows)
        shifted = rows.copy()
        shifted[:, :3] += _rotated(self.table_top_origin_mm, rows[:, 3], rows[:, 4])
        return np.column_stack([self.axes[axis].reading(column) for axis, column in zip(AXES, shifted.T, strict=True)])

    def iec_rows(self, readings: npt.ArrayLike) -> Array:
        """Inverse of :meth:`readings`; angles in (-180, 180] where the machine wraps them."""
        self.require_verified(*AXES)
        given = _rows_of(readings)
        rows = np.column_stack([self.axes[axis].value(column) for axis, column in zip(AXES, given.T, strict=True)])
        rows[:, :3] -= _rotated(self.table_top_origin_mm, rows[:, 3], rows[:, 4])
        return rows

    def __repr__(self) -> str:
        unverified = self.unverified_axes
        return f"MachineScale({self.name!r}" + (f", unverified: {', '.join(unverified)})" if unverified else ")")


@dataclass(frozen=True, slots=True)
class ScaleReading:
    """Six numbers as a machine shows them, with the scale that gives them a meaning; units are the scale's."""

    scale: MachineScale
    lateral: float
    longitudinal: float
    vertical: float
    pitch: float
    roll: float
    patient_support_angle: float

    @property
    def values(self) -> tuple[float, float, float, float, float, float]:
        """The six numbers in the order AXES."""
        return (
            self.lateral,
            self.longitudinal,
            self.vertical,
            self.pitch,
            self.roll,
            self.patient_support_angle,
        )

    def position(self, *, near: TableTopPosition | None = None) -> TableTopPosition:
        """The IEC 61217 position that the machine shows.

        Parameters
        ----------
        near : TableTopPosition, optional
            Angles are given as the equivalents nearest to this position's: a wrapped reading does not tell turns.

        Raises
        ------
        UnverifiedScale, InvalidGeometry
        """
        row = self.scale.iec_rows(np.array([self.values]))[0]
        if near is not None:
            for axis in range(3, 6):
                row[axis] = nearest_equivalent_deg(float(row[axis]), near.values[axis])
        return TableTopPosition.from_values(Representation.IEC_61217, row)

    def _repr_html_(self) -> str:
        rows = [(axis.replace("_", " "), f"{value:+.4f}") for axis, value in zip(AXES, self.values, strict=True)]
        return html_table(f"reading on scale {self.scale.name}", ("axis", "reading"), rows)

    def __repr__(self) -> str:
        shown = ", ".join(f"{axis.replace('_', ' ')} {value:g}" for axis, value in zip(AXES, self.values, strict=True))
        return f"ScaleReading({self.scale.name}: {shown})"


def _rows_of(rows: npt.ArrayLike) -> Array:
    given = np.asarray(rows, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != len(AXES):
        raise InvalidGeometry(f"table-top positions are an array of shape (n, 6), not {given.shape}")
    bad = ~(np.abs(given) < LARGEST)
    if bad.any():
        row, column = (int(index) for index in np.argwhere(bad)[0])
        raise InvalidGeometry(f"{AXES[column]} of position {row} is {given[row, column]}", axis=AXES[column], index=row)
    return given


def _rotated(origin_mm: tuple[float, float, float], pitch_deg: Array, roll_deg: Array) -> Array:
    """Rx(pitch) Ry(roll) origin for arrays of angles, shape (n, 3)."""
    origin = np.array(origin_mm)
    if not origin.any():
        return np.zeros((pitch_deg.shape[0], 3))
    return np.column_stack(isocentric_to_iec(origin[0], origin[1], origin[2], pitch_deg, roll_deg))
