"""Orthanc in the place of an in-room CT: it stores, asks for storage commitment, and leaves before the result comes."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoalign.dicom.archive import orthanc_configuration
from isoalign.dicom.node import (
    Caller,
    Elsewhere,
    InRoomCtReceiver,
    NodeSettings,
    Notice,
    NoticeKind,
    Peer,
    PlannedPatient,
    ReceiverSettings,
    RetryPolicy,
)
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets, build_case, encode_file, read_plan
from isoalign.geometry import PatientPosition
from isoalign.records import Patient, Structure, Volume
from isoalign.room.loopback import free_port

pytestmark = pytest.mark.system


def make_case() -> CaseDatasets:
    values = np.arange(4 * 16 * 16, dtype=np.int16).reshape(4, 16, 16)
    volume = Volume(values, np.zeros(3), np.array([1.0, 1.0, 2.0]), np.eye(3), "", PatientPosition.HFS)
    square = np.array([[1, 1, 2.0], [9, 1, 2], [9, 9, 2]])
    body = Structure(1, "BODY", "EXTERNAL", "CLOSED_PLANAR", (square,))
    patient = Patient("P-1", "Test^Only", "19500101", "O")
    return build_case(volume, (body,), (1.0, 2.0, 3.0), patient=patient, created_at=datetime(2026, 3, 4, tzinfo=UTC))


class Scanner:
    """Orthanc by its HTTP interface."""

    def __init__(self, http_port: int) -> None:
        self._base = f"http://127.0.0.1:{http_port}"

    def ask(self, path: str, body: bytes | None = None) -> Any:
        with urllib.request.urlopen(urllib.request.Request(self._base + path, data=body), timeout=20) as answer:
            return json.loads(answer.read())

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                self.ask("/system")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        pytest.fail("Orthanc does not answer")

    def commitment(self, instances: list[list[str]], until: str, within_s: float) -> Any:
        asked = self.ask("/modalities/peer1/storage-commitment", json.dumps({"DicomInstances": instances}).encode())
        deadline = time.monotonic() + within_s
        while True:
            report = self.ask(f"/storage-commitment/{asked['ID']}")
            if report["Status"] == until or time.monotonic() > deadline:
                return report
            time.sleep(0.05)


@pytest.fixture
def orthanc(tmp_path: Path, require_program: Callable[[str], Path]) -> Iterator[tuple[Scanner, int, int]]:
    """Orthanc as CT1, which knows us at a port that is still free."""
    program = require_program("Orthanc")
    dicom_port, http_port, our_port = free_port(), free_port(), free_port()
    store = tmp_path / "orthanc"
    store.mkdir()
    config = orthanc_configuration("CT1", dicom_port, store, {"PTI-SCP": ("127.0.0.1", our_port)})
    config |= {"HttpServerEnabled": True, "HttpPort": http_port, "AuthenticationEnabled": False}
    config["DicomModalities"]["peer1"]["AllowStorageCommitment"] = True
    path = tmp_path / "orthanc.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    with (tmp_path / "log.txt").open("wb") as log:
        process = subprocess.Popen([program, path], stdout=log, stderr=log, env={**os.environ, "TCP_NODELAY": "1"})
    try:
        scanner = Scanner(http_port)
        scanner.wait_ready()
        yield scanner, dicom_port, our_port
    finally:
        process.terminate()
        process.wait(20)


def test_a_scanner_stores_and_gets_its_commitment(orthanc: tuple[Scanner, int, int], tmp_path: Path) -> None:
    scanner, dicom_port, our_port = orthanc
    case = make_case()
    notices: list[Notice] = []
    elsewhere = Elsewhere(
        Peer("CT1", "127.0.0.1", dicom_port),
        NodeSettings("PTI-SCP", response_timeout_s=10.0, association_timeout_s=10.0),
        RetryPolicy(first_delay_s=0.2, longest_delay_s=1.0),
    )
    receiver = InRoomCtReceiver(
        ReceiverSettings("PTI-SCP", port=our_port, callers=(Caller("CT1", ("127.0.0.1",)),)),
        ObjectStore(tmp_path / "field"),
        PlannedPatient.of(read_plan(case.plan)),
        on_notice=notices.append,
        on_committed=lambda _: None,
        elsewhere=elsewhere,
    )
    stored = [scanner.ask("/instances", encode_file(one))["ID"] for one in case.ct]
    case.ct[0].PatientID = "P-2"
    case.ct[0].SOPInstanceUID = "1.2.3.4"
    case.ct[0].file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    stranger = scanner.ask("/instances", encode_file(case.ct[0]))["ID"]
    wanted = [[str(one.SOPClassUID), str(one.SOPInstanceUID)] for one in case.ct[1:]]
    with receiver:
        sent = scanner.ask("/modalities/peer1/store", json.dumps(stored).encode())
        assert (sent["InstancesCount"], sent["FailedInstancesCount"]) == (4, 0)
        with pytest.raises(urllib.error.HTTPError):
            scanner.ask("/modalities/peer1/store", json.dumps([stranger]).encode())
        assert notices[-1].kind is NoticeKind.REFUSED
        assert notices[-1].message.startswith("Patient ID (0010,0020)")

        report = scanner.commitment(wanted, "Success", 20)
        assert (report["Status"], len(report["Success"])) == ("Success", 3)
        report = scanner.commitment([*wanted, [wanted[0][0], "1.2.3.4"]], "Failure", 20)
        assert report["Status"] == "Failure"
        assert [one["SOPInstanceUID"] for one in report["Failures"]] == ["1.2.3.4"]
        assert report["Failures"][0]["FailureReason"] == 0x0110
