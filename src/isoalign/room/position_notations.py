"""The ways to write a table-top position, by the names that a user types: representations and machine scales.

A representation (IEC 61217, Isocentric Standard, DICOM CID 9569) is continuous and in mm; a machine scale has signs,
zeros, units and wrapped angles of its own. Both are a :class:`Notation` here, so that a command treats them alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from isoalign.geometry import (
    AXES,
    NAMED_SCALES,
    Array,
    AxisScale,
    MachineScale,
    Representation,
    RepresentationMismatch,
    ScaleReading,
    TableTopArray,
    TableTopPosition,
    UnverifiedScale,
    nearest_equivalent_deg,
)
from isoalign.geometry.machine_scale import Wrap
from isoalign.geometry.table_top import LARGEST
from isoalign.room.errors import UnknownNotation

REPRESENTATIONS: Mapping[str, Representation] = {
    "iec61217": Representation.IEC_61217,
    "isocentric": Representation.ISOCENTRIC_STANDARD,
    "cid9569": Representation.DICOM_CID_9569,
}
BUILT_IN_NAMES = (*REPRESENTATIONS, *(name for name in NAMED_SCALES if name not in REPRESENTATIONS))
"""Names that a site cannot give to a scale of its own."""
DECLARATION = "--declare-cid9569-isocentric"

_LENGTH_UNITS = {1.0: "mm", 10.0: "cm", 1000.0: "m"}
_DECLARED_LABEL = "DICOM CID 9569, declared isocentric"

Six = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Notation:
    """One way to write the six numbers.

    Attributes
    ----------
    name : str
        As typed on the command line and recorded in files.
    label : str
        For people.
    meaning : Representation or MachineScale
        IEC 61217 is always the representation: its angles are not wrapped.
    """

    name: str
    label: str
    meaning: Representation | MachineScale

    @property
    def scale(self) -> MachineScale | None:
        """The machine scale, or None for a representation."""
        return self.meaning if isinstance(self.meaning, MachineScale) else None

    def axis(self, axis: str) -> AxisScale:
        """Sign, zero, unit and wrapping of one axis; those of the identity for a representation."""
        return AxisScale() if isinstance(self.meaning, Representation) else self.meaning.axes[axis]

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each axis: mm, cm or m, and deg."""
        return tuple(
            "deg" if number > 2 else _LENGTH_UNITS.get(self.axis(axis).unit_size, "mm")
            for number, axis in enumerate(AXES)
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the six values in files and JSON: the axis and its unit, e.g. ``lateral_mm``."""
        return tuple(f"{axis}_{unit}" for axis, unit in zip(AXES, self.units, strict=True))

    @property
    def bounds(self) -> tuple[tuple[float, float], ...]:
        """What each value may be, exclusive; a number outside has another unit or is no position."""
        found = []
        for axis, largest in zip(AXES, LARGEST, strict=True):
            scale = self.axis(axis)
            reach = largest / scale.unit_size
            found.append((max(-largest, scale.zero - reach), min(largest, scale.zero + reach)))
        return tuple(found)

    def level(self, axis: str) -> float:
        """What is written where the IEC 61217 value of an axis is 0."""
        return float(self.axis(axis).reading(0.0))

    def require_usable(self) -> None:
        """Refuse a scale of which an axis is unverified.

        Raises
        ------
        UnverifiedScale
        """
        if isinstance(self.meaning, MachineScale):
            with _told_for_the_command_line(self):
                self.meaning.require_verified(*AXES)

    def position(self, values: Sequence[float]) -> TableTopPosition:
        """The position that the six numbers mean: in the representation, or in IEC 61217 for a scale.

        Raises
        ------
        UnverifiedScale, InvalidGeometry
        """
        if isinstance(self.meaning, Representation):
            return TableTopPosition.from_values(self.meaning, values)
        self.require_usable()
        return ScaleReading(self.meaning, *values).position()

    def iec_position(self, values: Sequence[float]) -> TableTopPosition:
        """The IEC 61217 position that the six numbers mean.

        Raises
        ------
        UnverifiedScale, RepresentationMismatch, InvalidGeometry
        """
        with _told_for_the_command_line(self):
            return self.position(values).in_representation(Representation.IEC_61217)

    def values(self, position: TableTopPosition) -> Six:
        """The six numbers for a position.

        Raises
        ------
        UnverifiedScale, RepresentationMismatch, InvalidGeometry
        """
        with _told_for_the_command_line(self):
            if isinstance(self.meaning, Representation):
                return position.in_representation(self.meaning).values
            return self.meaning.read(position).values

    def changes(self, start: Sequence[float], target: Sequence[float]) -> Six:
        """Target minus start in this notation; the short way round where angles are wrapped."""
        moves = [after - before for before, after in zip(start, target, strict=True)]
        for number, axis in enumerate(AXES):
            if self.axis(axis).wrap is not Wrap.CONTINUOUS:
                moves[number] = nearest_equivalent_deg(moves[number], 0.0)
        lateral, longitudinal, vertical, pitch, roll, psa = moves
        return lateral, longitudinal, vertical, pitch, roll, psa

    def towards(self, changes: Sequence[float]) -> Six:
        """The directions of IEC 61217 in which changes of the six numbers go, mm and degrees."""
        found = [
            self.axis(axis).sign * change * self.axis(axis).unit_size
            for axis, change in zip(AXES, changes, strict=True)
        ]
        lateral, longitudinal, vertical, pitch, roll, psa = found
        return lateral, longitudinal, vertical, pitch, roll, psa


def notation_of(
    name: str, scales: Mapping[str, MachineScale] | None = None, *, cid9569_is_isocentric: bool = False
) -> Notation:
    """The notation with a name.

    Parameters
    ----------
    name : str
    scales : mapping of name to MachineScale, optional
        Those that the site states in its configuration.
    cid9569_is_isocentric : bool
        The user declares that the isocentric set of DICOM is Isocentric Standard on the machine.

    Raises
    ------
    UnknownNotation
        Lists the names that are known.
    """
    stated = scales or {}
    representation = REPRESENTATIONS.get(name)
    if representation is Representation.DICOM_CID_9569 and cid9569_is_isocentric:
        return Notation(name, _DECLARED_LABEL, Representation.ISOCENTRIC_STANDARD)
    if representation is not None:
        return Notation(name, representation.value, representation)
    scale = NAMED_SCALES.get(name) or stated.get(name)
    if scale is None:
        where = f"; the configuration states {', '.join(stated)}" if stated else ""
        raise UnknownNotation(
            f"{name!r} is no representation and no scale; known are {', '.join(BUILT_IN_NAMES)}{where}",
            name=name,
            known=[*BUILT_IN_NAMES, *stated],
        )
    return Notation(name, f"scale {name}", scale)


def converted_rows(rows: Array, source: Notation, target: Notation) -> Array:
    """Many positions from one notation to another, shape (n, 6) in the order AXES; the same shape.

    Raises
    ------
    UnverifiedScale, RepresentationMismatch, InvalidGeometry
        The last with the fact ``index`` where one row is to blame.
    """
    source.require_usable()
    target.require_usable()
    with _told_for_the_command_line(target):
        if isinstance(source.meaning, Representation):
            positions = TableTopArray.from_rows(source.meaning, rows)
        else:
            positions = TableTopArray.from_rows(Representation.IEC_61217, source.meaning.iec_rows(rows))
        if isinstance(target.meaning, Representation):
            return positions.in_representation(target.meaning).rows()
        return target.meaning.readings(positions.in_representation(Representation.IEC_61217).rows())


@contextmanager
def _told_for_the_command_line(notation: Notation) -> Iterator[None]:
    """Geometry's refusals, with a hint that says what to do here."""
    try:
        yield
    except RepresentationMismatch as error:
        raise RepresentationMismatch(
            error.message,
            hint="Where the machine's documentation says that CID 9569 is Isocentric Standard, state it: "
            f"{DECLARATION} (in Python: position.declared_as(...)).",
            **error.facts,
        ) from error
    except UnverifiedScale as error:
        scale = notation.scale
        raise UnverifiedScale(
            error.message, hint=error.hint if scale is None else _what_to_state(scale), **error.facts
        ) from error


def _what_to_state(scale: MachineScale) -> str:
    """Which keys of the configuration would make a scale usable."""
    own = "NAME" if scale.name in NAMED_SCALES else scale.name
    axes = [axis for axis in AXES if axis not in scale.axes or not scale.axes[axis].is_verified]
    wanted = []
    if axes:
        wanted.append(f"[scale.{own}.axes.AXIS] with sign, zero, unit and source for {', '.join(axes)}")
    if not scale.origin_source.strip():
        wanted.append(f"[scale.{own}] with table_top_origin_mm and origin_source")
    keys = "; ".join(wanted)
    if scale.name in NAMED_SCALES:
        return (
            f'State in room.toml, as a scale of your own with based_on = "{scale.name}": {keys}. '
            f"Then give --config room.toml and NAME instead of {scale.name}."
        )
    return f"State in the configuration: {keys}."


def outside(rows: Array, notation: Notation) -> tuple[int, int] | None:
    """Row and column of the first value that is NaN or beyond the notation's bounds, by rows; None: all are good."""
    least, greatest = np.array(notation.bounds).T
    bad = ~((rows > least) & (rows < greatest))
    if not bad.any():
        return None
    row = int(np.argmax(bad.any(axis=1)))
    return row, int(np.argmax(bad[row]))


def range_words(notation: Notation, column: int) -> str:
    """The range of one value, for messages."""
    least, greatest = notation.bounds[column]
    return f"between {_plain(least)} and {_plain(greatest)} {notation.units[column]}"


def _plain(value: float) -> str:
    return f"{value:.0f}" if math.isclose(value, round(value)) else f"{value:g}"
