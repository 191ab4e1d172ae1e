"""Whole files of table-top positions, CSV or Parquet, from one notation to another, in bounded memory.

A file has the six columns of its notation (``lateral_mm``, ..., ``patient_support_angle_deg``; in the units of the
scale) in any order; other columns are carried along. What the numbers are is recorded in the file that is written and
checked in the file that is read: in the metadata of a Parquet file, in a column ``representation`` of a CSV file. A
value that cannot be meant is refused with its row; nothing is clipped, skipped or guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isoalign.geometry import AXES, Array, InvalidGeometry
from isoalign.room.errors import (
    PositionColumnsWrong,
    PositionFileEmpty,
    PositionRefused,
    RepresentationContradicted,
    UnknownFileKind,
)
from isoalign.room.position_files import (
    METADATA_KEY,
    BlockSource,
    CsvSink,
    CsvSource,
    ParquetSink,
    ParquetSource,
    listed,
    refuse_existing,
    written_whole,
)
from isoalign.room.position_notations import Notation, converted_rows, outside, range_words

RECORD_COLUMN = "representation"
SOURCES: Mapping[str, Callable[[Path], BlockSource]] = {".csv": CsvSource, ".parquet": ParquetSource}
SINKS: Mapping[str, Callable[..., CsvSink | ParquetSink]] = {".csv": CsvSink, ".parquet": ParquetSink}
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
"""What counts as a number in text; NaN and infinity do not."""

ProgressCallback = Callable[[str, float | None], None]


@dataclass(frozen=True, slots=True)
class ConvertedFile:
    """What was written."""

    output: Path
    rows: int
    level_axes: tuple[str, ...]


def convert_file(
    source: Path,
    output: Path,
    *,
    given: Notation,
    wanted: Notation,
    level: bool = False,
    force: bool = False,
    on_progress: ProgressCallback | None = None,
) -> ConvertedFile:
    """Convert every position of a file.

    Parameters
    ----------
    source, output : Path
        The endings ``.csv`` and ``.parquet`` say what they are.
    given, wanted : Notation
        How the positions are meant, and how they are to be written.
    level : bool
        Angles that the file does not have are 0 (in IEC 61217).
    force : bool
        Overwrite ``output``.
    on_progress : callable, optional
        Called after every block with what is done, in words, and the part of the file.

    Raises
    ------
    PositionFileUnreadable, PositionFileEmpty, PositionColumnsWrong, PositionRefused, RepresentationContradicted,
    OutputExists, OutputNotWritten, UnknownFileKind, UnverifiedScale, RepresentationMismatch
    """
    open_source, make_sink = _by_ending(source, SOURCES), _by_ending(output, SINKS)
    given.require_usable()
    wanted.require_usable()
    refuse_existing(output, force=force)
    reader = open_source(source)
    layout = _Layout(source, reader, given, wanted, level=level, to_csv=make_sink is CsvSink)
    done = 0
    with written_whole(output, force=force) as stream:
        with closing(make_sink(stream, layout.schema)) as sink:
            for batch, fraction in reader.blocks():
                sink.write(layout.converted(batch, done))
                done += batch.num_rows
                if on_progress is not None:
                    on_progress(f"{done:,} rows".replace(",", " "), fraction)
        if done == 0:
            raise PositionFileEmpty(f"{source} has columns but no row", file=str(source))
    return ConvertedFile(output, done, layout.level_axes)


def _by_ending(path: Path, kinds: Mapping[str, Any]) -> Any:
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise UnknownFileKind(f"{path}: the ending {path.suffix!r} is none of {', '.join(kinds)}", file=str(path))
    return kind


class _Layout:
    """Which column of a file is what, and what becomes of it.

    Attributes
    ----------
    schema : pyarrow.Schema
        Of the file to be written.
    level_axes : tuple of str
        Axes that the file does not have.
    """

    def __init__(
        self, path: Path, source: BlockSource, given: Notation, wanted: Notation, *, level: bool, to_csv: bool
    ) -> None:
        self._path, self._source, self._given, self._wanted = path, source, given, wanted
        names = list(source.schema.names)
        self._refuse_twice(names, "")
        missing = [axis for axis, column in zip(AXES, given.columns, strict=True) if column not in names]
        self._refuse_missing(missing, names, level=level)
        self.level_axes = tuple(missing)
        if source.recorded is not None:
            self._require_recorded(source.recorded, "its metadata")
        of_axis = dict(zip(given.columns, range(6), strict=True))
        self._plan: list[int | str] = [of_axis.get(name, name) for name in names]
        self._plan += [AXES.index(axis) for axis in missing]
        if to_csv and RECORD_COLUMN not in names:
            self._plan.append(RECORD_COLUMN)
        fields = [self._field(entry, source.schema, to_csv=to_csv) for entry in self._plan]
        self._refuse_twice([field.name for field in fields], " after the conversion")
        metadata = {**(source.schema.metadata or {}), METADATA_KEY: wanted.name.encode()}
        self.schema = pa.schema(fields, metadata=metadata)

    def _field(self, entry: int | str, schema: Any, *, to_csv: bool) -> Any:
        if isinstance(entry, int):
            name = self._given.columns[entry]
            if name in schema.names:
                self._refuse_type(name, schema.field(name).type)
            return pa.field(self._wanted.columns[entry], pa.float64())
        if entry == RECORD_COLUMN:
            return pa.field(RECORD_COLUMN, pa.string())
        field = schema.field(entry)
        if to_csv and pa.types.is_dictionary(field.type):
            field = field.with_type(field.type.value_type)
        if to_csv and pa.types.is_nested(field.type):
            raise PositionColumnsWrong(
                f"{self._path}: column {entry!r} holds {field.type}, which CSV cannot hold",
                hint="Write a Parquet file, or remove the column.",
                column=entry,
            )
        return field

    def _refuse_type(self, name: str, kind: Any) -> None:
        numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        if not numeric and not (isinstance(self._source, CsvSource) and pa.types.is_string(kind)):
            raise PositionColumnsWrong(
                f"{self._path}: column {name!r} holds {kind}; numbers are needed",
                hint="Write the column as numbers.",
                column=name,
            )

    def _refuse_twice(self, names: list[str], when: str) -> None:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PositionColumnsWrong(
                f"{self._path}: there would be two columns {listed(twice)}{when}"
                if when
                else f"{self._path}: there are two columns {listed(twice)}",
                hint="Rename or remove one of them.",
                columns=twice,
            )

    def _refuse_missing(self, missing: list[str], names: list[str], *, level: bool) -> None:
        needed = [axis for axis in missing if axis in AXES[:3] or not level]
        if not needed:
            return
        columns = [self._given.columns[AXES.index(axis)] for axis in needed]
        only_angles = not any(axis in AXES[:3] for axis in needed)
        hint = None
        if only_angles:
            hint = "Where the table top was level at patient support angle 0, say so: --level."
        elif len(names) == 1 and any(mark in names[0] for mark in ";\t"):
            hint = "The columns must be separated by commas."
        raise PositionColumnsWrong(
            f"{self._path}: no column {listed(columns)}; its columns are {listed(names)}",
            hint=hint,
            missing=columns,
            columns=names,
        )

    def _require_recorded(self, recorded: str, where: str, row: int | None = None) -> None:
        if recorded.strip().casefold() not in {self._given.name.casefold(), self._given.label.casefold()}:
            facts: dict[str, Any] = {} if row is None else {"row": row}
            raise RepresentationContradicted(
                f"{self._path}: {where} says that the positions are in {recorded!r}, but --from says "
                f"{self._given.name!r}",
                file=str(self._path),
                recorded=recorded,
                given=self._given.name,
                **facts,
            )

    def converted(self, batch: Any, rows_before: int) -> Any:
        """The block to be written for a block that was read."""
        if RECORD_COLUMN in batch.schema.names:
            self._require_records(batch.column(RECORD_COLUMN), rows_before)
        rows = self._rows(batch, rows_before)
        try:
            after = converted_rows(rows, self._given, self._wanted)
        except InvalidGeometry as error:
            index = error.facts.get("index")
            if not isinstance(index, int):
                raise
            row = rows_before + index + 1
            raise PositionRefused(f"{self._place(row)}: {error.message}", file=str(self._path), row=row) from error
        if (bad := outside(after, self._wanted)) is not None:
            index, axis = bad
            row = rows_before + index + 1
            raise PositionRefused(
                f"{self._place(row)}: converted to {self._wanted.label}, {self._wanted.columns[axis]} is "
                f"{after[index, axis]:g}; it must lie {range_words(self._wanted, axis)}",
                file=str(self._path),
                row=row,
                column=self._wanted.columns[axis],
            )
        return pa.record_batch([self._column(entry, batch, after) for entry in self._plan], schema=self.schema)

    def _column(self, entry: int | str, batch: Any, after: Array) -> Any:
        if isinstance(entry, int):
            return pa.array(np.ascontiguousarray(after[:, entry]))
        if entry == RECORD_COLUMN:
            return pa.repeat(pa.scalar(self._wanted.name), batch.num_rows)
        column = batch.column(entry)
        wanted = self.schema.field(self._plan.index(entry)).type
        return column if column.type == wanted else column.cast(wanted)

    def _rows(self, batch: Any, rows_before: int) -> Array:
        rows = np.empty((batch.num_rows, len(AXES)))
        for number, (axis, column) in enumerate(zip(AXES, self._given.columns, strict=True)):
            if axis in self.level_axes:
                rows[:, number] = self._given.level(axis)
            else:
                rows[:, number] = _numbers(batch.column(column))
        if (bad := outside(rows, self._given)) is not None:
            index, number = bad
            self._refuse(batch.column(self._given.columns[number])[index].as_py(), number, rows_before + index + 1)
        return rows

    def _refuse(self, value: Any, number: int, row: int) -> None:
        column = self._given.columns[number]
        said = "empty" if value is None or not str(value).strip() else repr(value if len(str(value)) < 60 else "…")
        line = self._source.line_of(row)
        raise PositionRefused(
            f"{self._place(row, line)}: {column} is {said}; it must be a number {range_words(self._given, number)}",
            file=str(self._path),
            row=row,
            line=line,
            column=column,
            value=None if value is None else str(value),
            range=list(self._given.bounds[number]),
        )

    def _require_records(self, column: Any, rows_before: int) -> None:
        told = column.cast(pa.string()).fill_null("")
        for value in pc.unique(told).to_pylist():
            row = rows_before + pc.index(told, value).as_py() + 1
            self._require_recorded(value, f"row {row}, column {RECORD_COLUMN!r},", row)

    def _place(self, row: int, line: int | None = None) -> str:
        line = self._source.line_of(row) if line is None else line
        return f"{self._path}, row {row}" + ("" if line is None else f" (line {line})")


def _numbers(column: Any) -> Array:
    """A column as float64; NaN where there is no number."""
    if pa.types.is_string(column.type):
        trimmed = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.match_substring_regex(trimmed, NUMBER), trimmed, pa.scalar(None, pa.string()))
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
