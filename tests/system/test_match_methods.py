"""A whole session by markers and by DRRs, judged by the simulators' truth; and what must be refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from room_cases import make_marker_case, with_migrated_marker, with_patient_of
from validator import undocumented_errors

from isoalign.errors import RemoteError
from isoalign.geometry import DicomPatient, Fixed, Pose, fixed_from_table, planned_fixed_from_dicom, residual_of
from isoalign.records import Outcome
from isoalign.room.cases import Case
from isoalign.simulators.marker_head import MARKERS_MM

pytestmark = [pytest.mark.system, pytest.mark.timeless, pytest.mark.timeout(120)]

DISTANCE_MM, ANGLE_DEG = 0.5, 0.3
HFS_AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Fixed from DICOM patient axes, typed by hand."""
IODS = {"RTIMAGE": "RTImage", "RTSTRUCT": "RTStructureSet", "REG": "SpatialRegistration"}


@pytest.fixture(scope="module")
def gold() -> Case:
    """The built-in head with five markers."""
    return make_marker_case()


@pytest.fixture
def on_couch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Case], None]:
    """Demonstrations take this case for the built-in one."""

    def put(case: Case) -> None:
        monkeypatch.setattr("isoalign.room.demo.builtin_case", lambda *_args, **_options: case)

    return put


async def align(running: Any, **how: Any) -> dict[str, Any]:
    """Set-up position, images, correction, images again; what the last ones showed."""
    client = running.client
    await running.load()
    await running.move_to_setup()
    found = await client.act("image_and_match", **how)
    await client.act("approve", correction_id=found["correction"]["id"], user="tester")
    async with running.enable_bar():
        await client.act("move")
    return await client.act("image_and_match", **how)


def truly(running: Any) -> Pose[Fixed, DicomPatient]:
    """Where the patient is by the simulators' knowledge."""
    return fixed_from_table(running.room.control("couch").true_position()) @ running.room._patient.table_from_dicom


def archived(running: Any, sent: dict[str, Any]) -> dict[str, list[Dataset]]:
    wanted = {one["sop_instance_uid"] for one in sent["objects"]}
    found: dict[str, list[Dataset]] = {}
    for path in (running.room._run_folder / "archive").rglob("*.dcm"):
        one = pydicom.dcmread(path)
        if one.SOPInstanceUID in wanted:
            found.setdefault(one.Modality, []).append(one)
    return found


def assert_valid(objects: dict[str, list[Dataset]], program: Path) -> None:
    for modality, some in objects.items():
        for one in some:
            assert not undocumented_errors(program, Path(str(one.filename)), IODS[modality])


def registered(registration: Dataset, frame: str, point: np.ndarray) -> np.ndarray:
    """A point of a frame of reference, taken to that of the registration by its matrix."""
    (item,) = [one for one in registration.RegistrationSequence if one.FrameOfReferenceUID == frame]
    matrix = item.MatrixRegistrationSequence[0].MatrixSequence[0].FrameOfReferenceTransformationMatrix
    return (np.array(matrix, dtype=float).reshape(4, 4) @ np.append(point, 1.0))[:3]


def assert_last_registration_tells_the_truth(running: Any, objects: dict[str, list[Dataset]]) -> None:
    """The first pair makes the frame: axes of the patient, origin where the isocentre then was on the table top."""
    registration = max(objects["REG"], key=lambda one: int(one.InstanceNumber))
    room, case = running.room, running.case
    setup = fixed_from_table(room.settings.session_settings().default_setup)
    now = fixed_from_table(room.control("couch").true_position())
    of_frame = now @ setup.inverse() @ Pose(Fixed, DicomPatient, HFS_AXES, (0.0, 0.0, 0.0))
    target = case.plan.beam().isocentre_mm
    expected = (of_frame.inverse() @ truly(running)).apply(target)
    found = registered(registration, case.plan.frame_of_reference_uid, target)
    assert np.linalg.norm(found - expected) < DISTANCE_MM


async def test_markers_from_plan_to_archive(
    gold: Case, simulated_room: Any, start_room: Any, require_program: Callable[[str], Path]
) -> None:
    running = await start_room(simulated_room(of=gold, match="markers"), gold)
    proof = await align(running)
    assert (proof["match"], proof["within_tolerance"], proof["not_available"]) == ("marker", True, [])
    planned = planned_fixed_from_dicom(gold.plan.patient_position, gold.plan.beam().isocentre_mm)
    remaining = residual_of(truly(running) @ planned.inverse())
    assert remaining.distance_mm < DISTANCE_MM
    assert remaining.angle_deg < ANGLE_DEG
    sent = await running.client.act("close")
    assert Counter(one["kind"] for one in sent["objects"]) == {
        "RT Image": 4,
        "RT Structure Set": 1,
        "Spatial Registration": 2,
    }
    record = await running.client.record()
    assert record.outcome is Outcome.ALIGNED
    objects = archived(running, sent)
    assert_valid(objects, require_program("dciodvfy"))
    assert_last_registration_tells_the_truth(running, objects)
    (structures,) = objects["RTSTRUCT"]
    points = [np.array(one.ContourSequence[0].ContourData, float) for one in structures.ROIContourSequence]
    for point, ball in zip(points, gold.implants, strict=True):
        assert np.linalg.norm(point - ball.centre_mm) < 0.2
    for image in objects["RTIMAGE"]:
        assert sum((group, 0x3000) in image for group in range(0x5000, 0x5020, 2)) == len(gold.implants)


async def test_a_call_may_ask_for_drrs_which_do_not_tell_the_roll(
    gold: Case, simulated_room: Any, start_room: Any, require_program: Callable[[str], Path]
) -> None:
    room = simulated_room(of=gold, offset=(6.0, -5.0, 4.0, 0.4, 0.5, -0.4))
    running = await start_room(room, gold)
    proof = await align(running, match="2d2d")
    assert (proof["match"], proof["within_tolerance"], proof["not_available"]) == ("2D/2D", True, ["roll_deg"])
    planned = planned_fixed_from_dicom(gold.plan.patient_position, gold.plan.beam().isocentre_mm)
    remaining = residual_of(truly(running) @ planned.inverse())
    assert remaining.distance_mm < DISTANCE_MM
    assert abs(remaining.pitch_deg) < ANGLE_DEG
    assert abs(remaining.patient_support_angle_deg) < ANGLE_DEG
    assert remaining.roll_deg == pytest.approx(0.5, abs=0.05), "nothing told it, nothing moved it"
    sent = await running.client.act("close")
    record = await running.client.record()
    assert record.outcome is Outcome.ALIGNED_IN_PART
    assert "not available from these images: roll" in record.message
    assert record.correction is not None
    assert record.correction.not_corrected == ("roll_deg",)
    objects = archived(running, sent)
    assert Counter(one.ImageType[2] for one in objects["RTIMAGE"]) == {"PORTAL": 4, "DRR": 4}
    assert_valid(objects, require_program("dciodvfy"))
    assert_last_registration_tells_the_truth(running, objects)


async def test_what_cannot_be_matched_is_told_before_anybody_is_exposed(simulated_room: Any, start_room: Any) -> None:
    bare = make_marker_case(np.zeros((0, 3)))
    running = await start_room(simulated_room(of=bare), bare)
    await running.load()
    await running.move_to_setup()
    for method, code in (("markers", "match.no-planned-markers"), ("bones", "config.invalid")):
        with pytest.raises(RemoteError) as caught:
            await running.client.act("image_and_match", match=method)
        assert caught.value.remote_code == code
        assert "2d3d" in caught.value.hint
    status = await running.client.status()
    assert (status["state"], status["passes"]) == ("at set-up position", 0)


def test_a_patient_without_markers_is_refused_on_loading(on_couch: Any, run_demo: Any, tmp_path: Path) -> None:
    on_couch(make_marker_case(np.zeros((0, 3))))
    code, answer, progress = run_demo(tmp_path, "--match", "markers")
    assert code == 3, answer
    assert answer["error"]["code"] == "match.no-planned-markers"
    assert "send the structure set again" in answer["error"]["hint"]
    assert "set-up position" not in progress, "the couch was not moved"


@pytest.mark.parametrize("seed", ["2", pytest.param("11", marks=pytest.mark.soak)])
def test_the_demonstration_makes_a_patient_with_markers(
    seed: str, gold: Case, on_couch: Any, run_demo: Any, tmp_path: Path
) -> None:
    on_couch(gold)
    code, record, progress = run_demo(tmp_path, "--match", "markers", "--seed", seed)
    assert code == 0, record
    assert record["outcome"] == "aligned"
    assert record["truth"]["hidden"]["distance_mm"] > 2.0
    assert record["truth"]["remaining"]["distance_mm"] < DISTANCE_MM
    assert record["truth"]["remaining"]["angle_deg"] < ANGLE_DEG
    assert [one["match"]["kind"] for one in record["passes"]] == ["marker", "marker"]
    assert "Orthogonal kV pair and marker match" in progress
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count('class="marker planned"') == 5 * 6
    assert "GOLD5" in page


def test_a_marker_that_has_moved_by_5_mm_is_named_and_nothing_moves(
    gold: Case, on_couch: Any, run_demo: Any, tmp_path: Path
) -> None:
    on_couch(with_migrated_marker(gold, 2, (3.0, -3.0, 2.7)))
    code, record, _ = run_demo(tmp_path, "--match", "markers", "--seed", "2")
    assert code == 6, record
    assert "GOLD3 lies" in record["message"]
    assert (record["arrived"], record["correction"]) == (None, None)
    assert [one["state"] for one in record["passes"][0]["match"]["markers"]].count("migrated") == 1


def test_another_patient_with_other_markers_is_refused(
    gold: Case, on_couch: Any, run_demo: Any, tmp_path: Path
) -> None:
    on_couch(with_patient_of(gold, make_marker_case(np.array(MARKERS_MM) @ np.diag([-0.6, -1.2, 0.9]))))
    code, record, _ = run_demo(tmp_path, "--match", "markers", "--seed", "2")
    assert code == 6, record
    assert record["outcome"] == "match refused"
    assert (record["arrived"], record["correction"]) == (None, None)


def test_two_markers_correct_the_translation_alone(on_couch: Any, run_demo: Any, tmp_path: Path) -> None:
    on_couch(make_marker_case(MARKERS_MM[1:3]))
    code, record, progress = run_demo(tmp_path, "--match", "markers", "--offset", "6", "-5", "4", "0", "0", "0")
    assert code == 0, record
    assert record["outcome"] == "aligned in part"
    assert record["correction"]["not_corrected"] == ["pitch_deg", "roll_deg", "yaw_deg"]
    start, target = (record["correction"][name]["iec61217"] for name in ("start", "target"))
    for axis in ("pitch_deg", "roll_deg", "patient_support_angle_deg"):
        assert target[axis] == pytest.approx(start[axis], abs=1e-9)
    assert record["truth"]["remaining"]["distance_mm"] < DISTANCE_MM
    assert record["residual"]["largest_axis_deg"] is None
    assert "not corrected: pitch, roll, yaw" in progress
    assert "pitch, roll, yaw was not corrected" in (tmp_path / "report.html").read_text(encoding="utf-8")
