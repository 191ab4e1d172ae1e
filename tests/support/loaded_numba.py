"""Importing this loads what numba otherwise loads when the first compiled kernel is called; no thread is started."""

from numba.core.registry import cpu_target

cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
