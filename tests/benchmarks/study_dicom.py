"""Throughput of the DICOM node over loopback: 200 CT slices of 512 x 512, against DCMTK and Orthanc, as ratios.

    python tests/benchmarks/study_dicom.py           three rounds
    python tests/benchmarks/study_dicom.py --full    nine rounds

Receive: DCMTK's storescu sends to storescp (bit-preserving, nothing synced), to Orthanc (storage area synced) and to
`isoalign dicom receive` (file and folder synced, indexed), over one association and over three at once. Send:
storescu and this node send the same files to storescp. Every program of DCMTK runs with TCP_NODELAY=1, without which
it waits 40 ms for each object. How much of our time is the library's is seen from pynetdicom with a handler that
throws objects away. All take turns in each round; medians. Exits with 1 when an object is missing, and in full also
when a ratio is below its goal.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from isoalign.dicom.archive import orthanc_configuration
from isoalign.dicom.errors import AssociationAborted, AssociationRefused, PeerUnreachable
from isoalign.dicom.node import NodeSettings, Peer, WholeFile, echo, send
from isoalign.dicom.objects import build_case, write_file
from isoalign.geometry import PatientPosition
from isoalign.records import Patient, Structure, Volume
from isoalign.room.loopback import free_port

SLICES, ROWS = 200, 512
SHORT, FULL = 3, 9
ASSOCIATIONS = (1, 3)
GOAL_RECEIVE, GOAL_SEND = 1.0, 0.28
"""Of Orthanc with its storage synced, every object durable; of storescu with PDUs of 128 KiB."""
LIBRARY_ALONE = """
import sys
from pynetdicom import AE, _config, evt
_config.LOG_HANDLER_LEVEL = "none"
entity = AE("STORE")
entity.maximum_pdu_size = 131072
for sop_class in ("1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"):
    entity.add_supported_context(sop_class)
entity.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, lambda event: 0x0000)])
"""
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}


def main() -> int:
    """Run the study; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args()
    rounds = options.rounds or (FULL if options.full else SHORT)
    missing = [name for name in ("storescu", "storescp", "Orthanc") if find(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
        return 1
    with tempfile.TemporaryDirectory(prefix="isoalign-study-") as scratch:
        files = write_slices(Path(scratch) / "slices")
        receivers = {
            "storescp +B": storescp,
            "Orthanc": orthanc,
            "pynetdicom, no disk": library_alone,
            "isoalign": own_receiver,
        }
        senders: dict[str, Callable[[Peer, list[Path]], float]] = {
            "storescu, 32 KiB": lambda peer, paths: storescu(peer, paths, 32_768),
            "storescu, 128 KiB": lambda peer, paths: storescu(peer, paths, 131_072),
            "isoalign, 32 KiB": lambda peer, paths: own_sender(peer, paths, 32_768),
            "isoalign, 128 KiB": lambda peer, paths: own_sender(peer, paths, 131_072),
        }
        received: dict[tuple[str, int], list[float]] = {
            (name, count): [] for count in ASSOCIATIONS for name in receivers
        }
        sent: dict[str, list[float]] = {name: [] for name in senders}
        for number in range(rounds):
            for (name, count), rates in received.items():
                with receivers[name](Path(scratch) / f"{number}-{len(name)}-{count}") as peer:
                    rates.append(SLICES / at_once(peer, files, count))
            for name, act in senders.items():
                with storescp(Path(scratch) / f"{number}-send") as peer:
                    sent[name].append(SLICES / act(peer, files))
    for count in ASSOCIATIONS:
        together = {name: received[name, count] for name in receivers}
        table(f"receive over {count} associations, images a second", together, "storescp +B")
    table("send, images a second", sent, "storescu, 128 KiB")
    reached = [
        goal(f"receive over {count}, of Orthanc", received["isoalign", count], received["Orthanc", count], GOAL_RECEIVE)
        for count in ASSOCIATIONS
    ]
    reached.append(goal("send, 128 KiB, of storescu", sent["isoalign, 128 KiB"], sent["storescu, 128 KiB"], GOAL_SEND))
    goal("send, 32 KiB, of storescu", sent["isoalign, 32 KiB"], sent["storescu, 32 KiB"], 0.0)
    print(f"{rounds} rounds, {os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}")
    return 1 if options.full and not all(reached) else 0


def goal(what: str, rates: list[float], of: list[float], least: float) -> bool:
    """Whether a ratio of medians is reached, and say so."""
    ratio = statistics.median(rates) / statistics.median(of)
    judged = f", goal {least:g}: {'reached' if ratio >= least else 'missed'}" if least else ""
    print(f"{what}: {ratio:.2f}{judged}")
    return ratio >= least


def table(title: str, rates: dict[str, list[float]], reference: str) -> None:
    """Median, range and ratio of each."""
    base = statistics.median(rates[reference])
    print(f"\n{title}\n{'':20}{'median':>8}{'least':>8}{'most':>8}{'ratio':>8}")
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:20}{median:8.0f}{min(values):8.0f}{max(values):8.0f}{median / base:8.2f}")


def find(name: str) -> str | None:
    """A program, also where it is for administrators."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def write_slices(folder: Path) -> list[Path]:
    """A CT of noise, which nothing can compress."""
    folder.mkdir()
    values = np.random.default_rng(0).integers(-1000, 2000, (SLICES, ROWS, ROWS), dtype=np.int16)
    volume = Volume(values, np.zeros(3), np.array([1.0, 1.0, 1.0]), np.eye(3), "", PatientPosition.HFS)
    square = np.array([[1, 1, 2.0], [9, 1, 2], [9, 9, 2]])
    body = Structure(1, "BODY", "EXTERNAL", "CLOSED_PLANAR", (square,))
    now = datetime(2026, 3, 4, tzinfo=UTC)
    case = build_case(volume, (body,), (1.0, 2.0, 3.0), patient=Patient("P-1", "Test^Only"), created_at=now)
    return [write_file(one, folder / f"{number:03}.dcm") for number, one in enumerate(case.ct)]


@contextmanager
def running(command: list[str], title: str, port: int, kept: Path | None) -> Iterator[Peer]:
    """A provider, until it answers; all objects must be there at the end, where any are kept."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    peer = Peer(title, "127.0.0.1", port)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                echo(peer, NodeSettings("STUDY", association_timeout_s=10.0))
                break
            except (PeerUnreachable, AssociationAborted, AssociationRefused):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        yield peer
        if kept is None:
            return
        count = sum(path.is_file() and path.stat().st_size > ROWS * ROWS for path in kept.rglob("*"))
        if count < SLICES:
            raise SystemExit(f"{command[0]} kept {count} of {SLICES} objects")
    finally:
        process.terminate()
        process.wait(30)
        if kept is not None:
            shutil.rmtree(kept, ignore_errors=True)


@contextmanager
def storescp(folder: Path) -> Iterator[Peer]:
    folder.mkdir()
    port = free_port()
    command = [str(find("storescp")), "+B", "--fork", "-od", str(folder), "-pdu", "131072", "-aet", "STORE", str(port)]
    with running(command, "STORE", port, folder) as peer:
        yield peer


@contextmanager
def orthanc(folder: Path) -> Iterator[Peer]:
    folder.mkdir()
    port = free_port()
    config = folder / "orthanc.json"
    settings = orthanc_configuration("STORE", port, folder, {"STUDY": ("127.0.0.1", 1)})
    config.write_text(json.dumps(settings | {"SyncStorageArea": True}), encoding="utf-8")
    with running([str(find("Orthanc")), str(config)], "STORE", port, folder) as peer:
        yield peer


@contextmanager
def library_alone(_: Path) -> Iterator[Peer]:
    port = free_port()
    with running([sys.executable, "-c", LIBRARY_ALONE, str(port)], "STORE", port, None) as peer:
        yield peer


@contextmanager
def own_receiver(folder: Path) -> Iterator[Peer]:
    port = free_port()
    command = [sys.executable, "-m", "isoalign.cli", "dicom", "receive", str(folder), "--ae-title", "STORE"]
    with running([*command, "--port", str(port)], "STORE", port, folder) as peer:
        yield peer


def at_once(peer: Peer, files: list[Path], count: int) -> float:
    """Seconds that this many of storescu take together."""
    began = time.monotonic()
    threads = [threading.Thread(target=storescu, args=(peer, files[number::count], 131_072)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - began


def storescu(peer: Peer, files: list[Path], pdu_bytes: int) -> float:
    """Seconds that storescu takes."""
    command = [str(find("storescu")), "-pdu", str(pdu_bytes), "--max-send-pdu", str(pdu_bytes), "-aet", "STUDY"]
    began = time.monotonic()
    subprocess.run(
        [*command, "-aec", peer.ae_title, peer.host, str(peer.port), *map(str, files)],
        check=True,
        capture_output=True,
        env=ENVIRONMENT,
    )
    return time.monotonic() - began


def own_sender(peer: Peer, files: list[Path], pdu_bytes: int) -> float:
    """Seconds that this node takes, reading of the files included."""
    began = time.monotonic()
    results = send(peer, map(WholeFile.read, files), NodeSettings("STUDY", send_pdu_bytes=pdu_bytes))
    if {one.status for one in results} != {0x0000}:
        raise SystemExit("an object was not stored")
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
