"""CSV and Parquet files as streams of blocks, and files that are written whole or not at all.

One block is in memory at a time. Every column of a CSV file is read as text, so that what is only carried along stays
as it is, letter by letter.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from isoalign.room.errors import OutputExists, OutputNotWritten, PositionFileEmpty, PositionFileUnreadable

BLOCK_BYTES = 2 << 20
"""Bytes of a CSV file in one block."""
BLOCK_ROWS = 65_536
"""Rows of a Parquet file in one block."""
METADATA_KEY = b"isoalign.representation"
"""Key of the schema metadata of a Parquet file."""
_PARQUET_MAGIC = b"PAR1"
_READ_ERRORS = (pa.ArrowException, OSError, UnicodeDecodeError)


class BlockSource(Protocol):
    """A file that is read block by block."""

    schema: Any

    @property
    def recorded(self) -> str | None:
        """What the file's own metadata say about its representation."""

    def blocks(self) -> Iterator[tuple[Any, float]]:
        """Record batches, and how much of the file is read with each (0 to 1)."""

    def line_of(self, row: int) -> int | None:
        """The line of the text file on which a data row (from 1) begins."""


class BlockSink(Protocol):
    """A file that is written block by block."""

    def write(self, batch: Any) -> None:
        """Append a record batch."""

    def close(self) -> None:
        """Write what belongs at the end."""


class CsvSource:
    """A CSV file: UTF-8, commas, one line of names; quoted values may hold commas and line breaks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as stream:
                start = stream.read(4096)
            self._bytes = path.stat().st_size
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from error
        if not start.strip():
            raise PositionFileEmpty(f"{path} is empty", file=str(path))
        if start.startswith(_PARQUET_MAGIC):
            raise _unreadable(path, "it is a Parquet file with the ending of a CSV file", hint="Rename it to .parquet.")
        if b"\0" in start:
            raise _unreadable(path, "it is no text (UTF-8) but binary data")
        try:
            names = self._open(None).schema.names
        except _READ_ERRORS as error:
            raise self._explained(error) from error
        self.schema = pa.schema([(name, pa.string()) for name in names])

    @property
    def recorded(self) -> str | None:
        """A CSV file has no metadata; its column ``representation`` is looked at by rows."""
        return None

    def _open(self, types: dict[str, Any] | None) -> Any:
        return pa_csv.open_csv(
            self._path,
            read_options=pa_csv.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(column_types=types),
        )

    def blocks(self) -> Iterator[tuple[Any, float]]:
        """See :class:`BlockSource`."""
        try:
            with self._open({field.name: field.type for field in self.schema}) as reader:
                for number, batch in enumerate(reader, start=1):
                    yield batch, min(1.0, number * BLOCK_BYTES / max(self._bytes, 1))
        except _READ_ERRORS as error:
            raise self._explained(error) from error

    def line_of(self, row: int) -> int | None:
        """See :class:`BlockSource`. Reads the file again up to that row: only for messages."""
        with suppress(csv.Error, OSError):
            for line, _ in itertools.islice(self._records(), row, row + 1):
                return line
        return None

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """First line and fields of the header and every data row; empty lines are no rows."""
        with self._path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            reader = csv.reader(stream)
            begins = 1
            for fields in reader:
                if fields:
                    yield begins, fields
                begins = reader.line_num + 1

    def _explained(self, error: Exception) -> PositionFileUnreadable:
        """The error with the row that has too many or too few fields, where that is the reason."""
        with suppress(csv.Error, OSError):
            columns = 0
            for row, (line, fields) in enumerate(self._records()):
                columns = columns or len(fields)
                if len(fields) != columns:
                    return _unreadable(
                        self._path,
                        f"row {row} (line {line}) has {len(fields)} fields, but there are {columns} columns",
                        row=row,
                        line=line,
                    )
        reason = "it is not UTF-8" if "utf" in str(error).lower() else " ".join(str(error).split())[:200]
        return _unreadable(self._path, reason)


class ParquetSource:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # buffered, so that not a whole row group is in memory
            self._file = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
        except _READ_ERRORS as error:
            empty = path.is_file() and path.stat().st_size == 0
            if empty:
                raise PositionFileEmpty(f"{path} is empty", file=str(path)) from error
            reason = (error.strerror if isinstance(error, OSError) else None) or "it is not a Parquet file"
            raise _unreadable(path, reason) from error
        self.schema = self._file.schema_arrow

    @property
    def recorded(self) -> str | None:
        """What the schema metadata say."""
        value = (self.schema.metadata or {}).get(METADATA_KEY)
        return None if value is None else str(value, "utf-8", "replace")

    def blocks(self) -> Iterator[tuple[Any, float]]:
        """See :class:`BlockSource`."""
        total, done = max(self._file.metadata.num_rows, 1), 0
        try:
            with self._file as reader:
                for batch in reader.iter_batches(batch_size=BLOCK_ROWS):
                    done += batch.num_rows
                    yield batch, done / total
        except _READ_ERRORS as error:
            raise _unreadable(self._path, f"it is damaged: {' '.join(str(error).split())[:200]}") from error

    def line_of(self, row: int) -> int | None:  # noqa: ARG002 - the same question to every source
        """A Parquet file has no lines."""
        return None


class CsvSink:
    """Writes CSV; values are quoted only in blocks that need it."""

    def __init__(self, stream: IO[bytes], schema: Any) -> None:
        self._stream = stream
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(schema.names)
        stream.write(header.getvalue().encode())

    def write(self, batch: Any) -> None:
        """See :class:`BlockSink`."""
        try:
            content = self._encoded(batch, "none")
        except pa.ArrowInvalid:  # a value holds a comma, a quote or a line break
            content = self._encoded(batch, "needed")
        self._stream.write(content)

    @staticmethod
    def _encoded(batch: Any, quoting: str) -> Any:
        content = pa.BufferOutputStream()
        pa_csv.write_csv(batch, content, pa_csv.WriteOptions(include_header=False, quoting_style=quoting))
        return content.getvalue()

    def close(self) -> None:
        """Nothing belongs at the end."""


class ParquetSink:
    """Writes Parquet."""

    def __init__(self, stream: IO[bytes], schema: Any) -> None:
        self._writer = pq.ParquetWriter(stream, schema)

    def write(self, batch: Any) -> None:
        """See :class:`BlockSink`."""
        self._writer.write_batch(batch)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise OutputExists where a file is there that may not be overwritten."""
    if path.exists() and not force:
        raise OutputExists(f"{path} exists already", file=str(path))


@contextmanager
def written_whole(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """A stream beside ``path`` that takes its place when everything is written and on disk; otherwise it vanishes.

    Raises
    ------
    OutputExists, OutputNotWritten
    """
    refuse_existing(path, force=force)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        refuse_existing(path, force=force)  # it may have come while we were writing
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise OutputNotWritten(f"cannot write {path}: {error.strerror or error}", file=str(path)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def listed(names: Sequence[str]) -> str:
    """Column names for a message; cut where there are very many."""
    shown = ", ".join(repr(name) for name in names[:30])
    return shown + (f" and {len(names) - 30} more" if len(names) > 30 else "")


def _unreadable(path: Path, reason: str, *, hint: str | None = None, **facts: Any) -> PositionFileUnreadable:
    return PositionFileUnreadable(f"{path} cannot be read: {reason}", hint=hint, file=str(path), **facts)
