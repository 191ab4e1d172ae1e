"""When the room process saves what a session has found: on closing, on clearing a hold, at the end; never twice."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest

from isoalign.clock import ManualClock
from isoalign.devices.client import DeviceClient
from isoalign.devices.ipc import IpcCall
from isoalign.dicom.errors import PeerUnreachable
from isoalign.geometry import PatientPosition, Representation, TableTopPosition, planned_fixed_from_dicom
from isoalign.positioning import PositioningSession, State
from isoalign.records import Beam, ExportedObject, ImagingPass, Match, Outcome, Patient, Plan, Purpose, Study, Verdict
from isoalign.room.patient_data import PatientData, QueuedResult
from isoalign.room.service import RoomService
from isoalign.room.session_data import PatientLoad
from isoalign.room.settings import load_settings

BEAM = Beam(1, "G0", np.zeros(3), 0.0)
PLAN = Plan("1.2", "1.3", "P", Patient("ID"), Study("1.4"), "1.5", PatientPosition.HFS, "1.6", (BEAM,))
TABLE = TableTopPosition(Representation.IEC_61217, 0, 700, -120)


@dataclass
class Data:
    """Notes what is saved; the archive may be away."""

    saved: list[int] = field(default_factory=list)
    away: bool = False
    disk_full: bool = False
    began: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event | None = None

    def queue_results(self, _results: Any, passes: Any, _scans: Any) -> tuple[QueuedResult, ...]:
        if self.disk_full:
            raise OSError(28, "No space left on device")
        self.began.set()
        if self.goes_on is not None:
            assert self.goes_on.wait(10)
        self.saved.append(len(passes))
        return tuple(QueuedResult("RT Image", f"1.2.{len(self.saved)}.{number}") for number in range(len(passes)))

    def deliver(self, results: Any, _on_progress: Any) -> tuple[ExportedObject, ...]:
        if self.away:
            raise PeerUnreachable("nothing answers")
        return tuple(ExportedObject(one.kind, one.sop_instance_uid, "stored") for one in results)


class Devices:
    async def clear(self, _reason: str, _user: str) -> None:
        return None


def one_pass(purpose: Purpose) -> ImagingPass:
    planned = planned_fixed_from_dicom(PatientPosition.HFS, (0, 0, 0))
    match = Match("2D/3D", planned, planned, Verdict.ACCEPTED, (), (), 1, True, 0.1, np.zeros(3), np.zeros(3))
    return ImagingPass(purpose, (), match, TABLE)


def opened(state: State, passes: int) -> tuple[RoomService, Data, PositioningSession]:
    data, settings = Data(), load_settings()
    service = RoomService(settings, cast(DeviceClient, Devices()), cast(PatientData, data), ManualClock())
    session = PositioningSession(settings.session_settings(), None, None, None, ManualClock())  # type: ignore[arg-type]
    session.load(PLAN, BEAM)
    session.state = state
    session.passes.extend(one_pass(Purpose.VERIFICATION) for _ in range(passes))
    service._session, service._results = session, cast(Any, object())
    service._load = PatientLoad(PLAN, None, None, (), None, 0.0, 0.0)  # type: ignore[arg-type]
    return service, data, session


def call(**parameters: Any) -> IpcCall:
    return IpcCall(cast(Any, None), "act", parameters)


def nothing(_step: str, _text: str, _fraction: float | None) -> None:
    return None


async def test_closing_saves_once_and_keeps_how_the_session_ended() -> None:
    service, data, session = opened(State.VERIFIED, 2)
    await service._do_export(call(), nothing)
    session.passes.append(one_pass(Purpose.VERIFICATION))
    closed = await service._do_close(call(), nothing)
    assert data.saved == [2, 1]
    assert len(closed["objects"]) == 3
    assert session.state is State.CLOSED
    assert service.session_record().outcome is Outcome.ALIGNED
    await service.close()
    assert data.saved == [2, 1]


async def test_closing_while_the_archive_is_away_saves_all_the_same() -> None:
    service, data, session = opened(State.VERIFIED, 1)
    data.away = True
    closed = await service._do_close(call(), nothing)
    assert data.saved == [1]
    assert closed["waiting"] == "nothing answers"
    assert session.state is State.CLOSED


async def test_clearing_a_hold_saves_what_is_then_forgotten() -> None:
    service, data, session = opened(State.HELD, 1)
    await service._clear(call(reason="looked", user="tester"))
    assert data.saved == [1]
    assert session.passes == []
    session.passes.append(one_pass(Purpose.SETUP))
    await service.close()
    assert data.saved == [1, 1]


async def test_a_full_disk_does_not_keep_the_process_from_ending(capsys: pytest.CaptureFixture[str]) -> None:
    service, data, _ = opened(State.VERIFIED, 1)
    data.disk_full = True
    await asyncio.wait_for(service.close(), 5)
    assert "results are not saved" in capsys.readouterr().out


async def test_the_end_of_the_process_waits_for_a_saving_that_has_begun() -> None:
    """Its act is cancelled then; begun anew beside it, the objects would be made twice."""
    service, data, session = opened(State.VERIFIED, 2)
    data.goes_on = threading.Event()
    assert service.is_unsaved
    export = asyncio.create_task(service._do_export(call(), nothing))
    await asyncio.to_thread(data.began.wait)
    session.passes.append(one_pass(Purpose.VERIFICATION))
    export.cancel()
    await asyncio.wait([export])
    assert service.is_unsaved
    closing = asyncio.create_task(service.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    data.goes_on.set()
    await asyncio.wait_for(closing, 5)
    assert data.saved == [2, 1]
    assert not service.is_unsaved
