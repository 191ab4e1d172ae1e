"""The one way in which this package compiles kernels: numba, cached on disk, parallel, without the interpreter lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

# Read by the OpenMP runtime when it is loaded, so before numba. Threads that have nothing to do must sleep, not spin:
# they share the cores with the device daemon.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numba
from numba.core.cpu_options import ParallelOptions

Function = TypeVar("Function", bound=Callable[..., object])

kernel_lock = threading.Lock()
"""Held around parallel kernels: not every threading layer of numba allows two at a time in one process."""


LOOPS_ONLY: Any = ParallelOptions(  # type: ignore[no-untyped-call]
    {
        "prange": True,
        "comprehension": False,
        "fusion": False,
        "inplace_binop": False,
        "numpy": False,
        "reduction": False,
        "setitem": False,
        "stencil": False,
    }
)
"""What is spread over cores: the loops that say so. Otherwise every array that is filled with zeros gets threads of its
own, which take half a second to compile and longer to wake than the zeros take to write. A dictionary in this place is
emptied by the first types that a kernel is compiled for."""


def compiled(function: Function) -> Function:
    """Compile ``function`` on first call, for several cores; the machine code is kept on disk between processes."""
    return cast("Function", numba.njit(cache=True, parallel=LOOPS_ONLY, nogil=True, fastmath=True)(function))


def compiled_inline(function: Function) -> Function:
    """Compile a small helper that kernels of the same module call."""
    return cast("Function", numba.njit(cache=True, nogil=True, fastmath=True, inline="always")(function))


def compiled_part(function: Function) -> Function:
    """Compile a helper for one core that kernels call and that is too large to be repeated in each."""
    return cast("Function", numba.njit(cache=True, nogil=True, fastmath=True)(function))
