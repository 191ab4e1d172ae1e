"""``isoalign warmup``: compile the numerical kernels once, so that no first image waits for it."""

from __future__ import annotations

from importlib import import_module

from isoalign.cli.progress import StepProgress

KERNEL_ROOMS = {
    "isoalign.imaging": "projection kernels",
    "isoalign.registration": "registration kernels",
    "isoalign.simulators": "simulated patient",
}
"""Rooms with compiled kernels, in the order of compiling; each offers ``warmup()``."""


def warmup() -> int:
    """Compile the numerical kernels into their cache on disk.

    The first call takes up to a minute; later ones find everything in the cache and take a second or two.
    """
    with StepProgress() as progress:
        for room, what in KERNEL_ROOMS.items():
            progress("begin", f"Compiling the {what}", None)
            import_module(room).warmup()
            progress("done", "", None)
    return 0
