"""Many table-top positions of one representation, as one array per axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isoalign.geometry.errors import InvalidGeometry, RepresentationMismatch
from isoalign.geometry.pose import Array
from isoalign.geometry.table_top import AXES, LARGEST, Representation, TableTopPosition, scalar_conversion


@dataclass(frozen=True, slots=True, eq=False)
class TableTopArray:
    """Table-top positions with their representation, for whole logs and studies.

    Parameters
    ----------
    representation : Representation
    lateral_mm, longitudinal_mm, vertical_mm : ndarray, shape (n,)
    pitch_deg, roll_deg, patient_support_angle_deg : ndarray, shape (n,)
        Contiguous float64; kept as they are, without a copy, and made read-only.

    Raises
    ------
    InvalidGeometry
        When the shapes differ, or a value is NaN, infinite or so large that it must have another unit.
    """

    representation: Representation
    lateral_mm: Array
    longitudinal_mm: Array
    vertical_mm: Array
    pitch_deg: Array
    roll_deg: Array
    patient_support_angle_deg: Array

    def __post_init__(self) -> None:
        if not isinstance(self.representation, Representation):
            raise InvalidGeometry(f"representation must be a Representation, not {self.representation!r}")
        self._adopt()
        for axis, values, largest in zip(AXES, self.columns, LARGEST, strict=True):
            _require_within(axis, values, largest)

    def _adopt(self) -> None:
        """Take the arrays over: float64, contiguous, one length, read-only."""
        lengths = set()
        for name, values in zip(self.__slots__[1:], self.columns, strict=True):
            column = np.ascontiguousarray(values, dtype=np.float64)
            if column.ndim != 1:
                raise InvalidGeometry(f"{name} must be one-dimensional, not of shape {np.shape(values)}")
            lengths.add(column.shape[0])
            view = column.view()
            view.setflags(write=False)
            object.__setattr__(self, name, view)
        if len(lengths) > 1:
            raise InvalidGeometry(f"the six axes of a table-top array have different lengths: {sorted(lengths)}")

    @classmethod
    def _trusted(cls, representation: Representation, columns: Sequence[Array]) -> TableTopArray:
        """Columns that are known to be within bounds: a conversion checks its input and keeps lengths."""
        made = object.__new__(cls)
        for name, value in zip(cls.__slots__, (representation, *columns), strict=True):
            object.__setattr__(made, name, value)
        made._adopt()
        return made

    @classmethod
    def from_rows(cls, representation: Representation, rows: npt.ArrayLike) -> TableTopArray:
        """Positions of an array of shape (n, 6) in the order of :data:`~isoalign.geometry.AXES`."""
        given = np.asarray(rows, dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != len(AXES):
            raise InvalidGeometry(f"table-top positions are an array of shape (n, 6), not {given.shape}")
        return cls(representation, *given.T)

    @classmethod
    def of(cls, positions: Sequence[TableTopPosition]) -> TableTopArray:
        """Positions that share one representation.

        Raises
        ------
        RepresentationMismatch
            When they do not.
        """
        kinds = {position.representation for position in positions}
        if len(kinds) != 1:
            names = ", ".join(sorted(kind.value for kind in kinds)) or "none"
            raise RepresentationMismatch(f"positions of one array share one representation; these have: {names}")
        return cls.from_rows(kinds.pop(), [position.values for position in positions])

    @property
    def columns(self) -> tuple[Array, Array, Array, Array, Array, Array]:
        """The six arrays in the order of :data:`~isoalign.geometry.AXES`."""
        return (
            self.lateral_mm,
            self.longitudinal_mm,
            self.vertical_mm,
            self.pitch_deg,
            self.roll_deg,
            self.patient_support_angle_deg,
        )

    def rows(self) -> Array:
        """A new array of shape (n, 6)."""
        return np.column_stack(self.columns)

    def __len__(self) -> int:
        return int(self.lateral_mm.shape[0])

    def __getitem__(self, index: int) -> TableTopPosition:
        return TableTopPosition(self.representation, *(float(column[index]) for column in self.columns))

    def __iter__(self) -> Iterator[TableTopPosition]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"TableTopArray({len(self)} positions, {self.representation.value})"

    def in_representation(self, representation: Representation, *, out: Array | None = None) -> TableTopArray:
        """The same positions in another representation; the angles are shared, not copied.

        Parameters
        ----------
        representation : Representation
        out : ndarray, shape (3, n), float64, optional
            Where the translations go, for loops over blocks; the result uses this memory.

        Raises
        ------
        RepresentationMismatch
            From or to DICOM CID 9569.
        InvalidGeometry
            When ``out`` does not fit.
        """
        if representation is self.representation:
            return self
        scalar_conversion(self.representation, representation)  # raises where there is no conversion
        shape = (3, len(self))
        if out is None:
            out = np.empty(shape)
        elif out.shape != shape or out.dtype != np.float64 or not all(row.flags.c_contiguous for row in out):
            raise InvalidGeometry(f"out must be a float64 array of shape {shape} with contiguous rows")
        from isoalign.geometry import table_top_kernels as kernels

        to_isocentric = representation is Representation.ISOCENTRIC_STANDARD
        kernel = kernels.iec_to_isocentric_into if to_isocentric else kernels.isocentric_to_iec_into
        kernel(*self.columns[:5], *out)
        return TableTopArray._trusted(representation, (*out, *self.columns[3:]))


def _require_within(axis: str, values: Array, largest: float) -> None:
    if not values.shape[0]:
        return
    # NaN makes both comparisons false
    if -largest < float(values.min()) and float(values.max()) < largest:
        return
    index = int(np.argmin(np.abs(values) < largest))
    raise InvalidGeometry(
        f"table top {axis} of position {index} is {values[index]}; it must lie between -{largest:g} and {largest:g}",
        axis=axis,
        index=index,
    )
