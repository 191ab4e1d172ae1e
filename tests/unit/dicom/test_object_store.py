"""Objects on disk: whole or not there, never overwritten, never outside the folder."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from isoalign.dicom.errors import InstanceRefused, UnknownInstance
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets


class Index:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add_instance(self, **row: Any) -> None:
        self.rows.append(row)

    def has_instance(self, sop_instance_uid: str) -> bool:
        return any(row["sop_instance_uid"] == sop_instance_uid for row in self.rows)


def put(store: ObjectStore, dataset: pydicom.Dataset, *, uid: str | None = None, explicit: bool = False) -> Path:
    encoded = encode(dataset, not explicit, True)
    assert encoded is not None
    return store.put(
        encoded,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=uid or str(dataset.SOPInstanceUID),
        transfer_syntax_uid=str(ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian),
    ).path


def test_an_object_is_on_disk_and_in_the_index(case: CaseDatasets, tmp_path: Path) -> None:
    index = Index()
    store = ObjectStore(tmp_path / "store", index)
    path = put(store, case.ct[0])
    assert pydicom.dcmread(path).PixelData == case.ct[0].PixelData
    assert path.read_bytes()[:128] == b"\0" * 128
    assert index.rows[0]["size_bytes"] == path.stat().st_size
    assert index.rows[0]["series_instance_uid"] == case.ct[0].SeriesInstanceUID
    assert [one.name for one in (tmp_path / "store").iterdir()] == [path.name]
    assert ObjectStore(tmp_path / "store").uids() == (str(case.ct[0].SOPInstanceUID),), "found again after a restart"


def test_the_same_object_may_come_twice_also_in_another_transfer_syntax(case: CaseDatasets, tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    first = put(store, case.plan).read_bytes()
    put(store, case.plan)
    path = put(store, case.plan, explicit=True)
    assert path.read_bytes() == first, "the first copy stays"


def test_another_object_under_the_same_uid_is_refused_and_kept_aside(case: CaseDatasets, tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    path = put(store, case.plan)
    before = path.read_bytes()
    case.plan.RTPlanLabel = "OTHER"
    with pytest.raises(InstanceRefused, match="another object") as caught:
        put(store, case.plan)
    assert caught.value.status == 0x0117
    assert path.read_bytes() == before
    (aside,) = (tmp_path / "quarantine").iterdir()
    assert pydicom.dcmread(aside).RTPlanLabel == "OTHER"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("uid", ["../../outside", "/etc/passwd", "..", "1", "1.2/3", "1.2\n3", "1." * 40 + "1", ""])
def test_a_uid_that_is_none_never_becomes_a_file_name(case: CaseDatasets, tmp_path: Path, uid: str) -> None:
    store = ObjectStore(tmp_path / "store")
    case.plan.SOPInstanceUID = "1.2.3"
    with pytest.raises(InstanceRefused) as caught:
        put(store, case.plan, uid=uid or " ")
    assert caught.value.status in {0x0117, 0xA900}
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "store"]


def test_command_and_dataset_must_agree(case: CaseDatasets, tmp_path: Path) -> None:
    with pytest.raises(InstanceRefused) as caught:
        put(ObjectStore(tmp_path), case.plan, uid="1.2.3")
    assert caught.value.status == 0xA900


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # bytes that look like another transfer syntax
@pytest.mark.parametrize("seed", range(20))
def test_garbage_is_refused(tmp_path: Path, seed: int) -> None:
    garbage = random.Random(seed).randbytes(500)
    with pytest.raises(InstanceRefused):
        ObjectStore(tmp_path).put(
            garbage, sop_class_uid="1.2", sop_instance_uid="1.2.3", transfer_syntax_uid=ImplicitVRLittleEndian
        )
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing_behind(
    case: CaseDatasets,
    tmp_path: Path,
    full_disk: None,
) -> None:
    store = ObjectStore(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        put(store, case.plan)
    assert not list(tmp_path.iterdir())
    assert str(case.plan.SOPInstanceUID) not in store


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)


def test_partial_files_of_a_crash_are_removed(tmp_path: Path) -> None:
    (tmp_path / "17-1.part").write_bytes(b"half")
    assert ObjectStore(tmp_path).uids() == ()
    assert not list(tmp_path.iterdir())


def test_own_objects(case: CaseDatasets, tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    path = store.put_dataset(case.plan)
    assert pydicom.dcmread(path).RTPlanLabel == "PHANTOM"
    assert store.read(str(case.plan.SOPInstanceUID)).IonBeamSequence[0].BeamNumber == 1
    with pytest.raises(UnknownInstance):
        store.path("1.2.3")
