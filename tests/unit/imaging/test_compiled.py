"""How kernels are compiled."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

KERNEL = """
import numpy as np
from numba import prange
from isoalign.imaging.compiled import compiled


@compiled
def {name}(values):
    zeros = np.zeros(3)
    for n in prange(len(values)):
        values[n] += zeros[n % 3] + 1
"""


def test_only_the_loops_that_say_so_get_threads_whatever_the_types(tmp_path: Path) -> None:
    for name in ("first", "second"):
        file = tmp_path / f"{name}_kernel.py"
        file.write_text(KERNEL.format(name=name), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        kernel = getattr(module, name)
        for kind in (np.float64, np.float32):
            values = np.zeros(5, kind)
            kernel(values)
            assert (values == 1).all()
        in_threads = [made.metadata["parfor_diagnostics"].count_parfors() for made in kernel.overloads.values()]
        assert in_threads == [1, 1]
