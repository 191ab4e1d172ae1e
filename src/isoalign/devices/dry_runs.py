"""The dry runs of one device: which motions may be made although nobody in the room watches them."""

from __future__ import annotations

from typing import Protocol

from isoalign.devices.config import REMOTE
from isoalign.devices.controller import DeviceController
from isoalign.devices.errors import DryRunMissing
from isoalign.interlocks import DryRun, DryRunBook
from isoalign.interlocks.dry_run import Path


class Rehearsable(Protocol):
    """A prepared motion, of the couch or of the gantry."""

    @property
    def path(self) -> Path:
        """Where everything rests on its way."""

    @property
    def patient_epoch(self) -> int:
        """Counts the patients who were placed, when it was prepared."""

    @property
    def is_dry_run(self) -> bool:
        """Whether it is made and watched in the room."""


class DryRuns:
    """Remembers the dry runs that have arrived, and asks for them where nobody watches.

    Parameters
    ----------
    controller : DeviceController
    """

    def __init__(self, controller: DeviceController) -> None:
        self._controller = controller
        self._book = DryRunBook(expiry_s=controller.config.dry_run_expiry_s)

    def require(self, prepared: Rehearsable) -> None:
        """Raise DryRunMissing when nobody in the room watches, and no dry run allows this path."""
        controller = self._controller
        if controller.config.observation != REMOTE or prepared.is_dry_run:
            return
        objection = self._book.objection(
            prepared.path, patient_epoch=controller.patient_epoch, now_s=controller.clock.monotonic_s()
        )
        if objection:
            raise DryRunMissing(f"motion from outside the room refused: {objection}")

    def arrived(self, prepared: Rehearsable) -> None:
        """A motion has arrived; a dry run is remembered, unless another patient was placed meanwhile."""
        if prepared.is_dry_run:
            now_s = self._controller.clock.monotonic_s()
            self._book.add(DryRun(prepared.path, prepared.patient_epoch, now_s))
