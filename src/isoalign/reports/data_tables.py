"""Results as tables of columns, for data frames and for files: CSV or Parquet.

The table is pyarrow's; ``pandas.api.interchange.from_dataframe(table)``, ``polars.from_arrow(table)`` and
``table.to_pandas()`` turn it into a data frame of the library that is at hand.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from isoalign.reports.errors import UnknownTableFormat
from isoalign.reports.files import write_whole

ENDINGS = (".csv", ".parquet")


def columns_table(columns: Mapping[str, Any]) -> Any:
    """A pyarrow table of columns of one length; the unit of a column stands in its name.

    Parameters
    ----------
    columns : mapping of str to sequence
        Numbers, texts, truth values; None and NaN are "not available".
    """
    import pyarrow as pa

    return pa.table({name: _column(pa, values) for name, values in columns.items()})


def write_table(table: Any, path: Path) -> Path:
    """Write a table as CSV or Parquet, by the ending of ``path``; whole or not at all.

    Raises
    ------
    UnknownTableFormat, ReportNotWritable
    """
    require_table_ending(path)
    out = io.BytesIO()
    if path.suffix.lower() == ".csv":
        from pyarrow import csv

        csv.write_csv(table, out)
    else:
        from pyarrow import parquet

        parquet.write_table(table, out)
    return write_whole(path, out.getvalue())


def require_table_ending(path: Path) -> None:
    """Refuse an ending that no format goes with, before long work is done.

    Raises
    ------
    UnknownTableFormat
    """
    if path.suffix.lower() not in ENDINGS:
        raise UnknownTableFormat(f"{path.name} ends neither in {' nor in '.join(ENDINGS)}", path=str(path))


def _column(pa: Any, values: Any) -> Any:
    array = np.asarray(values)
    if array.dtype.kind == "f":
        return pa.array(array.astype(np.float64), mask=np.isnan(array))
    return pa.array(list(values))
