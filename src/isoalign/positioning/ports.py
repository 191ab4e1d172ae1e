"""What a positioning session needs of others. The room joins these ports to devices, DICOM and storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from isoalign.geometry import TableTopPosition
from isoalign.records import InRoomScan, Match, Radiograph, Technique


@dataclass(frozen=True, slots=True)
class MoveProgress:
    """Where the couch is on its way."""

    position: TableTopPosition
    elapsed_s: float
    expected_s: float
    fraction: float


class CouchPort(Protocol):
    """A six-degree-of-freedom couch."""

    async def position(self) -> TableTopPosition:
        """The read-back position, IEC 61217; raises DeviceError when it is stale or the channels disagree."""
        ...

    def move(self, target: TableTopPosition) -> AsyncIterator[MoveProgress]:
        """Go to ``target`` (IEC 61217); ends on arrival, raises DeviceError when the move ends in any other way."""
        ...

    async def hold(self, reason: str) -> None:
        """Stop all motion; asks nothing, is always legal."""
        ...


class ImagerPort(Protocol):
    """The room's kV imagers."""

    async def acquire(self, technique: Technique) -> Sequence[Radiograph]:
        """One image from every imager, taken with the couch at rest."""
        ...


class MatcherPort(Protocol):
    """Finds the patient in images; runs outside the event loop."""

    async def match(self, radiographs: Sequence[Radiograph]) -> Match:
        """The match of one set of radiographs."""
        ...


class InRoomCtPort(Protocol):
    """An in-room CT that sends its images while its imaging field is open."""

    async def receive(self) -> InRoomScan:
        """Open the field, wait until the scanner has sent a series and had it confirmed, and close the field.

        The field is closed however this ends, also when it is cancelled.
        """
        ...

    async def match(self, scan: InRoomScan, table_top: TableTopPosition) -> Match:
        """The 3D/3D match of a series that was taken with the table top there."""
        ...
