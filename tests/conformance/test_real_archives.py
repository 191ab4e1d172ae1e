"""Orthanc and DCMTK's dcmqrscp in the place of the archive: store, move, and what their success means."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoalign.dicom.archive import dcmqrscp_configuration, orthanc_configuration
from isoalign.dicom.errors import (
    AssociationAborted,
    AssociationRefused,
    MoveFailed,
    PeerUnreachable,
    RetrieveIncomplete,
    StructureSetUnresolved,
)
from isoalign.dicom.node import (
    Caller,
    NodeSettings,
    Peer,
    ReceiverSettings,
    StorageReceiver,
    echo,
    load_patient,
    require_stored,
    retrieve,
    send,
)
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets, build_case
from isoalign.geometry import PatientPosition
from isoalign.records import Patient, Structure, Volume
from isoalign.room.loopback import free_port

pytestmark = pytest.mark.system

START_TIMEOUT_S = 30.0
SETTINGS = NodeSettings("ROOM", response_timeout_s=20.0, arrival_grace_s=0.5)


def make_case() -> CaseDatasets:
    values = np.arange(5 * 16 * 16, dtype=np.int16).reshape(5, 16, 16)
    volume = Volume(values, np.zeros(3), np.array([1.0, 1.0, 2.0]), np.eye(3), "", PatientPosition.HFS)
    square = np.array([[1, 1, 2.0], [9, 1, 2], [9, 9, 2]])
    body = Structure(1, "BODY", "EXTERNAL", "CLOSED_PLANAR", (square,))
    now = datetime(2026, 3, 4, tzinfo=UTC)
    return build_case(volume, (body,), (1.0, 2.0, 3.0), patient=Patient("P-1", "Test^Only"), created_at=now)


@contextmanager
def running(command: list[str | Path], port: int, folder: Path) -> Iterator[Peer]:
    """Start a server and wait until it answers C-ECHO."""
    peer = Peer("TMS", "127.0.0.1", port)
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "TCP_NODELAY": "1"}
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                echo(peer, SETTINGS)
                break
            except (PeerUnreachable, AssociationAborted, AssociationRefused):
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"{command[0]} did not start: {(folder / 'log.txt').read_text()[-2000:]}")
                time.sleep(0.05)
        yield peer
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(params=["orthanc", "dcmtk"])
def archive(
    request: pytest.FixtureRequest, tmp_path: Path, require_program: Callable[[str], Path]
) -> Iterator[tuple[str, Peer, StorageReceiver]]:
    kind: str = request.param
    program = require_program({"orthanc": "Orthanc", "dcmtk": "dcmqrscp"}[kind])
    store = tmp_path / "archive"
    store.mkdir()
    receiving = ReceiverSettings("ROOM", callers=(Caller("TMS"),))
    with StorageReceiver(receiving, ObjectStore(tmp_path / "room")) as receiver:
        port = free_port()
        destinations = {"ROOM": ("127.0.0.1", receiver.port)}
        config = tmp_path / "config"
        if kind == "orthanc":
            config = config.with_suffix(".json")
            config.write_text(json.dumps(orthanc_configuration("TMS", port, store, destinations)), encoding="utf-8")
            command: list[str | Path] = [program, config]
        else:
            config.write_text(dcmqrscp_configuration("TMS", port, store, destinations), encoding="utf-8")
            command = [program, "--config", config]
        with running(command, port, tmp_path) as peer:
            yield kind, peer, receiver


def test_a_case_travels_through_a_real_archive(archive: Any) -> None:
    kind, peer, receiver = archive
    case = make_case()
    require_stored(send(peer, case.all, calling_ae_title="ROOM"), peer)
    loaded = load_patient(peer, str(case.plan.SOPInstanceUID), receiver, SETTINGS)
    np.testing.assert_array_equal(loaded.volume.hounsfield, case.volume.hounsfield)
    assert loaded.structure_set.named("body") is not None

    # two known and one unknown instance: both archives answer 0000
    uids = [*case.volume.sop_instance_uids[:2], "1.2.3.4"]
    with pytest.raises(RetrieveIncomplete, match="0000") as caught:
        retrieve(peer, uids, receiver, SETTINGS)
    assert caught.value.facts["missing"] == ["1.2.3.4"]

    # one unknown instance: C000 from Orthanc, 0000 with no sub-operation from dcmqrscp
    with pytest.raises(MoveFailed if kind == "orthanc" else RetrieveIncomplete):
        retrieve(peer, ["1.2.3.4"], receiver, SETTINGS)

    # a destination that the archive does not know: Orthanc aborts, dcmqrscp refuses the association or says A801
    with pytest.raises((MoveFailed, AssociationRefused, AssociationAborted)):
        retrieve(peer, uids[:1], receiver, NodeSettings("STRANGER", response_timeout_s=20.0))

    # with upper keys filled from the structure set
    report = retrieve(
        peer,
        case.volume.sop_instance_uids,
        receiver,
        SETTINGS,
        study_instance_uid=str(case.plan.StudyInstanceUID),
        series_instance_uid=case.volume.series_instance_uid,
    )
    assert report.missing == ()


def test_an_unresolved_reference_is_a_question_with_a_real_archive_too(archive: Any) -> None:
    _, peer, receiver = archive
    case = make_case()
    send(peer, [case.plan, *case.ct], calling_ae_title="ROOM")
    with pytest.raises(StructureSetUnresolved):
        load_patient(peer, str(case.plan.SOPInstanceUID), receiver, SETTINGS)
