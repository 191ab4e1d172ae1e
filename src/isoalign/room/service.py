"""The room process: one positioning session at a time, behind a Unix socket.

Run as ``python -m isoalign.room.service --config FILE --daemon SOCKET --socket SOCKET``. It loads the patient over
DICOM, drives the session, matches, and sends the results back; the device daemon beside it moves the machines.
Clients call it with :class:`isoalign.room.client.RoomClient`. A client that goes away during a move holds the couch.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import gc
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from isoalign import __version__
from isoalign.clock import Clock, SystemClock
from isoalign.devices.client import DeviceClient
from isoalign.devices.ipc import IpcCall, IpcServer, Peer, Reply
from isoalign.devices.status import DIRECT
from isoalign.errors import DicomNetworkError, IsoalignError, error_to_wire
from isoalign.geometry import DicomPatient, Fixed, Pose, Representation, TableTopPosition
from isoalign.positioning import (
    MOVING,
    Event,
    IllegalAct,
    PositioningSession,
    State,
    next_state,
    planned_pose,
    setup_position,
)
from isoalign.records import ExportedObject, Match, Outcome, SessionRecord, TimelineEntry
from isoalign.room.adapters import DaemonCouch, DaemonImagers
from isoalign.room.calibration import UNCALIBRATED, RoomCalibration, load_calibration
from isoalign.room.errors import SettingsInvalid
from isoalign.room.in_room_ct import InRoomCt
from isoalign.room.kv_matchers import KvMatcher, PatientToMatch
from isoalign.room.logs import configure_logging, pseudonym
from isoalign.room.patient_data import PatientData, QueuedResult
from isoalign.room.processes import announce_saving
from isoalign.room.record_codec import pack
from isoalign.room.results import SessionResults
from isoalign.room.session_data import PatientLoad
from isoalign.room.settings import RoomSettings, load_settings

_log = structlog.get_logger("isoalign.room")

LOOP_REALTIME_PRIORITY = 3

Progress = Callable[[str, str, float | None], None]
Act = Callable[[IpcCall, Progress], Awaitable[Any]]


class RoomService:
    """What the room process does when asked.

    Parameters
    ----------
    settings : RoomSettings
    devices : DeviceClient
        Connected to the device daemon.
    data : PatientData
        The DICOM side.
    calibration : RoomCalibration
    """

    def __init__(
        self,
        settings: RoomSettings,
        devices: DeviceClient,
        data: PatientData,
        clock: Clock,
        calibration: RoomCalibration = UNCALIBRATED,
    ) -> None:
        self._settings = settings
        self._calibration = calibration
        self._devices = devices
        self._data = data
        self._clock = clock
        self._act = asyncio.Lock()
        self._progress: Progress = _no_progress
        self._session: PositioningSession | None = None
        self._couch: DaemonCouch | None = None
        self._load: PatientLoad | None = None
        self._session_id = ""
        self._started_at: datetime = clock.utc()
        self._last_error: IsoalignError | None = None
        self._in_room_ct: InRoomCt | None = None
        self._matcher: KvMatcher | None = None
        self._results: SessionResults | None = None
        self._saved_passes = 0
        self._saving = asyncio.Lock()
        self._savings: set[asyncio.Task[None]] = set()
        self._ending: tuple[Outcome, str] | None = None
        self._queued: tuple[QueuedResult, ...] = ()
        self._exported: tuple[ExportedObject, ...] = ()

    def handlers(self) -> dict[str, Any]:
        """The methods that clients may call."""
        acts: dict[str, Act] = {
            "load": self._do_load,
            "move_to_setup": self._do_move_to_setup,
            "image_and_match": self._do_image_and_match,
            "scan_and_match": self._do_scan_and_match,
            "approve": self._do_approve,
            "move": self._do_move,
            "correct_again": self._do_correct_again,
            "export": self._do_export,
            "close": self._do_close,
        }
        streams = {name: self._streamed(name, act) for name, act in acts.items()}
        return {**streams, "status": self._status, "hold": self._hold, "clear": self._clear, "record": self._record}

    def client_gone(self, _: Peer) -> None:
        """A client that goes away while the couch moves is taken as a hold."""
        if self._session is not None and self._session.state in MOVING:
            task = asyncio.get_running_loop().create_task(self._session.hold("the client of the room went away"))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _do_load(self, call: IpcCall, progress: Progress) -> dict[str, Any]:
        plan_uid = call.require("plan_uid", str)
        structure_set_uid = call.params.get("structure_set_uid")
        beam_number = call.params.get("beam_number")
        await self._queue_unsaved()
        self._calibration.require_valid(self._clock.utc())
        self._session, self._couch, self._load, self._last_error = None, None, None, None
        self._in_room_ct, self._results, self._saved_passes, self._ending = None, None, 0, None
        self._queued, self._exported = (), ()
        self._session_id = uuid.uuid4().hex[:12]
        self._started_at = self._clock.utc()
        began = self._clock.monotonic_s()
        load = await asyncio.to_thread(
            self._data.load, plan_uid, structure_set_uid, lambda text, fraction: progress("load", text, fraction)
        )
        # thousands of DICOM elements have come and gone: collect them now, not while the couch moves, because a
        # pause of a quarter of a second would (rightly) stop it
        await asyncio.to_thread(_settle_memory)
        beam = load.plan.beam(beam_number)
        planned = planned_pose(load.plan.patient_position, beam)
        approach = DIRECT if self._settings.couch is None else self._settings.couch.approach
        known = self._calibration
        couch = DaemonCouch(self._devices, approach, known.couch)
        await _place(load, couch, planned, setup_position(beam, self._settings.session_settings().default_setup))
        patient = PatientToMatch(load.prepared, load.volume, load.structure_set, planned)
        matcher = KvMatcher(patient, self._settings.match, lambda text, fraction: self._report("match", text, fraction))
        await matcher.use()
        session = PositioningSession(
            self._settings.session_settings(),
            couch,
            DaemonImagers(self._devices, self._settings, known.imagers, known.couch, known.detectors),
            matcher,
            self._clock,
            on_event=self._report,
        )
        session.load(load.plan, beam)
        session.started_s = began
        session.timeline.extend(_load_timeline(load))
        await self._devices.clear("session start", "room")
        self._session, self._couch, self._load = session, couch, load
        self._results, self._matcher = self._data.results(load, beam), matcher
        _log.info("patient loaded", session=self._session_id, patient=pseudonym(load.plan.patient.patient_id))
        return {
            "session_id": self._session_id,
            "plan_label": load.plan.label,
            "beam": beam.name,
            "slices": int(load.volume.hounsfield.shape[0]),
            "reference_images": len(load.reference_images),
            "warnings": list(load.warnings),
        }

    async def _do_move_to_setup(self, _: IpcCall, __: Progress) -> dict[str, Any]:
        session = self._need_session()
        target = await session.move_to_setup()
        self._in_room_ct = await self._in_room_ct_at(session)
        return {"target": list(target.values), **self._last_clearance()}

    async def _do_image_and_match(self, call: IpcCall, _: Progress) -> dict[str, Any]:
        session = self._need_session()
        next_state(session.state, Event.IMAGE)
        assert self._matcher is not None  # made with the session
        await self._matcher.use(call.params.get("match"))  # before anybody is exposed
        return await self._answer(session, await session.image_and_match())

    async def _do_scan_and_match(self, _: IpcCall, __: Progress) -> dict[str, Any]:
        session, scanner = self._need_session(), self._in_room_ct
        if scanner is None:
            next_state(session.state, Event.OPEN_FIELD)
            raise SettingsInvalid("the configuration has no [dicom.in_room_ct]: the room has no in-room CT")
        try:
            match = await session.scan_and_match(scanner)
        finally:
            await asyncio.to_thread(_settle_memory)
        scan = session.passes[-1].scan
        assert scan is not None  # of this very pass
        # from here on radiographs are compared with the patient of the day
        assert self._matcher is not None  # made with the session
        self._matcher.compare_with_day(scanner.kv_matcher(scan, [imager.name for imager in self._settings.imager]))
        return {**await self._answer(session, match), "images": scan.slices}

    async def _in_room_ct_at(self, session: PositioningSession) -> InRoomCt | None:
        """The room's in-room CT for a session whose couch has come to the set-up position; None without a scanner."""
        if self._settings.dicom is None or self._settings.dicom.in_room_ct is None:
            return None
        assert self._load is not None
        assert session.beam is not None
        planned = planned_pose(self._load.plan.patient_position, session.beam)
        setup = await session.couch.position()
        return InRoomCt(self._data, self._load, planned, setup, lambda text, f: self._report("in-room CT", text, f))

    async def _answer(self, session: PositioningSession, match: Match) -> dict[str, Any]:
        """What a pass has found, for the client; the daemon is told where the patient lies."""
        assert self._load is not None
        assert self._couch is not None
        await _place(self._load, self._couch, match.found, session.passes[-1].table_top)
        residual = match.residual
        answer: dict[str, Any] = {
            "match": match.kind,
            "verdict": match.verdict.value,
            "distance_mm": residual.distance_mm,
            "angle_deg": residual.angle_deg,
            "translation_mm": residual.translation_mm.tolist(),
            "pitch_deg": residual.pitch_deg,
            "roll_deg": residual.roll_deg,
            "yaw_deg": residual.patient_support_angle_deg,
            "not_available": list(match.not_available),
            "within_tolerance": session.within_tolerance,
        }
        correction = session.correction
        if session.state is State.MATCHED and correction is not None:
            answer["correction"] = {
                "id": correction.correction_id,
                "start_iec": list(correction.start.values),
                "target_iec": list(correction.target.values),
                "target_isocentric": list(
                    correction.target.in_representation(Representation.ISOCENTRIC_STANDARD).values
                ),
                "limited_axes": list(correction.limited.limited_axes),
                "not_corrected": list(correction.not_corrected),
            }
        return answer

    async def _do_approve(self, call: IpcCall, _: Progress) -> dict[str, Any]:
        approval = self._need_session().approve(call.require("correction_id", str), call.require("user", str))
        return {"approved_at": approval.approved_at.isoformat()}

    async def _do_move(self, _: IpcCall, __: Progress) -> dict[str, Any]:
        arrived = await self._need_session().move_by_correction()
        return {"arrived": list(arrived.values), **self._last_clearance()}

    def _last_clearance(self) -> dict[str, Any]:
        """Of the motion that has just ended."""
        assert self._couch is not None
        last = self._couch.motions[-1]
        return {"clearance": last.clearance_in_words, "not_checked": list(last.not_checked)}

    async def _do_correct_again(self, _: IpcCall, __: Progress) -> dict[str, Any]:
        return {"correction_id": self._need_session().correct_again().correction_id}

    async def _do_export(self, _: IpcCall, progress: Progress) -> dict[str, Any]:
        session = self._need_session()
        began = self._clock.monotonic_s()
        await self._queue_unsaved()
        self._exported = await asyncio.to_thread(
            self._data.deliver, self._queued, lambda text, f: progress("export", text, f)
        )
        took = self._clock.monotonic_s() - began
        session.timeline.append(
            TimelineEntry(began - session.started_s, "sent to the archive", f"{len(self._exported)} objects", took)
        )
        return {"objects": [dataclasses.asdict(item) for item in self._exported]}

    async def _queue_unsaved(self) -> None:
        """Write and queue what no earlier saving has: asked again while the archive is away, nothing is made twice.

        A saving that has begun is finished, though whoever waits for it is cancelled; the next one waits for it.
        """
        saving = asyncio.ensure_future(self._save())
        self._savings.add(saving)
        saving.add_done_callback(self._saved)
        await asyncio.shield(saving)

    async def _save(self) -> None:
        async with self._saving:
            session = self._session
            if session is None or self._results is None:
                return
            unsaved = tuple(session.passes[self._saved_passes :])
            if unsaved:
                scans = {} if self._in_room_ct is None else self._in_room_ct.scans
                queued = await asyncio.to_thread(self._data.queue_results, self._results, unsaved, scans)
                self._saved_passes += len(unsaved)
                self._queued += queued

    def _saved(self, saving: asyncio.Task[None]) -> None:
        self._savings.discard(saving)
        if not saving.cancelled() and (error := saving.exception()) is not None:
            # whoever still waits gets it too
            _log.error("results are not saved", session=self._session_id, reason=str(error))

    @property
    def is_unsaved(self) -> bool:
        """Whether there are results that are not on disk, or just being written."""
        return self._saving.locked() or (self._session is not None and len(self._session.passes) > self._saved_passes)

    async def _do_close(self, call: IpcCall, progress: Progress) -> dict[str, Any]:
        """Save and end the session; an archive that is away gets the objects when it is back."""
        session = self._need_session()
        next_state(session.state, Event.CLOSE)
        waiting = ""
        if session.passes:
            try:
                await self._do_export(call, progress)
            except DicomNetworkError as error:
                waiting = error.message
        self._ending = self._outcome(session)
        session.close()
        return {"objects": [dataclasses.asdict(item) for item in self._exported], "waiting": waiting}

    async def close(self) -> None:
        """Leave nothing unsaved; for the end of the process, which nothing may keep from ending."""
        with contextlib.suppress(OSError, IsoalignError):  # said already
            await self._queue_unsaved()

    async def _hold(self, call: IpcCall) -> dict[str, Any]:
        reason = str(call.params.get("reason") or "hold")
        if self._session is None:
            await self._devices.hold(reason)
        else:
            await self._session.hold(reason)
        return {"state": self._state()}

    async def _clear(self, call: IpcCall) -> dict[str, Any]:
        reason, user = call.require("reason", str), call.require("user", str)
        session = self._need_session()
        next_state(session.state, Event.CLEAR)
        await self._queue_unsaved()  # what was found is forgotten; that it was found is not
        session.clear(reason)
        self._saved_passes = 0
        if self._matcher is not None:
            self._matcher.compare_with_day(None)
        await self._devices.clear(reason, user)
        return {"state": self._state()}

    def _status(self, _: IpcCall) -> dict[str, Any]:
        session = self._session
        return {
            "state": self._state(),
            "session_id": self._session_id,
            "approved": session is not None and session.approval is not None,
            "passes": 0 if session is None else len(session.passes),
        }

    def _record(self, _: IpcCall) -> Reply:
        document, arrays = pack(self.session_record())
        return Reply(document, attachments=tuple(arrays))

    def session_record(self) -> SessionRecord:
        """Everything about the session so far."""
        session, load = self._need_session(), self._load
        assert load is not None
        assert session.plan is not None
        assert session.beam is not None
        outcome, message = self._ending or self._outcome(session)
        return SessionRecord(
            session_id=self._session_id,
            started_at=self._started_at,
            duration_s=self._clock.monotonic_s() - session.started_s,
            outcome=outcome,
            message=message,
            patient_label=pseudonym(session.plan.patient.patient_id),
            plan_label=session.plan.label,
            beam_name=session.beam.name,
            machine=self._settings.machine_name,
            patient_position=session.plan.patient_position.value,
            tolerance=session.settings.tolerance,
            passes=tuple(session.passes),
            correction=session.correction,
            approval=session.approval,
            arrived=session.arrived,
            motions=() if self._couch is None else tuple(self._couch.motions),
            exported=self._exported,
            timeline=tuple(session.timeline),
            warnings=tuple(load.warnings),
            reference_images=load.references(session.beam),
            software={"isoalign": __version__, "python": sys.version.split()[0]},
        )

    def _outcome(self, session: PositioningSession) -> tuple[Outcome, str]:
        if session.state is State.VERIFIED:
            match = session.passes[-1].match
            turn_deg, untold = match.largest_told_angle_deg, match.untold_in_words
            figures = f"{match.residual.distance_mm:.2f} mm" + ("" if turn_deg is None else f" and {turn_deg:.2f} deg")
            words = f"; not available from these images: {untold}" if untold else ""
            if session.within_tolerance:
                outcome = Outcome.ALIGNED_IN_PART if untold else Outcome.ALIGNED
                return outcome, f"residual {figures}: within tolerance{words}"
            return Outcome.OUT_OF_TOLERANCE, f"residual {figures}: out of tolerance{words}"
        message = str(self._last_error or f"the session ended while '{session.state.value}'")
        if session.state is State.HELD:
            return Outcome.HELD, message
        refused = self._last_error is not None and self._last_error.code == "match.refused"
        return (Outcome.MATCH_REFUSED if refused else Outcome.FAILED), message

    def _report(self, step: str, text: str, fraction: float | None) -> None:
        self._progress(step, text, fraction)  # whichever act runs now

    def _state(self) -> str:
        return (State.IDLE if self._session is None else self._session.state).value

    def _need_session(self) -> PositioningSession:
        if self._session is None:
            raise IllegalAct("no patient is loaded", hint="Load a plan first.")
        return self._session

    def _streamed(self, name: str, act: Act) -> Callable[[IpcCall], AsyncIterator[Any]]:
        """An act as a stream of progress events with its result as the last one; one act at a time."""

        async def stream(call: IpcCall) -> AsyncIterator[Any]:
            if self._act.locked():
                raise IllegalAct(f"'{name}' cannot begin while another act runs", hint="Wait for it, or hold.")
            async with self._act:
                events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
                loop = asyncio.get_running_loop()

                def progress(step: str, text: str, fraction: float | None) -> None:
                    event = {"step": step, "text": text, "fraction": fraction}
                    loop.call_soon_threadsafe(events.put_nowait, event)

                self._progress = progress
                task = asyncio.ensure_future(act(call, progress))
                task.add_done_callback(lambda _: loop.call_soon(events.put_nowait, None))
                try:
                    while (event := await events.get()) is not None:
                        yield event
                    yield {"result": await task}
                except IsoalignError as error:
                    self._last_error = error
                    _log.warning("act failed", act=name, **_loggable(error))
                    raise
                finally:
                    self._progress = _no_progress
                    task.cancel()
                    await asyncio.wait([task])

        return stream


async def _place(
    load: PatientLoad, couch: DaemonCouch, fixed_from_dicom: Pose[Fixed, DicomPatient], position: TableTopPosition
) -> None:
    """Tell the device daemon where the patient lies on the table top, where the clearance is checked."""
    if load.surface is not None:
        await couch.carry(await asyncio.to_thread(load.surface.parts, fixed_from_dicom, position))


def _settle_memory() -> None:
    gc.collect()
    gc.freeze()


def _no_progress(_step: str, _text: str, _fraction: float | None) -> None:
    return None


def _loggable(error: IsoalignError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message}


def _load_timeline(load: PatientLoad) -> list[TimelineEntry]:
    return [
        TimelineEntry(0.0, "patient loaded over DICOM", f"{len(load.volume.sop_instance_uids)} slices", load.dicom_s),
        TimelineEntry(load.dicom_s, "CT prepared for matching", "", load.prepare_s),
    ]


def _come_first() -> None:
    """Let the event loop, whose heartbeat keeps the couch moving, run when it has something to do.

    Threads that load, match or export go back to the usual scheduling, and so does the whole process where the system
    does not allow more.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(LOOP_REALTIME_PRIORITY))


async def serve(settings: RoomSettings, daemon: Path, socket: Path, clock: Clock) -> None:
    """Run the room process until it is told to end (SIGTERM, or end of its standard input)."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    _stop_at_end_of_input(loop, stop)
    calibration = load_calibration(settings, clock.utc())
    for words in calibration.in_words():
        _log.info("calibration in use", record=words)
    devices = await DeviceClient.connect(daemon, client="room")
    try:
        with PatientData(settings, clock) as data:
            service = RoomService(settings, devices, data, clock, calibration)
            async with IpcServer(socket, service.handlers(), on_disconnect=service.client_gone):
                print(json.dumps({"ready": True, "kind": "room", "socket": str(socket)}), flush=True)
                _log.info("room ready", room=settings.name)
                await stop.wait()
                if service.is_unsaved:
                    announce_saving()  # before the acts are cancelled: from here on the limit for stopping counts
            await service.close()
    finally:
        await devices.close()


def _stop_at_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    def readable() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            stop.set()

    loop.add_reader(sys.stdin.fileno(), readable)


def main() -> int:
    """Entry point of the room process."""
    parser = argparse.ArgumentParser(prog="python -m isoalign.room.service", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="room.toml, or the same as .json")
    parser.add_argument("--daemon", type=Path, required=True, help="socket of the device daemon")
    parser.add_argument("--socket", type=Path, required=True, help="socket to serve on")
    options = parser.parse_args()
    configure_logging()
    _come_first()
    try:
        asyncio.run(serve(load_settings(options.config), options.daemon, options.socket, SystemClock()))
    except IsoalignError as error:
        _log.error("room process ends", **error_to_wire(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
