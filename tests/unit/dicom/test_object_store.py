"""Objects on disk: whole or not there, never overwritten, never outside the folder."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from isoalign.dicom.errors import InstanceRefused, UnknownInstance
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets
from isoalign.dicom.ports import IndexEntry
from isoalign.storage.errors import DatabaseUnavailable


class Index:
    def __init__(self) -> None:
        self.rows: dict[str, IndexEntry] = {}

    def add_instances(self, entries: Sequence[IndexEntry]) -> None:
        self.rows.update({entry.sop_instance_uid: entry for entry in entries})

    def instance_uids(self) -> set[str]:
        return set(self.rows)

    def reconcile(self, *, add: Sequence[IndexEntry], forget: Sequence[str]) -> None:
        if add:
            self.add_instances(add)
        for uid in forget:
            del self.rows[uid]


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
    (entry,) = index.rows.values()
    assert entry.size_bytes == path.stat().st_size
    assert entry.series_instance_uid == case.ct[0].SeriesInstanceUID
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


def refuse_sync(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk_leaves_nothing_behind(case: CaseDatasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ObjectStore(tmp_path)
    monkeypatch.setattr(os, "fsync", refuse_sync)
    with pytest.raises(OSError, match="No space left"):
        put(store, case.plan)
    assert not list(tmp_path.iterdir())
    assert str(case.plan.SOPInstanceUID) not in store


def test_an_object_that_is_not_indexed_is_not_acknowledged_until_it_is(case: CaseDatasets, tmp_path: Path) -> None:
    class Broken(Index):
        def add_instances(self, entries: Sequence[IndexEntry]) -> None:
            raise DatabaseUnavailable("disk I/O error")

    with pytest.raises(DatabaseUnavailable):
        put(ObjectStore(tmp_path, Broken()), case.plan)
    index = Index()
    store = ObjectStore(tmp_path, index)
    assert set(index.rows) == {str(case.plan.SOPInstanceUID)}, "the folder is the truth"
    index.rows.clear()
    assert put(store, case.plan).is_file()


def test_the_index_follows_the_folder(case: CaseDatasets, tmp_path: Path) -> None:
    index = Index()
    store = ObjectStore(tmp_path, index)
    paths = [put(store, one) for one in case.ct[:3]]
    paths[0].unlink()
    (tmp_path / "1.2.3.dcm").write_bytes(b"no DICOM")
    del index.rows[str(case.ct[1].SOPInstanceUID)]
    ObjectStore(tmp_path, index)
    assert set(index.rows) == {str(one.SOPInstanceUID) for one in case.ct[1:3]}


def test_partial_files_of_a_crash_are_removed(tmp_path: Path) -> None:
    (tmp_path / "17-1.part").write_bytes(b"half")
    assert ObjectStore(tmp_path).uids() == ()
    assert not list(tmp_path.iterdir())


def test_own_objects(case: CaseDatasets, tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    path = store.put_dataset(case.plan).path
    assert pydicom.dcmread(path).RTPlanLabel == "PHANTOM"
    assert store.read(str(case.plan.SOPInstanceUID)).IonBeamSequence[0].BeamNumber == 1
    with pytest.raises(UnknownInstance):
        store.path("1.2.3")


@pytest.mark.parametrize("uid", ["1.2", "1.23", "2.25." + "9" * 39])
def test_file_meta_information_is_that_of_the_library(case: CaseDatasets, tmp_path: Path, uid: str) -> None:
    case.plan.SOPInstanceUID = uid
    case.plan.file_meta.MediaStorageSOPInstanceUID = uid
    path = put(ObjectStore(tmp_path / "store"), case.plan)
    other = tmp_path / "other.dcm"
    pydicom.dcmwrite(other, case.plan, enforce_file_format=True)
    assert path.read_bytes() == other.read_bytes()


def test_objects_that_come_at_once_settle_together(case: CaseDatasets, tmp_path: Path) -> None:
    """While the index is busy with the first, the others gather; then they are added in one call."""
    entered, go_on = threading.Event(), threading.Event()
    calls: list[int] = []

    class Slow(Index):
        def add_instances(self, entries: Sequence[IndexEntry]) -> None:
            calls.append(len(entries))
            entered.set()
            assert go_on.wait(10)
            super().add_instances(entries)

    index = Slow()
    store = ObjectStore(tmp_path, index)
    threads = [threading.Thread(target=put, args=(store, one)) for one in case.ct]
    threads[0].start()
    assert entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    deadline = time.monotonic() + 10
    while len(list(tmp_path.glob("*.dcm"))) < len(case.ct):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.1)  # from its name to the batch
    go_on.set()
    for thread in threads:
        thread.join()
    assert calls == [1, len(case.ct) - 1]
    assert set(index.rows) == {str(one.SOPInstanceUID) for one in case.ct}


def test_each_of_a_batch_that_fails_is_refused_and_settles_when_it_comes_again(
    case: CaseDatasets, tmp_path: Path
) -> None:
    class Broken(Index):
        is_broken = True

        def add_instances(self, entries: Sequence[IndexEntry]) -> None:
            if self.is_broken:
                raise DatabaseUnavailable("disk I/O error")
            super().add_instances(entries)

    index = Broken()
    store = ObjectStore(tmp_path, index)
    for one in case.ct[:2]:
        with pytest.raises(DatabaseUnavailable):
            put(store, one)
    index.is_broken = False
    for one in case.ct[:2]:
        put(store, one)
    assert set(index.rows) == {str(one.SOPInstanceUID) for one in case.ct[:2]}
