"""An in-room CT in a session: DCMTK sends, stock pynetdicom asks for the commitment, the truth is the judge."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.pdu import P_DATA_TF

from isoalign.dicom.objects import write_file
from isoalign.errors import RemoteError
from isoalign.geometry import DicomPatient, Fixed, Pose, fixed_from_table, planned_fixed_from_dicom, residual_of
from isoalign.records import Outcome
from isoalign.room.client import RoomClient
from isoalign.room.in_room_ct import FIELD_OPEN
from isoalign.room.simulated_scanner import SimulatedScanner

pytestmark = [pytest.mark.system, pytest.mark.timeless, pytest.mark.timeout(300)]

HFS_AXES = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
IN_ROOM = Pose(Fixed, DicomPatient, HFS_AXES, (0.0, 0.0, 0.0))
"""Truth: the scanner's axes are the room's, its origin is the machine isocentre; the patient lies HFS."""
COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def store(program: Path, port: int, files: list[Path]) -> str:
    """DCMTK's storescu; what it said."""
    done = subprocess.run(
        [program, "-v", "-aet", "CT1", "-aec", "PTI-SCP", "127.0.0.1", str(port), *files],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    return done.stdout + done.stderr


def commit(port: int, images: list[Dataset]) -> Dataset:
    """The report that the room gives on the association of the request."""
    reports: list[Dataset] = []
    arrived, answered = threading.Event(), threading.Event()

    def take(event: Any) -> tuple[int, None]:
        reports.append(event.event_information)
        arrived.set()
        return 0x0000, None

    def sent(event: Any) -> None:
        if reports and isinstance(event.pdu, P_DATA_TF):
            answered.set()

    request = Dataset()
    request.TransactionUID = "1.2.3.4.5"
    request.ReferencedSOPSequence = []
    for image in images:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        request.ReferencedSOPSequence.append(item)
    entity = AE("CT1")
    entity.add_requested_context(COMMITMENT)
    association = entity.associate(
        "127.0.0.1", port, ae_title="PTI-SCP", evt_handlers=[(evt.EVT_N_EVENT_REPORT, take), (evt.EVT_PDU_SENT, sent)]
    )
    assert association.is_established
    status, _ = association.send_n_action(request, 1, COMMITMENT, COMMITMENT_INSTANCE)
    assert status.Status == 0x0000
    assert arrived.wait(20)
    assert answered.wait(20)
    connection = association.dul.socket.socket
    association.release()
    association.join(10)
    connection.close()  # the library leaves it open when the other side has left first
    return reports[0]


class Waiting:
    """An act that waits in the room, and whether its field is open."""

    def __init__(self, client: RoomClient) -> None:
        self.said: list[str] = []
        self.field_open = asyncio.Event()
        self.act = asyncio.create_task(client.act("scan_and_match", self._note))

    def _note(self, _step: str, text: str, _fraction: float | None) -> None:
        self.said.append(text)
        if text == FIELD_OPEN:
            self.field_open.set()

    async def until_open(self) -> None:
        async with asyncio.timeout(20):
            await self.field_open.wait()


async def test_the_whole_way_with_an_in_room_ct(
    simulated_room: Callable[..., Any],
    start_room: Callable[..., Any],
    require_program: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    storescu = require_program("storescu")
    running = await start_room(simulated_room(in_room_ct=True))
    room, client, case = running.room, running.client, running.case
    scanner = SimulatedScanner(room.settings.dicom.in_room_ct, "127.0.0.1")
    port = scanner.settings.port
    await running.load()
    with pytest.raises(RemoteError) as early:
        await client.act("scan_and_match")
    assert early.value.remote_code == "positioning.illegal-act"
    await running.move_to_setup()
    assert not listens(port)

    # a hold closes the field, and the session begins again
    held = Waiting(client)
    await held.until_open()
    assert listens(port)
    await client.hold("visitor in the room")
    with pytest.raises(RemoteError) as stopped:
        await held.act
    assert stopped.value.remote_code == "positioning.held"
    assert not listens(port)
    await client.clear("visitor has left", "tester")
    await running.move_to_setup()

    couch = room.control("couch")
    patient = room._patient
    lies = fixed_from_table(couch.true_position()) @ patient.table_from_dicom
    images = await asyncio.to_thread(scanner.scan, case.volume, lies, case.plan, seed=1)
    files = [write_file(one, tmp_path / f"{number:03d}.dcm") for number, one in enumerate(images)]
    stranger = pydicom.dcmread(files[0])
    stranger.PatientID = "SOMEBODY"
    stranger.SOPInstanceUID = stranger.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    wrong = write_file(stranger, tmp_path / "wrong.dcm")

    waiting = Waiting(client)
    await waiting.until_open()
    with pytest.raises(RemoteError) as meanwhile:
        await client.act("move_to_setup")
    assert meanwhile.value.remote_code == "positioning.illegal-act"
    assert "Error: DataSetDoesNotMatchSOPClass" in await asyncio.to_thread(store, storescu, port, [wrong])
    said = await asyncio.to_thread(store, storescu, port, files[:-1])
    assert said.count("Received Store Response (Success)") == len(files) - 1, said[-500:]
    report = await asyncio.to_thread(commit, port, images)
    assert [one.FailureReason for one in report.FailedSOPSequence] == [0x0110]
    assert (await client.status())["state"] == "in-room CT field open"
    await asyncio.to_thread(store, storescu, port, files[-1:])
    report = await asyncio.to_thread(commit, port, images)
    assert "FailedSOPSequence" not in report
    found = await waiting.act
    assert not listens(port)
    assert found["images"] == len(images)
    assert any("Patient ID (0010,0020) differs" in text for text in waiting.said)

    await client.act("approve", correction_id=found["correction"]["id"], user="tester")
    async with running.enable_bar():
        await client.act("move")
    proof = await client.act("image_and_match")
    assert proof["within_tolerance"]
    planned = planned_fixed_from_dicom(case.plan.patient_position, case.plan.beam().isocentre_mm)
    truly = fixed_from_table(couch.true_position()) @ patient.table_from_dicom
    remaining = residual_of(truly @ planned.inverse())
    assert remaining.distance_mm < 0.5
    assert remaining.angle_deg < 0.3

    sent = await client.act("close")
    assert sent["waiting"] == ""
    assert Counter(one["kind"] for one in sent["objects"]) == {
        "CT Image": len(images),
        "RT Structure Set": 2,
        "RT Image": 4,
        "Spatial Registration": 2,
    }
    assert {one["status"] for one in sent["objects"]} == {"stored"}
    record = await client.record()
    assert record.outcome is Outcome.ALIGNED
    assert [one.match.kind for one in record.passes] == ["3D/3D", "2D/3D"]
    stored = {
        one.SOPInstanceUID: one
        for one in (pydicom.dcmread(path) for path in (room._run_folder / "archive").rglob("*.dcm"))
    }
    ours = [stored[one["sop_instance_uid"]] for one in sent["objects"]]
    assert_as_the_statement_says(ours, images, case, lies)
    # the first kV pair makes its frame: origin at the isocentre, axes of the patient on the table top
    kv_frame = Pose(Fixed, DicomPatient, fixed_from_table(couch.true_position()).rotation @ HFS_AXES, (0.0, 0.0, 0.0))
    target = case.plan.beam().isocentre_mm
    in_scan = (IN_ROOM.inverse() @ lies).apply(target)
    (pair,) = [one for one in ours if one.Modality == "REG" and sub_type(one) == "Online2DPaired"]
    assert_maps(pair, images[0].FrameOfReferenceUID, in_scan, (kv_frame.inverse() @ truly).apply(target))


def assert_as_the_statement_says(
    ours: list[Dataset], images: list[Dataset], case: Any, lies: Pose[Fixed, DicomPatient]
) -> None:
    """Frames, isocentres and matrices of what was sent, against where the patient truly was."""
    by_kind: dict[str, list[Dataset]] = {}
    for one in ours:
        by_kind.setdefault(one.Modality, []).append(one)
    scan_frame = images[0].FrameOfReferenceUID
    assert {one.FrameOfReferenceUID for one in by_kind["CT"]} == {scan_frame}
    assert {one.PixelData for one in by_kind["CT"]} == {one.PixelData for one in images}

    points, carried = by_kind["RTSTRUCT"]
    types = [one.RTROIInterpretedType for one in points.RTROIObservationsSequence]
    assert types == ["INITLASERISO", "ACQ_ISOCENTER"]
    assert {one.FrameOfReferenceUID for one in (points, carried)} == {scan_frame}
    listed = carried.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert len(listed.ContourImageSequence) == len(images)
    for roi in carried.ROIContourSequence:
        assert all("ContourImageSequence" in contour for contour in roi.ContourSequence)

    drrs = [one for one in by_kind["RTIMAGE"] if one.ImageType[2] == "DRR"]
    taken = [one for one in by_kind["RTIMAGE"] if one.ImageType[2] == "PORTAL"]
    assert len(drrs) == len(taken) == 2
    assert {one.FrameOfReferenceUID for one in drrs} == {scan_frame}
    laser = points.ROIContourSequence[0].ContourSequence[0].ContourData
    for one in drrs:
        np.testing.assert_allclose(np.array(one.IsocenterPosition, float), np.array(laser, float), atol=1e-6)
    assert [float(one.GantryAngle) for one in drrs] == [float(one.GantryAngle) for one in taken]

    volume, pair = by_kind["REG"]
    assert volume.FrameOfReferenceUID == scan_frame
    assert sub_type(volume) == "Online3D"
    assert sub_type(pair) == "Online2DPaired"
    assert pair.FrameOfReferenceUID == taken[0].FrameOfReferenceUID
    target = case.plan.beam().isocentre_mm
    assert_maps(volume, case.plan.frame_of_reference_uid, target, (IN_ROOM.inverse() @ lies).apply(target))


def sub_type(registration: Dataset) -> str:
    item = registration.RegistrationSequence[-1].MatrixRegistrationSequence[0]
    value = item.private_block(0x3275, "Varian Medical Systems VISION 3275")[0x00].value
    # in Implicit VR nothing tells a reader that a private attribute is text
    return value.decode("ascii").strip() if isinstance(value, bytes) else str(value)


def matrix_of(registration: Dataset, frame_of_reference_uid: str) -> np.ndarray:
    (item,) = [one for one in registration.RegistrationSequence if one.FrameOfReferenceUID == frame_of_reference_uid]
    matrix = item.MatrixRegistrationSequence[0].MatrixSequence[0].FrameOfReferenceTransformationMatrix
    return np.array(matrix, dtype=float).reshape(4, 4)


def assert_maps(registration: Dataset, frame: str, point: np.ndarray, expected: np.ndarray) -> None:
    found = matrix_of(registration, frame) @ np.append(point, 1.0)
    assert np.linalg.norm(found[:3] - expected) < 0.5
