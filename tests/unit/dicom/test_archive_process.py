"""The archive as a process: ready line, destinations, end with its standard input."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isoalign.dicom.node import NodeSettings, Peer, ReceiverSettings, StorageReceiver, echo, retrieve, send
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets

pytestmark = pytest.mark.system


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    running = []

    def run(*arguments: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "isoalign.dicom.archive", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline() or "{}")

    yield run
    for process in running:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def test_a_case_travels_through_it(start: Any, tmp_path: Path, case: CaseDatasets) -> None:
    with StorageReceiver(ReceiverSettings("ROOM"), ObjectStore(tmp_path / "room")) as receiver:
        process, ready = start(
            "--ae-title", "TMS", "--move-destination", f"ROOM=127.0.0.1:{receiver.port}", "--store", str(tmp_path / "s")
        )
        assert ready == {
            "ready": True,
            "kind": "archive",
            "ae_title": "TMS",
            "host": "127.0.0.1",
            "port": ready["port"],
        }
        peer = Peer("TMS", ready["host"], ready["port"])
        send(peer, case.all)
        report = retrieve(peer, case.volume.sop_instance_uids, receiver, NodeSettings("ROOM"))
        assert len(report.arrived) == 6
        process.stdin.close()
        assert process.wait(10) == 0
        assert process.stdout.read() == "", "one line and no more"


def test_a_destination_can_be_added(start: Any, tmp_path: Path, case: CaseDatasets) -> None:
    process, ready = start("--ae-title", "TMS")
    peer = Peer("TMS", ready["host"], ready["port"])
    send(peer, [case.plan])
    with StorageReceiver(ReceiverSettings("LATER"), ObjectStore(tmp_path / "room")) as receiver:
        process.stdin.write(json.dumps({"move_destination": {"LATER": ["127.0.0.1", receiver.port]}}) + "\n")
        process.stdin.flush()
        echo(peer)
        report = retrieve(peer, [str(case.plan.SOPInstanceUID)], receiver, NodeSettings("LATER"))
        assert len(report.arrived) == 1


def test_sigterm_ends_it_and_stay_ignores_standard_input(start: Any) -> None:
    process, ready = start("--stay")
    process.stdin.close()
    echo(Peer("TMS", ready["host"], ready["port"]))
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_taken_port_is_said_with_an_exit_code(start: Any) -> None:
    _, ready = start()
    process, nothing = start("--port", str(ready["port"]))
    assert nothing == {}
    assert process.wait(10) == 4
