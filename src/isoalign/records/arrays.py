"""Read-only arrays for frozen records."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from isoalign.errors import InputDataError


class InvalidRecord(InputDataError):
    """A record was built from values that make no sense together."""

    code = "data.invalid-record"
    default_hint = "Check the value that the message names."


def frozen_array(values: npt.ArrayLike, shape: tuple[int | None, ...], what: str, dtype: Any = np.float64) -> Any:
    """A read-only array of the given shape (None: any length); arrays that are read-only already are not copied.

    Raises
    ------
    InvalidRecord
    """
    array = np.asarray(values, dtype=dtype)
    fits = array.ndim == len(shape) and all(n is None or n == m for n, m in zip(shape, array.shape, strict=False))
    if not fits:
        raise InvalidRecord(f"{what}: shape {array.shape} does not fit {shape}")
    if array.dtype.kind == "f" and array.size < 1_000_000 and not np.isfinite(array).all():
        raise InvalidRecord(f"{what} contains NaN or infinite values")
    if array.flags.writeable:
        array = array.copy()
        array.setflags(write=False)
    return array
