"""Firmware simulators as processes of their own, and the virtual patient that their imagers see.

``python -m isoalign.simulators couch|imager|pendant|gantry|link`` starts one simulator. The virtual patient
(:mod:`~isoalign.simulators.scene`, :mod:`~isoalign.simulators.panel_image`, :mod:`~isoalign.simulators.raycast`,
:mod:`~isoalign.simulators.phantom`) has its own exact ray caster, so that no image shows what the matcher assumes.

``warmup``
    Compile the kernels of the virtual patient, or load them from the on-disk cache.
"""

from __future__ import annotations

__all__ = ["warmup"]


def warmup() -> None:
    """Compile every kernel of the imager simulators, or load it from the on-disk cache."""
    from isoalign.simulators.virtual_patient import warmup as compile_kernels

    compile_kernels()
