"""The session's ports joined to the device daemon and to the matcher."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from isoalign.calibration import (
    UNCORRECTED,
    DetectorCorrection,
    OutsideCalibratedRange,
    TableTopCorrection,
    even_counts,
)
from isoalign.devices.client import DeviceClient
from isoalign.devices.errors import StaleState
from isoalign.devices.ipc import JsonObject
from isoalign.devices.status import DIRECT, MotionPlan, RawImage
from isoalign.errors import IsoalignError
from isoalign.geometry import DicomPatient, Fixed, Pose, ProjectionGeometry, TableTopPosition
from isoalign.geometry.clearance import PATIENT
from isoalign.positioning import MoveProgress
from isoalign.records import Acquisition, CouchMotion, LeastClearance, Match, Radiograph, Technique
from isoalign.room.clearance import NOT_MODELLED
from isoalign.room.errors import PatientNotChecked
from isoalign.room.settings import RoomSettings

if TYPE_CHECKING:
    from isoalign.registration import PreparedVolume

STALE_AFTER_S = 0.15
"""An older read-back is not a position any more."""

ProgressCallback = Callable[[str, float | None], None]
Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]


class DaemonCouch:
    """The couch behind the device daemon.

    Parameters
    ----------
    client : DeviceClient
    approach : str
        "direct" or "unidirectional".
    correction : TableTopCorrection
        Positions of this port are those of the table top; those of the couch are on the other side of it.

    Attributes
    ----------
    motions : list of CouchMotion
        Every motion that was asked for, with what was found about its way.
    """

    def __init__(
        self, client: DeviceClient, approach: str = DIRECT, correction: TableTopCorrection = UNCORRECTED
    ) -> None:
        self._client = client
        self._approach = approach
        self._correction = correction
        self._patient: list[JsonObject] | None = None
        self._is_placed = True
        self.motions: list[CouchMotion] = []

    async def carry(self, patient: list[JsonObject]) -> None:
        """From now on this patient lies on the table top; a motion that does not clear them is refused.

        Parameters
        ----------
        patient : list of JSON objects
            See :meth:`isoalign.room.clearance.PatientSurface.parts`.

        Raises
        ------
        RemoteError
            When the daemon does not take them; it is asked again before the next motion.
        """
        self._patient, self._is_placed = patient, False
        await self._place()

    async def _place(self) -> None:
        if not self._is_placed and self._patient is not None:
            await self._client.place_patient(self._patient)
            self._is_placed = True

    async def position(self) -> TableTopPosition:
        """See :class:`isoalign.positioning.CouchPort`; where the couch was not calibrated its position is not known."""
        status = await self._client.status()
        age_s = status.couch_age_s
        if status.couch_position is None or age_s is None or age_s > STALE_AFTER_S:
            raise StaleState(
                "the couch does not report its position"
                if age_s is None
                else f"the couch's last position is {age_s * 1000:.0f} ms old"
            )
        return self._correction.true_position(status.couch_position, load_kg=status.payload_kg)

    async def move(self, target: TableTopPosition) -> AsyncIterator[MoveProgress]:
        """See :class:`isoalign.positioning.CouchPort`."""
        load_kg = await self._load_kg()
        plan = await self._prepare(target, load_kg)
        async with aclosing(self._client.execute(plan)) as progress:
            async for step in progress:
                position = shown_position(self._correction, step.position, load_kg)
                yield MoveProgress(position, step.elapsed_s, step.expected_s, step.fraction)

    async def command_for(self, target: TableTopPosition) -> TableTopPosition:
        """What the couch has to be told for its table top to get there; raises OutsideCalibratedRange."""
        return self._correction.command(target, load_kg=await self._load_kg())

    async def _load_kg(self) -> float | None:
        """What the couch says it carries; asked only where it changes something."""
        return None if self._correction is UNCORRECTED else (await self._client.status()).payload_kg

    async def _prepare(self, target: TableTopPosition, load_kg: float | None) -> MotionPlan:
        """A plan whose way is clear, as far as it can be checked; refusals are kept with the motions."""
        try:
            await self._place()
            command = self._correction.command(target, load_kg=load_kg)
            plan = await self._client.prepare(command, self._approach)
            self._require_patient_checked(plan)
        except IsoalignError as error:
            self.motions.append(CouchMotion(target, self._approach, refusal=error.message))
            raise
        self.motions.append(self._motion_of(plan, target, load_kg))
        return plan

    def _require_patient_checked(self, plan: MotionPlan) -> None:
        if self._patient is None:
            return
        if plan.clearance is None:
            raise PatientNotChecked("the device daemon has no model of the room: the clearance was not checked")
        if any(PATIENT in pair for pair in plan.clearance.unchecked):
            raise PatientNotChecked("the patient is not on the table top of the device daemon's model")

    def _motion_of(self, plan: MotionPlan, target: TableTopPosition, load_kg: float | None) -> CouchMotion:
        found, start = plan.clearance, shown_position(self._correction, plan.start, load_kg)
        if found is None:
            return CouchMotion(target, plan.approach, start)
        left_out = dict.fromkeys((*(first for first, _ in found.unchecked), *NOT_MODELLED))
        nearest = shown_position(self._correction, found.position, load_kg)
        least = LeastClearance(found.least_mm, found.required_mm, found.parts, nearest)
        return CouchMotion(target, plan.approach, start, least, tuple(left_out))

    async def hold(self, reason: str) -> None:
        """See :class:`isoalign.positioning.CouchPort`."""
        await self._client.hold(reason)


def shown_position(correction: TableTopCorrection, told: TableTopPosition, load_kg: float | None) -> TableTopPosition:
    """Where the table top is, for people who watch; as the couch tells it where it was not calibrated."""
    try:
        return correction.true_position(told, load_kg=load_kg)
    except OutsideCalibratedRange:
        return told


class DaemonImagers:
    """The kV imagers behind the device daemon; adds the geometry that the room believes them to have.

    Parameters
    ----------
    client : DeviceClient
    settings : RoomSettings
    calibrated : mapping of str to ProjectionGeometry
        In place of what the configuration states.
    correction : TableTopCorrection
        An image says where the table top was, not what the couch told.
    detectors : mapping of str to DetectorCorrection
        For frames of an imager in the order in which they are read. They remember what earlier frames left behind, so
        a room has one set for all of its sessions.
    """

    def __init__(
        self,
        client: DeviceClient,
        settings: RoomSettings,
        calibrated: Mapping[str, ProjectionGeometry] | None = None,
        correction: TableTopCorrection = UNCORRECTED,
        detectors: Mapping[str, DetectorCorrection] | None = None,
    ) -> None:
        self._client = client
        self._correction = correction
        self._detectors = dict(detectors or {})
        self._geometries = {imager.name: imager.geometry() for imager in settings.imager} | dict(calibrated or {})
        # in a room without a couch the table top is taken to stand at the set-up position
        self._fallback = settings.session_settings().default_setup

    async def acquire(self, technique: Technique) -> Sequence[Radiograph]:
        """See :class:`isoalign.positioning.ImagerPort`."""
        load_kg = None if self._correction is UNCORRECTED else (await self._client.status()).payload_kg
        images = await self._client.expose(tuple(self._geometries), technique)
        # seconds of filters: the loop, whose heartbeat keeps the couch from being stopped, goes on meanwhile
        pixels = [await asyncio.to_thread(self._even, image) for image in images]
        return tuple(
            Radiograph(
                even,
                self._geometries[image.imager],
                Acquisition(
                    image.imager,
                    image.exposure_id,
                    image.technique,
                    image.acquired_at,
                    self._fallback
                    if image.table_top is None
                    else self._correction.true_position(image.table_top, load_kg=load_kg),
                ),
            )
            for image, even in zip(images, pixels, strict=True)
        )

    def _even(self, image: RawImage) -> npt.NDArray[np.uint16]:
        """The pixels of an even panel; as they came where there is no record."""
        correction = self._detectors.get(image.imager)
        if correction is None:
            return image.pixels
        read_s = (image.read_at or image.acquired_at).timestamp()
        if correction.latest_s is not None and read_s < correction.latest_s:
            correction.forget()  # somebody has set the clock
        return even_counts(correction(image.pixels, read_s))


async def in_worker_thread(work: Callable[[Progress, Cancelled], Match], on_progress: ProgressCallback) -> Match:
    """Run a match beside the event loop; it is told when whoever waits for it is cancelled."""
    loop = asyncio.get_running_loop()
    cancelled = threading.Event()

    def progress(fraction: float, text: str) -> None:
        loop.call_soon_threadsafe(on_progress, text, fraction)

    try:
        return await asyncio.to_thread(work, progress, cancelled.is_set)
    except asyncio.CancelledError:
        cancelled.set()
        raise


class VolumeMatcher:
    """Matches radiographs to the planning CT, in a worker thread whose kernels leave the interpreter free."""

    def __init__(
        self, prepared: PreparedVolume, planned: Pose[Fixed, DicomPatient], on_progress: ProgressCallback
    ) -> None:
        self._prepared = prepared
        self._planned = planned
        self._on_progress = on_progress

    async def match(self, radiographs: Sequence[Radiograph], planned: Pose[Fixed, DicomPatient] | None = None) -> Match:
        """See :class:`isoalign.positioning.MatcherPort`; ``planned`` for once instead of the usual one."""
        from isoalign.registration import match_2d3d

        def work(progress: Progress, cancelled: Cancelled) -> Match:
            where = planned or self._planned
            return match_2d3d(self._prepared, radiographs, where, progress=progress, cancelled=cancelled)

        return await in_worker_thread(work, self._on_progress)
