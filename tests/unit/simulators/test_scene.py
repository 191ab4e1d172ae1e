"""Scene files: a round trip, and every way to get one wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoalign.geometry import DicomPatient, Pose, Representation, TableTop, TableTopPosition, rotation_x
from isoalign.simulators.errors import InvalidScene, UnknownImager
from isoalign.simulators.scene import (
    ImagerTruth,
    Scene,
    SceneSphere,
    SceneVolume,
    TruthAddress,
    load_scene,
    write_scene,
)

SETUP = TableTopPosition(Representation.IEC_61217, 1.0, 700.0, -120.0, 0.5, -0.25, 3.0)


def a_scene() -> Scene:
    volume = SceneVolume(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([0.5, 0.6, 1.5, 1.0]))
    return Scene(
        imagers={"A": ImagerTruth(0.0), "B": ImagerTruth(90.0, 1001.0, 1498.0, 64, 48, 6.0, (1.5, -2.5), 0.75)},
        seed=11,
        volume=volume,
        table_from_dicom=Pose(TableTop, DicomPatient, rotation_x(90.0), (1.0, 2.0, 3.0)),
        couch_top=False,
        spheres=(SceneSphere(np.array([1.0, 2.0, 3.0]), 1.5, 0.95),),
        couch_truth=TruthAddress("127.0.0.1", 4711),
        fixed_table_position=SETUP,
    )


def test_round_trip(tmp_path: Path) -> None:
    scene = a_scene()
    again = load_scene(write_scene(scene, tmp_path / "scene.json"))
    assert again.imagers == scene.imagers
    assert (again.seed, again.couch_top, again.couch_truth) == (11, False, TruthAddress("127.0.0.1", 4711))
    assert again.fixed_table_position == SETUP
    assert again.table_from_dicom == scene.table_from_dicom
    assert again.volume is not None
    assert scene.volume is not None
    assert np.array_equal(again.volume.hounsfield, scene.volume.hounsfield)
    assert np.array_equal(again.volume.dicom_from_index, scene.volume.dicom_from_index)
    assert again.spheres[0].centre_mm.tolist() == [1.0, 2.0, 3.0]
    assert (again.spheres[0].radius_mm, again.spheres[0].mu_per_mm) == (1.5, 0.95)


def test_volume_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "ct").mkdir()
    file = write_scene(a_scene(), tmp_path / "scene.json", volume_path=tmp_path / "ct" / "patient.npz")
    assert load_scene(file).volume is not None


def test_fixed_pose_and_imager_geometry() -> None:
    scene = a_scene()
    assert scene.fixed_pose().translation_mm[2] == pytest.approx(-120.0)
    assert scene.imager("B").geometry().source_mm == pytest.approx([1001.0, 0.0, 0.0], abs=1e-9)
    with pytest.raises(UnknownImager, match="'C'"):
        scene.imager("C")


def change(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda raw: raw.__setitem__(key, value)


BAD: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    ("colour", change("colour", 1)),
    ("imagers", lambda raw: raw.pop("imagers")),
    ("at least one imager", change("imagers", {})),
    ("gantry_angle_deg", lambda raw: raw["imagers"]["A"].pop("gantry_angle_deg")),
    ("tilt", lambda raw: raw["imagers"]["A"].__setitem__("tilt", 1)),
    ("SAD", lambda raw: raw["imagers"]["A"].__setitem__("sad_mm", 2000.0)),
    ("finite", lambda raw: raw["imagers"]["A"].__setitem__("sid_mm", float("inf"))),
    ("pixel", lambda raw: raw["imagers"]["A"].__setitem__("pixel_mm", 0.0)),
    ("spheres", change("spheres", [{"centre_mm": [0, 0, 0], "radius_mm": -1, "mu_per_mm": 1}])),
    ("spheres", change("spheres", [{"centre_mm": [0, 0], "radius_mm": 1, "mu_per_mm": 1}])),
    ("couch_truth", change("couch_truth", {"host": "127.0.0.1"})),
    ("table_from_dicom", change("table_from_dicom", [[1, 0, 0, 0]] * 4)),
    ("how the patient lies", change("table_from_dicom", None)),
    ("fixed_table_position", change("fixed_table_position", [1, 2, 3])),
    ("seed", change("seed", -1)),
    ("couch_top", change("couch_top", "yes")),
    ("volume", change("volume", "missing.npz")),
]


@pytest.mark.parametrize(("named", "spoil"), BAD, ids=[f"{number}-{named}" for number, (named, _) in enumerate(BAD)])
def test_bad_scenes_name_what_is_wrong(tmp_path: Path, named: str, spoil: Callable[[dict[str, Any]], None]) -> None:
    file = write_scene(a_scene(), tmp_path / "scene.json")
    raw = json.loads(file.read_text())
    spoil(raw)
    file.write_text(json.dumps(raw))
    with pytest.raises(InvalidScene, match=named) as caught:
        load_scene(file)
    assert caught.value.hint


def test_nobody_knows_where_the_couch_is(tmp_path: Path) -> None:
    file = write_scene(a_scene(), tmp_path / "scene.json")
    raw = json.loads(file.read_text())
    raw["couch_truth"] = raw["fixed_table_position"] = None
    file.write_text(json.dumps(raw))
    with pytest.raises(InvalidScene, match="where the couch is"):
        load_scene(file)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "3"])
def test_files_that_are_no_scene(tmp_path: Path, text: str) -> None:
    file = tmp_path / "scene.json"
    file.write_text(text)
    with pytest.raises(InvalidScene):
        load_scene(file)
    with pytest.raises(InvalidScene):
        load_scene(tmp_path / "absent.json")


def test_volume_of_the_wrong_kind(tmp_path: Path) -> None:
    file = write_scene(a_scene(), tmp_path / "scene.json")
    np.savez(tmp_path / "scene.npz", hounsfield=np.zeros((2, 2, 2)), dicom_from_index=np.eye(4))
    with pytest.raises(InvalidScene, match="not int16"):
        load_scene(file)
    np.savez(tmp_path / "scene.npz", hounsfield=np.zeros((2, 2, 2), dtype=np.int16))
    with pytest.raises(InvalidScene, match="dicom_from_index"):
        load_scene(file)
    (tmp_path / "scene.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(InvalidScene, match="volume"):
        load_scene(file)
