"""The in-room CT behind its port: a silent scanner, what is needed for a kV match, and what is saved of a scan."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from isoalign.clock import SystemClock
from isoalign.dicom.errors import ReceiverNotStarted
from isoalign.dicom.node import NodeSettings, Peer, request_commitment, send
from isoalign.dicom.objects import (
    IsocentreKind,
    RelatedStructureSet,
    VerificationFrame,
    build_case,
    read_plan,
    read_structure_set,
    write_file,
)
from isoalign.geometry import (
    DicomPatient,
    Fixed,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    planned_fixed_from_dicom,
    setup_error,
)
from isoalign.records import (
    Acquisition,
    ImagingPass,
    InRoomScan,
    Match,
    Patient,
    Purpose,
    Radiograph,
    Structure,
    Study,
    Technique,
    Verdict,
    Volume,
)
from isoalign.registration import WrongNumberOfViews
from isoalign.room.errors import InRoomCtSilent, SettingsInvalid
from isoalign.room.in_room_ct import FIELD_OPEN, InRoomCt, ScanMatcher, _Received
from isoalign.room.loopback import free_port
from isoalign.room.patient_data import PatientData
from isoalign.room.session_data import AcquiredScan, PatientLoad
from isoalign.room.settings import RoomSettings, StorageSettings, load_settings
from isoalign.room.simulated_scanner import SimulatedScanner, with_simulated_scanner
from isoalign.simulators.in_room_ct import scan_of_patient

IEC = Representation.IEC_61217
SETUP = TableTopPosition(IEC, 0, 700, -120)
Z = (-4.0, -2.0, 0.0, 2.0, 4.0)
NOW = datetime(2026, 3, 4, tzinfo=UTC)


def ball(centre_mm: tuple[float, float, float], *, position: PatientPosition = PatientPosition.HFS) -> Volume:
    """A ball of 12 mm radius in air, DICOM patient frame."""
    index = np.indices((30, 40, 50)).astype(float)[::-1]
    points = index * 2.0 - np.array([50.0, 40.0, 30.0])[:, None, None, None]
    inside = np.linalg.norm(points - np.array(centre_mm)[:, None, None, None], axis=0) < 12.0
    values = np.where(inside, 1000, -1000).astype(np.int16)
    return Volume(values, np.array([-50.0, -40.0, -30.0]), np.full(3, 2.0), np.eye(3), "1.2.5", position)


def middle_of(volume: Volume) -> np.ndarray:
    """The middle of what is dense, DICOM patient frame of the volume."""
    index = np.argwhere(volume.hounsfield > 0)[:, ::-1].mean(axis=0)
    return np.asarray(volume.dicom_from_index @ np.append(index, 1.0))[:3]


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        # typed by hand: where 10, 20, 30 mm along the room's X, Y, Z is in the patient, for a scanner at the isocentre
        (PatientPosition.HFS, (10.0, -30.0, 20.0)),
        (PatientPosition.FFS, (-10.0, -30.0, -20.0)),
        (PatientPosition.HFP, (-10.0, 30.0, 20.0)),
    ],
)
def test_a_scan_shows_the_patient_where_they_truly_are(
    position: PatientPosition, expected: tuple[float, float, float]
) -> None:
    patient = ball((5.0, -4.0, 6.0), position=position)
    lies = setup_error(10, 20, 30, 4, -5, 6) @ planned_fixed_from_dicom(position, (5.0, -4.0, 6.0))
    seen = scan_of_patient(patient, lies, noise_hu=0.0)
    np.testing.assert_allclose(middle_of(seen), expected, atol=0.3)
    away = scan_of_patient(patient, lies, noise_hu=0.0, origin_mm=(10.0, 20.0, 30.0))
    np.testing.assert_allclose(middle_of(away), (0, 0, 0), atol=0.3)


def test_the_frame_of_a_scan_stays_with_the_table_top() -> None:
    """Axes of the room when it was made, whatever the table's angles; a couch 7 mm up lifts everything by 7 mm."""
    turned = TableTopPosition(IEC, 3, 700, -120, 2.0, -1.5, 10.0)
    frame = VerificationFrame(
        PatientPosition.HFS, turned, "1.2", axes_turn_with_table=False, origin_in_room_mm=(1.0, 2.0, 3.0)
    )
    then = frame.fixed_from_verification(turned)
    np.testing.assert_allclose(then.rotation, [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-12)
    np.testing.assert_allclose(then.apply((0, 0, 0)), (1, 2, 3), atol=1e-9)
    lifted = TableTopPosition(IEC, 3, 700, -113, 2.0, -1.5, 10.0)
    np.testing.assert_allclose(frame.fixed_from_verification(lifted).apply((0, 0, 0)), (1, 2, 10), atol=1e-9)


def room_settings(folder: Path, waiting_s: float) -> RoomSettings:
    settings = with_simulated_scanner(load_settings())
    assert settings.dicom is not None
    assert settings.dicom.in_room_ct is not None
    in_room_ct = settings.dicom.in_room_ct.model_copy(update={"waiting_s": waiting_s})
    dicom = settings.dicom.model_copy(update={"port": free_port(), "in_room_ct": in_room_ct})
    return settings.model_copy(update={"storage": StorageSettings(folder=folder), "dicom": dicom})


@pytest.fixture
def load() -> PatientLoad:
    square = np.array([[-8, -8, 0.0], [8, -8, 0], [8, 8, 0], [-8, 8, 0]])
    case = build_case(
        ball((0.0, 0.0, 0.0)),
        (Structure(1, "BALL", "PTV", "CLOSED_PLANAR", tuple(square + np.array([0, 0, z]) for z in Z)),),
        (0.0, 0.0, 0.0),
        patient=Patient("P-1", "Test^Only", "19500101", "O"),
        created_at=NOW,
    )
    structures = read_structure_set(case.structure_set).structure_set
    return PatientLoad(read_plan(case.plan), structures, case.volume, (), None, 0.0, 0.0)  # type: ignore[arg-type]


@pytest.fixture
def data(tmp_path: Path) -> Iterator[PatientData]:
    with PatientData(room_settings(tmp_path, 0.3), SystemClock()) as opened:
        yield opened


def in_room_ct(data: PatientData, load: PatientLoad, said: list[str]) -> InRoomCt:
    planned = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0))
    return InRoomCt(data, load, planned, SETUP, lambda text, _: said.append(text))


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_a_silent_scanner_closes_the_field(data: PatientData, load: PatientLoad) -> None:
    said: list[str] = []
    with pytest.raises(InRoomCtSilent, match="0 arrived"):
        await in_room_ct(data, load, said).receive()
    assert said == [FIELD_OPEN]
    assert not listens(data.in_room_ct_settings.port)


async def test_a_wait_that_is_given_up_while_the_field_opens_leaves_it_closed(
    data: PatientData, load: PatientLoad
) -> None:
    said: list[str] = []
    receiving = asyncio.create_task(in_room_ct(data, load, said).receive())
    await asyncio.sleep(0)  # the field is being opened in a thread now
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert said == []
    assert not listens(data.in_room_ct_settings.port)


async def test_a_port_that_is_taken_is_told(data: PatientData, load: PatientLoad) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", data.in_room_ct_settings.port))
        other.listen()
        with pytest.raises(ReceiverNotStarted, match="PTI-SCP"):
            await in_room_ct(data, load, []).receive()


async def test_what_is_not_confirmed_does_not_end_the_field(tmp_path: Path, load: PatientLoad) -> None:
    with PatientData(room_settings(tmp_path, 20.0), SystemClock()) as data:
        said: list[str] = []
        scanner = in_room_ct(data, load, said)
        simulated = SimulatedScanner(data.in_room_ct_settings, "127.0.0.1")
        lies = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0))
        images = simulated.scan(load.volume, lies, load.plan)
        receiving = asyncio.create_task(scanner.receive())
        while FIELD_OPEN not in said:
            await asyncio.sleep(0.01)
        peer, node = Peer("PTI-SCP", "127.0.0.1", data.in_room_ct_settings.port), NodeSettings("CT1")
        names = [(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in images]
        await asyncio.to_thread(send, peer, images[1:], node)
        result = await asyncio.to_thread(request_commitment, peer, names, node)
        assert [uid for _, uid, _ in result.failed] == [names[0][1]]
        assert not receiving.done()
        await asyncio.to_thread(send, peer, images[:1], node)
        assert (await asyncio.to_thread(request_commitment, peer, names, node)).failed == ()
        scan = await receiving
        queued = {one.sop_instance_uid for one in data._database.outbox.entries()}
        assert queued == {str(one.SOPInstanceUID) for one in images}, "whatever becomes of the session"
    assert scan.slices == len(images)
    assert scan.frame_of_reference_uid == images[0].FrameOfReferenceUID
    assert f"{len(images)} images received" in said


async def test_a_scan_that_cannot_be_matched_is_a_failed_match(
    data: PatientData, load: PatientLoad, tmp_path: Path
) -> None:
    """It was taken: it belongs to the record of the session, and to the archive."""
    scanner = in_room_ct(data, load, [])
    flat = replace(load, volume=replace(load.volume, hounsfield=np.zeros_like(load.volume.hounsfield)))
    scanner._load = flat
    scan = acquired(load, tmp_path, Pose.identity(DicomPatient, DicomPatient))
    scanner._received[scan.record.series_instance_uid] = _Received(scan.volume, scan.files, scan.study)
    match = await scanner.match(scan.record, SETUP)
    assert match.verdict is Verdict.FAILED
    assert match.reasons
    assert match.trusted_residual is None
    assert scanner.scans[scan.record.series_instance_uid].day_from_planning is None


def test_a_room_without_a_scanner(tmp_path: Path) -> None:
    settings = room_settings(tmp_path, 1.0)
    assert settings.dicom is not None
    without = settings.model_copy(update={"dicom": settings.dicom.model_copy(update={"in_room_ct": None})})
    with PatientData(without, SystemClock()) as data, pytest.raises(SettingsInvalid, match="no in-room CT"):
        _ = data.in_room_ct_settings


def acquired(load: PatientLoad, folder: Path, pose: Pose[DicomPatient, DicomPatient]) -> AcquiredScan:
    """A scan that was taken 5 mm higher than the set-up position."""
    case = build_case(ball((3.0, 0.0, 0.0)), (), (0.0, 0.0, 0.0), patient=load.plan.patient, created_at=NOW)
    files = tuple(write_file(one, folder / f"{one.SOPInstanceUID}.dcm") for one in case.ct)
    at = TableTopPosition(IEC, 0, 700, -115)
    frame = VerificationFrame(PatientPosition.HFS, at, case.volume.frame_of_reference_uid, axes_turn_with_table=False)
    record = InRoomScan(case.volume.frame_of_reference_uid, case.volume.series_instance_uid, len(files))
    return AcquiredScan(record, case.volume, files, Study("1.2.77"), frame, SETUP, at, pose)


def radiograph(imager: str, angle_deg: float) -> Radiograph:
    return Radiograph(
        np.full((8, 8), 1000, np.uint16),
        ProjectionGeometry.from_axis(ImagerAxis(angle_deg, 1000, 1500), PixelGrid.centred(8, 8, 4.0)),
        Acquisition(imager, 1, Technique(100, 100, 50), NOW, SETUP),
    )


async def test_a_kv_match_to_a_scan_needs_one_image_of_each_system(load: PatientLoad, tmp_path: Path) -> None:
    identity: Pose[DicomPatient, DicomPatient] = Pose.identity(DicomPatient, DicomPatient)
    planned = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0))
    matcher = ScanMatcher(acquired(load, tmp_path, identity), planned, ("A", "B"), lambda _text, _fraction: None)
    for images in ([radiograph("A", 0.0)], [radiograph("A", 0.0), radiograph("A", 90.0)]):
        with pytest.raises(WrongNumberOfViews, match="A and B"):
            await matcher.match(images)


def found(kind: str, pose: Pose[Fixed, DicomPatient], verdict: Verdict = Verdict.ACCEPTED) -> Match:
    planned = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0))
    return Match(kind, planned, pose, verdict, (), (), 1, True, 0.1, np.full(3, 0.1), np.full(3, 0.1))


@pytest.mark.parametrize("verdict", [Verdict.ACCEPTED, Verdict.DOUBTFUL])
def test_what_is_saved_of_a_scan(data: PatientData, load: PatientLoad, tmp_path: Path, verdict: Verdict) -> None:
    pose = Pose(DicomPatient, DicomPatient, np.eye(3), (3.0, 0.0, 0.0))
    scan = acquired(load, tmp_path, pose)
    if verdict is Verdict.DOUBTFUL:
        scan = replace(scan, day_from_planning=None)
    lies = scan.frame.fixed_from_verification(scan.table_top) @ pose
    one = ImagingPass(Purpose.SETUP, (), found("3D/3D", lies, verdict), scan.table_top, scan.record)
    results = data.results(load, load.plan.beams[0])
    built = results.build([one], {scan.record.series_instance_uid: scan}, NOW)
    assert built.received == scan.files
    points = read_structure_set(built.datasets[0]).structure_set
    kinds = {one.interpreted_type: one for one in points.structures}
    assert set(kinds) == {IsocentreKind.INITIAL_LASER.value, IsocentreKind.ACQUISITION.value}
    # the couch stood 5 mm lower before: the isocentre lay 5 mm higher in the patient then, and up is -y
    np.testing.assert_allclose(kinds["ACQ_ISOCENTER"].contours_mm[0], [[0, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(kinds["INITLASERISO"].contours_mm[0], [[0, -5.0, 0]], atol=1e-9)
    if verdict is Verdict.DOUBTFUL:
        assert [one.Modality for one in built.datasets] == ["RTSTRUCT"]
        return
    assert [one.Modality for one in built.datasets] == ["RTSTRUCT", "RTSTRUCT", "REG"]
    carried = read_structure_set(built.datasets[1])
    assert carried.related == (RelatedStructureSet(load.structure_set.sop_instance_uid, "PREDECESSOR"),)
    (volume,) = carried.structure_set.structures
    assert {float(contour[0, 2]) for contour in volume.contours_mm} <= set(np.arange(-30.0, 30.0, 2.0))
    assert np.concatenate(volume.contours_mm)[:, 0].min() == pytest.approx(-5.0, abs=0.2)
    assert np.concatenate(volume.contours_mm)[:, 0].max() == pytest.approx(11.0, abs=0.2)
    assert len({one.SeriesInstanceUID for one in built.datasets}) == 2
