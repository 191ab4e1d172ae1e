"""Clearance in the room: its settings, the patient's hull, and a couch that moves no patient who is not checked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from isoalign.devices.clearance_config import parse_clearance, parse_parts
from isoalign.devices.status import MotionPlan, PlanClearance
from isoalign.errors import RemoteError
from isoalign.geometry import PatientPosition, Representation, TableTopPosition, planned_fixed_from_dicom
from isoalign.records import CtReference, Patient, Structure, StructureSet, Study, Volume
from isoalign.room.adapters import DaemonCouch
from isoalign.room.clearance import daemon_clearance, example_clearance, patient_surface
from isoalign.room.errors import PatientNotChecked, SettingsInvalid, SettingsMissing
from isoalign.room.settings import ClearanceSettings, example_settings_text, parse_settings

HERE = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)
THERE = TableTopPosition(Representation.IEC_61217, 10.0, 700.0, -120.0)
BOX = [[x, y, z] for x in (0, 100) for y in (0, 100) for z in (0, 100)]


def write(folder: Path, text: str, name: str = "room.json") -> ClearanceSettings:
    (folder / name).write_text(text)
    return ClearanceSettings(model=str(folder / name))


def test_nothing_is_checked_unless_the_room_says_so() -> None:
    assert parse_settings(example_settings_text(), where="example").clearance is None
    assert daemon_clearance(None) is None


def test_the_documented_table_is_valid_and_reaches_the_daemon(tmp_path: Path) -> None:
    marked = example_settings_text()
    start = marked.index("# [clearance]")
    table = marked[start : marked.index("\n\n", start) + 1]
    shown = "".join(line.removeprefix("# ") + "\n" for line in table.splitlines())
    settings = parse_settings(marked.replace(table, shown, 1), where="example").clearance
    assert settings is not None
    assert settings.required_mm == ClearanceSettings(model="example").required_mm
    model = write(tmp_path, json.dumps({"parts": [{"name": "post", "frame": "fixed", "vertices_mm": BOX}]}))
    section = daemon_clearance(settings.model_copy(update={"model": model.model}))
    config = parse_clearance(section, "clearance")
    assert config.room is not None
    assert config.room.patient_unchecked, "the room places the patient itself"
    assert config.machine.gantry_angle_deg == 0.0
    assert config.machine.arm_angles_deg == {"A": 0.0}


def test_the_example_room_needs_no_file() -> None:
    section = daemon_clearance(example_clearance())
    assert parse_clearance(section, "clearance").room is None


def test_a_model_may_be_toml(tmp_path: Path) -> None:
    text = f'[[parts]]\nname = "post"\nframe = "fixed"\nvertices_mm = {BOX}\n'
    section = daemon_clearance(write(tmp_path, text, "room.toml"))
    assert section is not None
    assert section["room"]["parts"][0]["name"] == "post"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "neither JSON nor TOML"),
        ("[]", "must be an object"),
        ("{}", "parts"),
        ('{"parts": [{"name": "post", "frame": "bed", "vertices_mm": []}]}', "clearance.room.parts[0].frame"),
        ('{"parts": [], "walls": []}', "walls"),
    ],
)
def test_a_model_that_is_none_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        daemon_clearance(write(tmp_path, text))
    assert said in str(caught.value)
    assert "room.json" in str(caught.value)


def test_a_model_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingsMissing, match=r"clearance\.model"):
        daemon_clearance(ClearanceSettings(model=str(tmp_path / "nowhere.json")))


def structure_set(*structures: Structure) -> StructureSet:
    reference = CtReference("1.2", "1.3", ("1.4",))
    return StructureSet("1.1", "S", Patient("P"), Study("1.2"), "1.5", reference, structures)


def ring(z_mm: float, radius_mm: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return np.column_stack([radius_mm * np.cos(angle), radius_mm * np.sin(angle), np.full(60, z_mm)])


CT = Volume(
    np.full((10, 40, 40), -1000, dtype=np.int16),
    np.array([-100.0, -100.0, 0.0]),
    np.array([5.0, 5.0, 5.0]),
    np.eye(3),
    "1.5",
    PatientPosition.HFS,
)


def test_the_outer_contour_becomes_a_hull_on_the_table_top() -> None:
    skin = Structure(1, "BODY", "EXTERNAL", "CLOSED_PLANAR", tuple(ring(z, 80.0) for z in range(0, 200, 5)))
    organ = Structure(2, "LUNG", "ORGAN", "CLOSED_PLANAR", (ring(0.0, 400.0),))
    surface = patient_surface(structure_set(organ, skin), CT)
    assert surface.warning == ""
    planned = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 100.0))
    parts = parse_parts(surface.parts(planned, HERE), "patient")
    assert {part.body for part in parts} == {"patient"}
    corners = np.concatenate([part.vertices_mm for part in parts])
    # table top: level at 0 / 700 / -120, so fixed (x, y, z) is table (x, y - 700, z + 120); a supine patient's head
    # (+z) lies towards +Y, and the ring is cut at z = 0 to 195 with the isocentre at 100
    assert corners.min(axis=0) == pytest.approx((-80.0, -800.0, 40.0), abs=0.5)
    assert corners.max(axis=0) == pytest.approx((80.0, -605.0, 200.0), abs=0.5)


def test_without_a_contour_the_ct_is_taken_and_that_is_said() -> None:
    content = CT.hounsfield.copy()
    content[:, 10:30, 8:32] = 0
    surface = patient_surface(
        structure_set(), Volume(content, CT.origin_mm, CT.spacing_mm, CT.axes, "1.5", PatientPosition.HFS)
    )
    assert "no outer contour" in surface.warning
    assert surface.points_mm.min(axis=0) == pytest.approx((-62.5, -62.5, 0.0))


class FakeClient:
    """A daemon that takes a patient or does not, and plans what it is told."""

    def __init__(self, clearance: PlanClearance | None) -> None:
        self.clearance = clearance
        self.refuses: RemoteError | None = None
        self.said: list[tuple[str, Any]] = []

    async def place_patient(self, parts: Any) -> None:
        self.said.append(("place", parts))
        if self.refuses is not None:
            raise self.refuses

    async def prepare(self, target: TableTopPosition, approach: str) -> MotionPlan:
        self.said.append(("prepare", approach))
        return MotionPlan("p", HERE, target, 1.0, 1.0, 1.0, 60.0, approach, (), self.clearance)

    async def execute(self, _plan: MotionPlan) -> AsyncIterator[Any]:
        self.said.append(("execute", None))
        yield SimpleNamespace(position=THERE, elapsed_s=1.0, expected_s=1.0, fraction=1.0)


def found(*unchecked: tuple[str, str]) -> PlanClearance:
    return PlanClearance(98.4, 41.0, 11.0, ("nozzle", "patient slab 1"), THERE, unchecked)


async def move(couch: DaemonCouch) -> None:
    async for _ in couch.move(THERE):
        pass


PATIENT = [{"name": "slab"}]


async def test_a_motion_tells_its_clearance_and_what_was_not_checked() -> None:
    client = FakeClient(found(("cable", "nozzle")))
    couch = DaemonCouch(client, "unidirectional")  # type: ignore[arg-type]
    await couch.carry(PATIENT)
    await move(couch)
    assert [what for what, _ in client.said] == ["place", "prepare", "execute"]
    assert client.said[1] == ("prepare", "unidirectional")
    [motion] = couch.motions
    assert motion.clearance_in_words == "98 mm between nozzle and patient slab 1 (41 required)"
    assert motion.not_checked[:2] == ("cable", "immobilisation")


@pytest.mark.parametrize("clearance", [None, found(("patient", "nozzle"))], ids=["no model", "no patient"])
async def test_a_patient_who_was_placed_and_is_not_checked_is_not_moved(clearance: PlanClearance | None) -> None:
    client = FakeClient(clearance)
    couch = DaemonCouch(client)  # type: ignore[arg-type]
    await couch.carry(PATIENT)
    with pytest.raises(PatientNotChecked):
        await move(couch)
    assert "execute" not in [what for what, _ in client.said]
    assert couch.motions[0].refusal


async def test_a_patient_who_was_not_taken_is_placed_before_the_next_motion_or_nothing_moves() -> None:
    client = FakeClient(found())
    client.refuses = RemoteError("the couch is busy", remote_code="device.busy")
    couch = DaemonCouch(client)  # type: ignore[arg-type]
    with pytest.raises(RemoteError):
        await couch.carry(PATIENT)
    with pytest.raises(RemoteError):
        await move(couch)
    assert [what for what, _ in client.said] == ["place", "place"]
    client.refuses = None
    await move(couch)
    assert [what for what, _ in client.said] == ["place", "place", "place", "prepare", "execute"]


async def test_without_a_model_a_motion_says_not_checked() -> None:
    couch = DaemonCouch(FakeClient(None))  # type: ignore[arg-type]
    await move(couch)
    assert couch.motions[0].clearance_in_words == "not checked"
