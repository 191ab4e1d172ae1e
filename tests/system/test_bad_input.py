"""Bad input and broken peers: a typed error that names cause and next step, a couch at rest, nothing half-written.

Files are spoiled on disk and go through the command line as a user's would; peers are broken in a running room.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import prepared_processes
import pydicom
import pytest

from isoalign.errors import RemoteError
from isoalign.room.client import RoomClient
from isoalign.room.simulation import SimulatedRoom

pytestmark = pytest.mark.system

Spoil = Callable[[Path], list[str]]


def ct_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("CT_*.dcm"))


def edit(path: Path, **values: object) -> None:
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def missing_slice(folder: Path) -> list[str]:
    ct_files(folder)[40].unlink()
    return []


def two_frames_of_reference(folder: Path) -> list[str]:
    edit(ct_files(folder)[10], FrameOfReferenceUID="1.2.3.4")
    return []


def plan_in_another_frame(folder: Path) -> list[str]:
    edit(only(folder, "RTPLAN_*.dcm"), FrameOfReferenceUID="1.2.3.4")
    return []


def not_axial(folder: Path) -> list[str]:
    for path in ct_files(folder):
        edit(path, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    return []


def no_isocentre(folder: Path) -> list[str]:
    path = only(folder, "RTPLAN_*.dcm")
    plan = pydicom.dcmread(path)
    for beam in plan.IonBeamSequence:
        del beam.IonControlPointSequence[0].IsocenterPosition
    plan.save_as(path)
    return []


def another_patients_ct(folder: Path) -> list[str]:
    for path in ct_files(folder):
        edit(path, PatientID="SOMEBODY-ELSE")
    return []


def truncated(folder: Path) -> list[str]:
    path = ct_files(folder)[5]
    path.write_bytes(path.read_bytes()[:-3000])
    return []


def not_dicom(folder: Path) -> list[str]:
    (folder / "slice.dcm").write_bytes(b"this is not DICOM " * 40)
    return []


def empty_folder(folder: Path) -> list[str]:
    for path in folder.iterdir():
        path.unlink()
    return []


def unresolved_structure_set(folder: Path) -> list[str]:
    path = only(folder, "RTPLAN_*.dcm")
    plan = pydicom.dcmread(path)
    plan.ReferencedStructureSetSequence[0].ReferencedSOPInstanceUID = "1.2.3.4.5"
    plan.save_as(path)
    return []


def unknown_structure_set(folder: Path) -> list[str]:
    return ["--structure-set", "1.2.3.4.5.6"]


@dataclass(frozen=True)
class Wrong:
    spoil: Spoil
    code: str
    says: tuple[str, ...]


CASES = [
    Wrong(missing_slice, "dicom.missing-slices", ("1 of", "missing")),
    Wrong(two_frames_of_reference, "dicom.several-frames-of-reference", ("frames of reference", "1.2.3.4")),
    Wrong(plan_in_another_frame, "dicom.several-frames-of-reference", ("1.2.3.4",)),
    Wrong(not_axial, "dicom.not-axial", ("transverse",)),
    Wrong(no_isocentre, "dicom.plan-without-isocentre", ("Isocenter Position", "beam 1")),
    Wrong(another_patients_ct, "dicom.wrong-patient", ("different patients",)),
    Wrong(truncated, "dicom.truncated", ("CT_",)),
    Wrong(not_dicom, "dicom.not-dicom", ("slice.dcm",)),
    Wrong(empty_folder, "dicom.case-folder-missing", ()),
    Wrong(unresolved_structure_set, "dicom.structure-set-unresolved", ("--structure-set",)),
    Wrong(unknown_structure_set, "dicom.structure-set-unresolved", ("1.2.3.4.5.6",)),
]


@pytest.mark.timeless
@pytest.mark.parametrize("wrong", CASES, ids=lambda wrong: wrong.spoil.__name__)
def test_spoiled_case_folder(wrong: Wrong, case_folder: Path, tmp_path: Path) -> None:
    arguments = wrong.spoil(case_folder)
    output = tmp_path / "output"
    command = [sys.executable, "-m", "isoalign.cli", "demo", "--json", "--case", str(case_folder)]
    run = prepared_processes.run([*command, "--output", str(output), *arguments], timeout_s=100)
    assert run.returncode not in (0, 1), run.stderr
    assert "Traceback" not in run.stderr
    error = json.loads(run.stdout)["error"]
    assert error["code"] == wrong.code, error
    assert error["hint"]
    text = error["message"] + error["hint"]
    for words in wrong.says:
        assert words in text
    assert "SOMEBODY-ELSE" not in text
    left = [path for path in output.rglob("*") if path.is_file() and path.suffix in {".html", ".json", ".dcm", ".part"}]
    assert left == []


@pytest.mark.timeless
def test_naming_the_structure_set_by_file_answers_the_question(case_folder: Path) -> None:
    from isoalign.room.cases import read_case

    unresolved_structure_set(case_folder)
    case = read_case(case_folder, structure_set=str(only(case_folder, "RTSTRUCT_*.dcm")))
    assert case.structure_set_uid is not None


async def load_error(room: SimulatedRoom, plan_uid: str) -> RemoteError:
    async with await RoomClient.connect(room.room_socket) as client:
        with pytest.raises(RemoteError) as caught:
            await client.act("load", plan_uid=plan_uid)
        assert (await client.status())["state"] == "idle"
    return caught.value


def assert_nothing_half_written(room: SimulatedRoom) -> None:
    assert room.settings.storage is not None
    folder = room.settings.storage.folder
    assert not [path for path in folder.rglob("*") if path.name.endswith((".part", ".tmp"))]


def assert_at_rest_where_parked(room: SimulatedRoom) -> None:
    truth = room.control("couch").truth()
    assert truth["standstill"]
    assert truth["position"][1] == pytest.approx(550.0, abs=0.2)


async def start(room: SimulatedRoom) -> None:
    await asyncio.to_thread(room.start_machines)
    await asyncio.to_thread(room.start_daemon().wait_ready)
    await asyncio.to_thread(room.start_room().wait_ready)


async def test_archive_that_is_down(simulated_room, case) -> None:
    room = simulated_room()
    await start(room)
    room.processes["archive"].kill()
    error = await load_error(room, case.plan.sop_instance_uid)
    assert error.remote_code == "dicom.peer-unreachable"
    assert error.remote_exit_code == 4
    assert error.hint
    assert_at_rest_where_parked(room)
    assert_nothing_half_written(room)


async def test_archive_that_refuses_the_association(simulated_room, case) -> None:
    room = simulated_room()
    await asyncio.to_thread(room.start_machines)
    dicom = room.settings.dicom
    wrong = dicom.archive.model_copy(update={"ae_title": "NOBODY"})
    room.settings = room.settings.model_copy(update={"dicom": dicom.model_copy(update={"archive": wrong})})
    await asyncio.to_thread(room.start_daemon().wait_ready)
    await asyncio.to_thread(room.start_room().wait_ready)
    error = await load_error(room, case.plan.sop_instance_uid)
    assert error.remote_code == "dicom.association-refused"
    assert "NOBODY" in error.message + error.hint
    assert_at_rest_where_parked(room)


async def test_plan_that_the_archive_does_not_have(running_room) -> None:
    error = await load_error(running_room.room, "1.2.3.4.5")
    assert error.remote_exit_code == 4
    assert "1.2.3.4.5" in error.message
    assert_nothing_half_written(running_room.room)


async def test_imager_that_is_silent(running_room) -> None:
    await running_room.load()
    await running_room.move_to_setup()
    running_room.room.control("imager-B").ask("fault", name="silent")
    with pytest.raises(RemoteError) as caught:
        await running_room.client.act("image_and_match")
    assert caught.value.remote_code == "device.imager-silent"
    assert "B" in caught.value.message
    assert caught.value.hint
    assert running_room.truth()["standstill"]
    status = await running_room.client.status()
    assert (status["state"], status["passes"]) == ("at set-up position", 0)


async def test_couch_link_lost_in_motion(running_room) -> None:
    await running_room.load()
    async with running_room.enable_bar():
        move = asyncio.create_task(running_room.client.act("move_to_setup"))
        await running_room.wait_moving()
        running_room.room.control("couch").ask("fault", name="link_drop")
        stopped = await running_room.wait_standstill(1.5)
        with pytest.raises(RemoteError) as caught:
            await move
    assert caught.value.remote_code == "device.link-lost"
    assert caught.value.hint
    assert stopped["position"][1] < 695.0
    assert (await running_room.client.status())["state"] == "held"
