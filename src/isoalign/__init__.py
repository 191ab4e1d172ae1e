"""isoalign: couch geometry and positioning controller for image-guided radiotherapy.

The public names are loaded on first use, so that ``import isoalign`` stays quick:

``open_room``
    Blocking façade of a treatment room for scripts and notebooks.
``read_beam_images``
    Field images of a quality check, from a folder or an archive.

isoalign is the software channel only. The hard-wired safety chain is the integrator's, and this is not a
cleared medical device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "open_room", "read_beam_images"]

if TYPE_CHECKING:
    from isoalign.room.facade import open_room, read_beam_images


def __getattr__(name: str) -> Any:
    if name in {"open_room", "read_beam_images"}:
        from isoalign.room import facade

        return getattr(facade, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
