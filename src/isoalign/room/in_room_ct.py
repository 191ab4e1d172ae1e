"""The in-room CT in a positioning session: its field, its volume, the 3D/3D match and the kV match to it.

The images come in a frame of reference of the scanner's making. Where that lay in the room is known: the couch stood
still meanwhile, and ``dicom.in_room_ct.origin_mm`` says where the scanner has its origin.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isoalign.dicom.node import InRoomCtReceiver, Notice, NoticeKind
from isoalign.dicom.objects import Dataset, VerificationFrame, read_study, read_volume
from isoalign.errors import IsoalignError, MatchError
from isoalign.geometry import DicomPatient, Fixed, Pose, TableTopPosition
from isoalign.records import InRoomScan, Match, Radiograph, Study, Verdict, Volume
from isoalign.registration.errors import MatchCancelled, WrongNumberOfViews
from isoalign.room.adapters import VolumeMatcher
from isoalign.room.errors import InRoomCtSilent
from isoalign.room.patient_data import PatientData
from isoalign.room.session_data import AcquiredScan, PatientLoad

if TYPE_CHECKING:
    from isoalign.registration import PreparedScan

ProgressCallback = Callable[[str, float | None], None]

FIELD_OPEN = "field open, waiting for the in-room CT"
REPORT_WAIT_S = 30.0
"""How long the field stays open after the confirmation, for the scanner to take its report."""


@dataclass(frozen=True, slots=True)
class _Received:
    volume: Volume
    files: tuple[Path, ...]
    study: Study


class InRoomCt:
    """Receives and matches CTs of the in-room scanner; see :class:`isoalign.positioning.InRoomCtPort`.

    Parameters
    ----------
    data : PatientData
    load : PatientLoad
        The patient; only images that agree with the plan are accepted.
    planned : Pose[Fixed, DicomPatient]
        Where the planning frame should be.
    setup : TableTopPosition
        Where the table top was before anything was imaged.
    on_progress : callable
    """

    def __init__(
        self,
        data: PatientData,
        load: PatientLoad,
        planned: Pose[Fixed, DicomPatient],
        setup: TableTopPosition,
        on_progress: ProgressCallback,
    ) -> None:
        self._data = data
        self._load = load
        self._planned = planned
        self._setup = setup
        self._on_progress = on_progress
        self._prepared: PreparedScan | None = None
        self._received: dict[str, _Received] = {}
        self.scans: dict[str, AcquiredScan] = {}

    async def receive(self) -> InRoomScan:
        """See :class:`isoalign.positioning.InRoomCtPort`.

        Raises
        ------
        SettingsInvalid, ReceiverNotStarted, InRoomCtSilent, InputDataError
        """
        loop = asyncio.get_running_loop()
        committed: asyncio.Future[tuple[str, ...]] = loop.create_future()

        def settle(uids: tuple[str, ...], error: IsoalignError | None) -> None:
            if committed.done():
                return
            if error is None:
                committed.set_result(uids)
            else:
                committed.set_exception(error)

        def on_committed(uids: tuple[str, ...]) -> None:
            # at once: whatever becomes of this field, the archive gets what the scanner was told to be safe
            failure = None
            try:
                self._data.queue_received([field.store.path(uid) for uid in uids])
            except IsoalignError as error:
                failure = error
            loop.call_soon_threadsafe(settle, uids, failure)

        def say(text: str) -> None:
            loop.call_soon_threadsafe(self._on_progress, text, None)

        tally = _Tally(say)
        field = self._data.in_room_ct(self._load.plan, on_committed, tally.note)
        opening = asyncio.ensure_future(asyncio.to_thread(field.__enter__))
        try:
            await asyncio.shield(opening)
            self._on_progress(FIELD_OPEN, None)
            try:
                uids = await asyncio.wait_for(committed, self._data.in_room_ct_settings.waiting_s)
            except TimeoutError as error:
                raise InRoomCtSilent(
                    f"the in-room CT had no images confirmed within {self._data.in_room_ct_settings.waiting_s:g} s; "
                    f"{tally.stored} arrived"
                ) from error
            await asyncio.to_thread(field.wait_reported, REPORT_WAIT_S)
        finally:
            await asyncio.shield(_shut(field, opening))
        self._on_progress(f"{len(uids)} images confirmed", None)
        paths = [field.store.path(uid) for uid in uids]
        received = await asyncio.to_thread(_read, paths, field.store.read, uids)
        scan = InRoomScan(received.volume.frame_of_reference_uid, received.volume.series_instance_uid, len(uids))
        self._received[scan.series_instance_uid] = received
        return scan

    async def match(self, scan: InRoomScan, table_top: TableTopPosition) -> Match:
        """See :class:`isoalign.positioning.InRoomCtPort`.

        A scan that cannot be matched is a failed match and no error: it was taken, and is saved like any other.

        Raises
        ------
        MatchCancelled
        """
        received = self._received[scan.series_instance_uid]
        frame = VerificationFrame(
            received.volume.patient_position,
            table_top,
            scan.frame_of_reference_uid,
            axes_turn_with_table=False,
            origin_in_room_mm=self._data.in_room_ct_settings.origin_mm,
        )
        acquired = AcquiredScan(scan, received.volume, received.files, received.study, frame, self._setup, table_top)
        self.scans[scan.series_instance_uid] = acquired
        loop = asyncio.get_running_loop()
        cancelled = threading.Event()

        def progress(fraction: float, text: str) -> None:
            loop.call_soon_threadsafe(self._on_progress, text, fraction)

        try:
            match, day_from_planning = await asyncio.to_thread(self._match, acquired, progress, cancelled.is_set)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        except MatchCancelled:
            raise
        except MatchError as error:
            return self._failed(error)
        if match.verdict is Verdict.ACCEPTED:
            self.scans[scan.series_instance_uid] = replace(acquired, day_from_planning=day_from_planning)
        return match

    def _failed(self, error: MatchError) -> Match:
        none = np.zeros(3)
        reasons = (error.message,)
        return Match("3D/3D", self._planned, self._planned, Verdict.FAILED, reasons, (), 0, False, 0.0, none, none)

    def _match(
        self, scan: AcquiredScan, progress: Callable[[float, str], None], cancelled: Callable[[], bool]
    ) -> tuple[Match, Pose[DicomPatient, DicomPatient]]:
        from isoalign.registration import match_3d3d, prepare_scan

        progress(0.0, "preparing the planning CT for the 3D/3D match")
        if self._prepared is None:
            self._prepared = prepare_scan(self._load.volume)
        fixed_from_day = scan.frame.fixed_from_verification(scan.table_top)
        start = fixed_from_day.inverse() @ self._planned  # a patient who lies as planned
        found = match_3d3d(self._prepared, scan.volume, start=start, progress=progress, cancelled=cancelled)
        return found.in_room(fixed_from_day, self._planned), found.verification_from_planning

    def kv_matcher(self, scan: InRoomScan, imagers: Sequence[str]) -> ScanMatcher:
        """Matches radiographs to a scan whose own match was accepted."""
        return ScanMatcher(self.scans[scan.series_instance_uid], self._planned, imagers, self._on_progress)


class ScanMatcher:
    """Matches radiographs to an in-room CT, and by the 3D/3D match of that to the plan.

    The search starts where the couch has carried the scan, so that it finds how the patient has moved since then.
    Source: section 2.2.4.1 of the conformance statement (one image from each kV system).
    """

    def __init__(
        self,
        scan: AcquiredScan,
        planned: Pose[Fixed, DicomPatient],
        imagers: Sequence[str],
        on_progress: ProgressCallback,
    ) -> None:
        assert scan.day_from_planning is not None  # offered only after the scan's own match was accepted
        self._scan = scan
        self._day_from_planning = scan.day_from_planning
        self._planned = planned
        self._imagers = frozenset(imagers)
        self._on_progress = on_progress
        self._matcher: VolumeMatcher | None = None

    async def match(self, radiographs: Sequence[Radiograph]) -> Match:
        """See :class:`isoalign.positioning.MatcherPort`.

        Raises
        ------
        WrongNumberOfViews
            Unless there is one image of each kV system.
        MatchError
        """
        seen = sorted(one.acquisition.imager for one in radiographs)
        if seen != sorted(self._imagers):
            raise WrongNumberOfViews(
                f"a 2D/3D match to an in-room CT needs one image of each kV system, "
                f"{' and '.join(sorted(self._imagers))}, not of {', '.join(seen) or 'none'}"
            )
        expected = self._scan.frame.fixed_from_verification(radiographs[0].acquisition.table_top)
        if self._matcher is None:
            self._on_progress("preparing the in-room CT for matching", None)
            self._matcher = await asyncio.to_thread(self._prepare, expected)
        found = await self._matcher.match(radiographs, expected)
        return replace(found, planned=self._planned, found=found.found @ self._day_from_planning)

    def _prepare(self, expected: Pose[Fixed, DicomPatient]) -> VolumeMatcher:
        from isoalign.registration import prepare

        return VolumeMatcher(prepare(self._scan.volume), expected, self._on_progress)


async def _shut(field: InRoomCtReceiver, opening: asyncio.Future[InRoomCtReceiver]) -> None:
    """Close a field, also one that is still being opened: no cancellation leaves it open."""
    await asyncio.wait([opening])
    await asyncio.to_thread(field.__exit__, None, None, None)


class _Tally:
    """Counts what arrives, and tells what a person should know."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.stored = 0

    def note(self, notice: Notice) -> None:
        """Called from other threads."""
        if notice.kind in {NoticeKind.STORED, NoticeKind.ODD}:
            self.stored += 1
            self._say(f"{self.stored} images received")
        else:
            self._say(f"in-room CT: {notice.kind.value}: {notice.message}")


def _read(paths: Sequence[Path], read: Callable[[str], Dataset], uids: Sequence[str]) -> _Received:
    images = {uid: read(uid) for uid in uids}
    volume = read_volume(images.values(), expected_uids=uids)
    by_uid = dict(zip(uids, paths, strict=True))
    return _Received(volume, tuple(by_uid[uid] for uid in volume.sop_instance_uids), read_study(images[uids[0]]))
