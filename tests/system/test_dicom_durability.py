"""Nothing acknowledged is lost: a provider killed at random, a full disk, an outbox whose sender is killed."""

from __future__ import annotations

import copy
import json
import random
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from isoalign.clock import SystemClock
from isoalign.dicom import identity
from isoalign.dicom.node import NodeSettings, Peer, send
from isoalign.dicom.objects import build_case, write_file
from isoalign.errors import DicomNetworkError
from isoalign.geometry import PatientPosition
from isoalign.records import Patient, Structure, Volume
from isoalign.storage import Database

pytestmark = pytest.mark.system

SETTINGS = NodeSettings("SENDER", response_timeout_s=10.0, association_timeout_s=10.0)


@pytest.fixture(scope="module")
def image() -> Dataset:
    values = np.arange(2 * 16 * 16, dtype=np.int16).reshape(2, 16, 16)
    volume = Volume(values, np.zeros(3), np.array([1.0, 1.0, 2.0]), np.eye(3), "", PatientPosition.HFS)
    square = np.array([[1, 1, 2.0], [9, 1, 2], [9, 9, 2]])
    body = Structure(1, "BODY", "EXTERNAL", "CLOSED_PLANAR", (square,))
    now = datetime(2026, 3, 4, tzinfo=UTC)
    return build_case(volume, (body,), (1.0, 2.0, 3.0), patient=Patient("P-1", "Test^Only"), created_at=now).ct[0]


def another(image: Dataset, chance: random.Random, pixel_bytes: int = 150_000) -> Dataset:
    one = copy.deepcopy(image)
    one.SOPInstanceUID = identity.new_uid()
    one.PixelData = chance.randbytes(pixel_bytes)
    return one


@contextmanager
def provider(folder: Path, *before: str, **kwargs: Any) -> Iterator[tuple[subprocess.Popen[str], Peer]]:
    command = [sys.executable, "-m", "isoalign.cli", "dicom", "receive", str(folder), "--port", "0", "--json"]
    process = subprocess.Popen([*before, *command], stdout=subprocess.PIPE, text=True, **kwargs)
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        yield process, Peer(ready["ae_title"], ready["host"], ready["port"])
    finally:
        if process.poll() is None:
            process.terminate()
        process.stdout.read()
        process.wait(20)
        process.stdout.close()


def digests(folder: Path) -> dict[str, str]:
    with sqlite3.connect(folder / "isoalign.db") as database:
        found = dict(database.execute("SELECT sop_instance_uid, sha256 FROM instances").fetchall())
    database.close()
    return found


def send_until_it_breaks(peer: Peer, image: Dataset, seed: int, stored: dict[str, bytes]) -> None:
    """Sends until the provider is gone; ``stored`` gets the pixels of what was answered 0000."""
    chance = random.Random(seed)
    sent: dict[str, bytes] = {}

    def endless() -> Iterator[Dataset]:
        while True:
            one = another(image, chance)
            sent[str(one.SOPInstanceUID)] = one.PixelData
            yield one

    def note(result: Any) -> None:
        assert result.status == 0x0000
        stored[result.sop_instance_uid] = sent[result.sop_instance_uid]

    with pytest.raises(DicomNetworkError):
        send(peer, endless(), SETTINGS, on_result=note)


def run_kills(folder: Path, image: Dataset, seed: int, kills: int) -> None:
    import hashlib

    chance = random.Random(seed)
    stored: dict[str, bytes] = {}
    for number in range(kills):
        with provider(folder) as (process, peer):
            threads = [
                threading.Thread(target=send_until_it_breaks, args=(peer, image, seed + 10 * number + one, stored))
                for one in range(2)
            ]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.05, 0.6))
            process.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
    received = folder / "received"
    for path in received.glob("*.dcm"):
        whole = pydicom.dcmread(path)
        assert len(whole.PixelData) == 150_000, "under its final name an object is whole"
    with provider(folder):
        pass
    index = digests(folder)
    assert len(stored) > kills
    for uid, pixels in stored.items():
        content = (received / f"{uid}.dcm").read_bytes()
        assert pydicom.dcmread(received / f"{uid}.dcm").PixelData == pixels
        assert index[uid] == hashlib.sha256(content).hexdigest()
    assert set(index) == {path.stem for path in received.glob("*.dcm")}
    assert not list(received.glob("*.part"))


def test_a_provider_that_is_killed_loses_nothing_that_it_acknowledged(tmp_path: Path, image: Dataset) -> None:
    run_kills(tmp_path, image, 1, 3)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_kills(tmp_path: Path, image: Dataset) -> None:
    run_kills(tmp_path, image, 2, 100)


def assert_refuses_for_want_of_space(folder: Path, peer: Peer, image: Dataset, sizes: list[int]) -> list[int]:
    chance = random.Random(3)
    objects = [another(image, chance, size) for size in sizes]
    statuses = [one.status for one in send(peer, objects, SETTINGS)]
    for one, status in zip(objects, statuses, strict=True):
        path = folder / "received" / f"{one.SOPInstanceUID}.dcm"
        assert path.exists() == (status == 0x0000)
    assert not list((folder / "received").glob("*.part"))
    return statuses


def test_a_file_that_the_disk_does_not_take(tmp_path: Path, image: Dataset) -> None:
    """The kernel refuses to write more than 1 MB into one file: A700, nothing half-written, and the next is stored."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    with provider(tmp_path, preexec_fn=limit) as (_, peer):
        sizes = [100_000, 2_000_000, 100_000]
        assert assert_refuses_for_want_of_space(tmp_path, peer, image, sizes) == [0x0000, 0xA700, 0x0000]


def test_a_full_and_a_read_only_disk(tmp_path: Path, image: Dataset) -> None:
    """A real small file system that fills up, then is mounted read-only."""
    unshare = shutil.which("unshare")
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(tmp_path)]
    if unshare is None or subprocess.run(probe, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine has no user namespaces to mount a small file system in")
    folder = tmp_path / "provider"
    disk = folder / "received"
    disk.mkdir(parents=True)
    script = f'mount -t tmpfs -o size=3m none {disk} && exec "$@"'
    with provider(folder, "unshare", "-rm", "sh", "-c", script, "sh") as (process, peer):
        seen = Path(f"/proc/{process.pid}/root{folder}")  # the folder as the provider sees it
        statuses = assert_refuses_for_want_of_space(seen, peer, image, [400_000] * 8 + [1_000])
        assert statuses[0] == 0x0000
        assert 0xA700 in statuses
        assert set(statuses) == {0x0000, 0xA700}
        entered = ["nsenter", "--preserve-credentials", "-U", "-m", "-t", str(process.pid)]
        subprocess.run([*entered, "mount", "-o", "remount,ro", str(disk)], check=True)
        assert assert_refuses_for_want_of_space(seen, peer, image, [1_000]) == [0xA700]


def test_an_outbox_whose_sender_is_killed(tmp_path: Path, image: Dataset) -> None:
    """Every object arrives, and what arrives twice carries the UID that the peer knows."""
    folder, chance = tmp_path / "room", random.Random(5)
    folder.mkdir()
    files = []
    for _ in range(40):
        one = another(image, chance)
        files.append((str(one.SOPInstanceUID), write_file(one, folder / f"{one.SOPInstanceUID}.dcm")))
    with Database(folder / "isoalign.db") as database:
        database.outbox.enqueue("TMS", files, at=SystemClock().utc(), audit="results queued")
    archive = tmp_path / "archive"
    config = tmp_path / "room.toml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    receive = [sys.executable, "-m", "isoalign.cli", "dicom", "receive", str(archive), "--ae-title", "TMS"]
    peer = subprocess.Popen([*receive, "--port", str(port), "--json"], stdout=subprocess.PIPE, text=True)
    assert peer.stdout is not None
    try:
        assert json.loads(peer.stdout.readline())["ready"]
        from isoalign.room.settings import example_settings_text

        text = (
            example_settings_text().replace("port = 14242", f"port = {port}").replace('"isoalign-data"', f'"{folder}"')
        )
        config.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "isoalign.cli", "dicom", "queue", "--config", str(config), "--send", "--json"]
        sender = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while len(list((archive / "received").glob("*.dcm"))) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        sender.send_signal(signal.SIGKILL)
        sender.wait()
        shown = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    finally:
        peer.terminate()
        peer.stdout.read()
        peer.wait(20)
        peer.stdout.close()
    assert {one["state"] for one in shown["entries"]} == {"sent"}
    assert shown["sent"] > 0
    assert sorted(path.stem for path in (archive / "received").glob("*.dcm")) == sorted(uid for uid, _ in files)
    assert not (archive / "received" / "quarantine").exists()
