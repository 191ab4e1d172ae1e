"""A tiny case, and an archive with a storage provider in this process."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from isoalign.dicom.archive import Archive
from isoalign.dicom.node import Caller, NodeSettings, Peer, ReceiverSettings, StorageReceiver
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets, build_case, write_file
from isoalign.geometry import PatientPosition
from isoalign.records import Patient, Structure, Volume

NOW = datetime(2026, 3, 4, 5, 6, 7, 891000, tzinfo=UTC)


def make_volume(slices: int = 6) -> Volume:
    values = np.arange(slices * 8 * 10, dtype=np.int16).reshape(slices, 8, 10) - 300
    return Volume(values, np.array([-10.0, -20.0, -5.0]), np.array([1.0, 2.0, 2.5]), np.eye(3), "", PatientPosition.HFS)


def make_structures() -> tuple[Structure, ...]:
    square = np.array([[-5, -10, 0.0], [5, -10, 0], [5, 5, 0], [-5, 5, 0]])
    return (
        Structure(1, "BODY", "EXTERNAL", "CLOSED_PLANAR", (square, square + np.array([0, 0, 2.5]))),
        Structure(2, "Seed 1", "MARKER", "POINT", (np.array([[1.0, 2.0, 3.25]]),)),
    )


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def volume() -> Volume:
    return make_volume()


@pytest.fixture
def case(volume: Volume) -> CaseDatasets:
    return build_case(volume, make_structures(), (1.0, -2.0, 3.0), patient=Patient("P-1", "Test^Only"), created_at=NOW)


@pytest.fixture
def write_case(tmp_path: Path) -> Callable[[CaseDatasets], Path]:
    """Writes a case to a folder: RP.dcm, RS.dcm and ct/0.dcm, ct/1.dcm, ..."""

    def write(objects: CaseDatasets) -> Path:
        folder = tmp_path / "case"
        (folder / "ct").mkdir(parents=True)
        write_file(objects.plan, folder / "RP.dcm")
        write_file(objects.structure_set, folder / "RS.dcm")
        for number, one in enumerate(objects.ct):
            write_file(one, folder / "ct" / f"{number}.dcm")
        return folder

    return write


@dataclass
class Network:
    archive: Archive
    receiver: StorageReceiver
    peer: Peer
    settings: NodeSettings


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """An archive that knows the receiver as move destination ROOM."""
    receiving = ReceiverSettings(ae_title="ROOM", callers=(Caller("TMS", ("127.0.0.1",)),))
    settings = NodeSettings("ROOM", response_timeout_s=20.0, arrival_grace_s=0.05)
    with StorageReceiver(receiving, ObjectStore(tmp_path / "room")) as receiver:
        storing = ReceiverSettings(ae_title="TMS", accept_any=True)
        store = ObjectStore(tmp_path / "archive")
        with Archive(storing, store, {"ROOM": ("127.0.0.1", receiver.port)}) as archive:
            yield Network(archive, receiver, Peer("TMS", "127.0.0.1", archive.port), settings)


@pytest.fixture
def unpack(tmp_path: Path) -> Callable[[Path], Path]:
    def unpack_archive(archive: Path) -> Path:
        with tarfile.open(archive) as tar:
            tar.extractall(tmp_path, filter="data")
        return tmp_path

    return unpack_archive
