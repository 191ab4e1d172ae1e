"""``isoalign dicom`` as a user meets it, against an archive in this process."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, Verification

from isoalign.cli import main
from isoalign.clock import SystemClock
from isoalign.dicom.archive import Archive
from isoalign.dicom.node import ReceiverSettings
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets, build_case, read_plan, write_file
from isoalign.geometry import PatientPosition
from isoalign.records import Patient, Structure, Volume
from isoalign.room.patient_data import PatientData
from isoalign.room.settings import example_settings_text, parse_settings
from isoalign.storage import Database


@pytest.fixture
def case() -> CaseDatasets:
    values = np.arange(3 * 8 * 8, dtype=np.int16).reshape(3, 8, 8)
    volume = Volume(values, np.zeros(3), np.array([1.0, 1.0, 2.0]), np.eye(3), "", PatientPosition.HFS)
    square = np.array([[1, 1, 2.0], [6, 1, 2], [6, 6, 2]])
    body = Structure(1, "BODY", "EXTERNAL", "CLOSED_PLANAR", (square,))
    now = datetime(2026, 3, 4, tzinfo=UTC)
    return build_case(volume, (body,), (1.0, 2.0, 3.0), patient=Patient("P-1", "Test^Only"), created_at=now)


@dataclass
class Setup:
    archive: Archive
    peer: str
    our_port: int
    folder: Path
    config: Path


@pytest.fixture
def setup(tmp_path: Path, case: CaseDatasets) -> Iterator[Setup]:
    folder = tmp_path / "case"
    folder.mkdir()
    for number, one in enumerate(case.all):
        write_file(one, folder / f"{number}.dcm")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        our_port = probe.getsockname()[1]
    settings = ReceiverSettings("TMS", accept_any=True)
    with Archive(settings, ObjectStore(tmp_path / "archive"), {"PTImageClient": ("127.0.0.1", our_port)}) as archive:
        config = tmp_path / "room.toml"
        text = example_settings_text().replace("port = 14242", f"port = {archive.port}")
        config.write_text(text.replace('"isoalign-data"', f'"{tmp_path}/room"'), encoding="utf-8")
        (tmp_path / "room").mkdir()
        yield Setup(archive, f"TMS@127.0.0.1:{archive.port}", our_port, folder, config)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    code = main(["dicom", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_echo(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dicom", "echo", setup.peer]) == 0
    assert capsys.readouterr().out.startswith("TMS answers after ")
    code, shown = run(capsys, "echo", "archive", "--config", setup.config)
    assert (code, shown["peer"]) == (0, "TMS")


def test_send_and_move(setup: Setup, case: CaseDatasets, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = run(capsys, "send", setup.peer, setup.folder)
    assert (code, shown["stored"], shown["warnings"]) == (0, 5, [])
    uids = case.volume.sop_instance_uids
    options = ["--folder", tmp_path / "got", "--port", setup.our_port]
    code, shown = run(capsys, "move", setup.peer, *uids, *options)
    assert (code, shown["arrived"]) == (0, 3)
    assert sorted(path.stem for path in (tmp_path / "got").glob("*.dcm")) == sorted(uids)
    code, shown = run(capsys, "move", setup.peer, uids[0], "1.2.3", *options)
    assert code == 4
    assert shown["error"]["code"] == "dicom.retrieve-incomplete"
    assert shown["error"]["facts"]["missing"] == ["1.2.3"]


def test_commit(setup: Setup, case: CaseDatasets, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Towards the provider for an in-room CT that the room's configuration describes."""
    text = setup.config.read_text().replace("port = 51700", f"port = {setup.our_port}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    scanner = '[dicom.in_room_ct]\nscanner = { ae_title = "CT1", port = 104 }\ncommitment_over_new_association = true\n'
    settings = parse_settings(text.replace("[storage]", f"{scanner}port = {port}\n\n[storage]"), where="test")
    files = [setup.folder / f"{number}.dcm" for number in (2, 3, 4)]
    committed: list[tuple[str, ...]] = []
    with PatientData(settings, SystemClock()) as data, data.in_room_ct(read_plan(case.plan), committed.append):
        peer = f"PTI-SCP@127.0.0.1:{port}"
        assert run(capsys, "send", peer, *files[:2], "--calling", "CT1")[0] == 0
        code, shown = run(capsys, "commit", peer, *files, "--calling", "CT1")
        assert (code, len(shown["missing"])) == (4, 1)
        assert run(capsys, "send", peer, files[2], "--calling", "CT1")[0] == 0
        code, shown = run(capsys, "commit", peer, *files, "--calling", "CT1")
        assert (code, shown["missing"]) == (0, [])
    assert [sorted(one) for one in committed] == [sorted(case.volume.sop_instance_uids)]


def test_what_the_peer_says_is_shown(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    """Status and comment of the peer, in the message and as a warning."""
    from pydicom import Dataset

    answers = iter([(0xB007, "odd modality"), (0xA700, "disk full"), (0x0000, "")])

    def answer(_: Any) -> Dataset:
        status = Dataset()
        status.Status, status.ErrorComment = next(answers)
        return status

    entity = AE("PACS")
    for sop_class in (Verification, CTImageStorage):
        entity.add_supported_context(sop_class)
    before = set(threading.enumerate())
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
    try:
        files = [setup.folder / f"{number}.dcm" for number in (2, 3, 4)]
        code, shown = run(capsys, "send", f"PACS@127.0.0.1:{server.server_address[1]}", *files)
    finally:
        entity.shutdown()
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
    assert code == 4
    assert "status A700, refused, out of resources (disk full)" in shown["error"]["message"]


def test_queue(setup: Setup, case: CaseDatasets, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [(str(one.SOPInstanceUID), setup.folder / f"{number}.dcm") for number, one in enumerate(case.all)]
    files.append(("1.2.3", tmp_path / "missing.dcm"))
    with Database(tmp_path / "room" / "isoalign.db") as database:
        database.outbox.enqueue("TMS", files, at=SystemClock().utc(), audit="queued")
    code, shown = run(capsys, "queue", "--config", setup.config)
    assert (code, {one["state"] for one in shown["entries"]}, len(shown["entries"])) == (0, {"queued"}, 6)
    code, shown = run(capsys, "queue", "--config", setup.config, "--send")
    assert (shown["sent"], [one["state"] for one in shown["entries"]]) == (5, ["sent"] * 5 + ["failed"])
    code, shown = run(capsys, "queue", "--config", setup.config, "--history", "1")
    assert [(one["state"], one["status"]) for one in shown["entries"]] == [("sent", "0000")]
    code, shown = run(capsys, "queue", "--config", setup.config, "--retry-failed", "--state", "queued")
    assert (shown["queued_again"], len(shown["entries"])) == (1, 1)
    assert main(["dicom", "queue", "--config", str(setup.config)]) == 0
    assert "1.2.3" in capsys.readouterr().out


def test_validate_and_show(setup: Setup, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = run(capsys, "validate", setup.folder)
    assert (code, len(shown["files"])) == (0, 5)
    (setup.folder / "half.dcm").write_bytes((setup.folder / "2.dcm").read_bytes()[:700])
    code, shown = run(capsys, "validate", setup.folder)
    assert code == 3
    assert [Path(one["file"]).name for one in shown["files"] if one["problems"]] == ["half.dcm"]
    code, shown = run(capsys, "show", setup.folder / "0.dcm")
    assert {"tag": "(0008,0060)", "name": "Modality", "value": "RTPLAN"} in shown["elements"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["echo", "TMS"], 2, "AE@HOST:PORT"),
        (["echo", "TMS@127.0.0.1:99999999"], 2, "out of range"),
        (["echo", "archive"], 2, "room.toml"),
        (["echo", "TMS@127.0.0.1:1"], 4, "nothing answers"),
        (["send", "TMS@127.0.0.1:1", "missing.dcm"], 2, "missing.dcm is no file"),
        (["move", "TMS@127.0.0.1:1"], 2, "no instance is named"),
    ],
)
def test_mistakes(arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dicom", *arguments]) == code
    assert told in capsys.readouterr().err
