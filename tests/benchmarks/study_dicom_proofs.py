"""The long proofs of the DICOM node: no answer lost, no harm from what a broken peer sends or leaves, flat memory.

    python tests/benchmarks/study_dicom_proofs.py                      a thousandth of everything
    python tests/benchmarks/study_dicom_proofs.py --full               all of it
    python tests/benchmarks/study_dicom_proofs.py --full --minutes 5   as much as fits; the next call goes on

* Stores: this node sends over three associations at once to a provider in another process. Judged by what that has
  counted: each instance once, and each answered.
* Mutants: data sets and whole conversations with changed, removed and added bytes (seeded), for `isoalign dicom
  receive`. They are led by the lines of code that they reach in a provider in this process: a mutant that reaches a new
  one becomes a parent of others.
* Deaths: a conversation cut at every byte, by an orderly end of the connection and by a reset.
* Memory: images, then associations, at one receiver.

Of the receiver in its own process are judged: that it lives, that a genuine peer is served within 1 s meanwhile, its
peak of memory, its threads and descriptors afterwards, and what is in its folder. Exits with 1 when something is not as
it must be, with 2 when time was over first.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from blocks import FOLDER, ROOT, run_blocks

from isoalign.dicom import identity
from isoalign.dicom.errors import InstanceRefused
from isoalign.dicom.node import NodeSettings, Peer, ReceiverSettings, StorageReceiver, echo, send
from isoalign.dicom.object_store import ObjectStore, StoredInstance
from isoalign.dicom.objects.examples import example_objects
from isoalign.errors import StorageError

sys.path.insert(0, str(ROOT / "tests" / "support"))
from guided_mutants import Guided, guided_mutants
from raw_dicom_peer import RawPeer, association_request, command, fragments, implicit, p_data

MIB = 1024 * 1024
ASSOCIATIONS = 3
STORES, DATA_SETS, CONVERSATIONS, IMAGES, ECHOES = 102_000, 80_000, 20_000, 10_000, 1_000
STORES_BLOCK, MUTANTS_BLOCK, CUTS_BLOCK = 3_000, 1_000, 250
TRIES = 500
"""Of the mutants of a block, to find those from which the others descend."""
WATCHED = ("isoalign/dicom/", "isoalign/storage/", "/pydicom/", "/pynetdicom/")
IMPLICIT = "1.2.840.10008.1.2"
SERVED_WITHIN_S = 1.0
MOST_MEMORY_BYTES = 32 * MIB
ALLOWED = {0x0000, 0xB007, 0x0117, 0xA900, 0xC000}
RELEASE_REQUEST = struct.pack(">BxI4x", 0x05, 4)
NO_LINGER = struct.pack("ii", 1, 0)
SENDER = NodeSettings("SENDER", response_timeout_s=30.0, association_timeout_s=30.0)


class TimeIsOver(Exception):
    """Before the last block."""


class CountingStore(ObjectStore):
    """Keeps nothing but the UIDs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.counts: Counter[str] = Counter()

    def put(self, encoded: bytes, *, sop_class_uid: str, sop_instance_uid: str, **_: Any) -> StoredInstance:
        self.counts[sop_instance_uid] += len(encoded) > 0
        return StoredInstance(sop_instance_uid, sop_class_uid, Path(), is_new=True)


def serve() -> int:
    """The provider of the stores: prints its port, and at the end of its input what it has counted."""
    with tempfile.TemporaryDirectory() as scratch:
        store = CountingStore(Path(scratch))
        with StorageReceiver(ReceiverSettings("STORE", accept_any=True), store) as receiver:
            print(receiver.port, flush=True)
            sys.stdin.read()
        print(json.dumps(store.counts), flush=True)
    return 0


def stores(number: int) -> dict[str, Any]:
    """One block over three associations."""
    command_line = [sys.executable, __file__, "--serve"]
    provider = subprocess.Popen(command_line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert provider.stdin is not None
    assert provider.stdout is not None
    peer = Peer("STORE", "127.0.0.1", int(provider.stdout.readline()))
    answered: list[str] = []
    failures: list[str] = []

    def work(association: int) -> None:
        try:
            for result in send(peer, images(f"{number}/{association}", STORES_BLOCK // ASSOCIATIONS), SENDER):
                if result.status == 0x0000:
                    answered.append(result.sop_instance_uid)
                else:
                    failures.append(f"status {result.status:04X}")
        except Exception as error:  # noqa: BLE001 - counted
            failures.append(repr(error))

    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(one,)) for one in range(ASSOCIATIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.monotonic() - began
    provider.stdin.close()
    counted = json.loads(provider.stdout.readline())
    provider.wait(30)
    once = sum(count == 1 for count in counted.values())
    lost = STORES_BLOCK - len(answered)
    return {"sent": STORES_BLOCK, "lost": lost, "once": once, "failures": failures, "took_s": took_s}


def images(seed: str, count: int, pixel_bytes: int = 0) -> Iterator[Any]:
    """CT images of an own UID each, mostly small ones when no size is given."""
    chance, image = random.Random(seed), example_objects()["CT"]
    for _ in range(count):
        one = copy.deepcopy(image)
        one.SOPInstanceUID = identity.new_uid()
        one.PixelData = b"\1\2" * (pixel_bytes // 2 or chance.choice([80, 80, 80, 5_000, 60_000]))
        yield one


class Receiver:
    """A receiver in a process of its own, and what is seen of it from outside."""

    def __init__(self, process: subprocess.Popen[str], peer: Peer, folder: Path) -> None:
        self.process, self.peer, self.folder = process, peer, folder / "received"
        self.longest_s = 0.0
        self.resident_bytes = self.status("VmRSS")

    def status(self, what: str) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        line = next(one for one in text.splitlines() if one.startswith(f"{what}:"))
        return int(line.split()[1]) * (1024 if line.endswith("kB") else 1)

    def descriptors(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def serve_somebody(self) -> None:
        began = time.monotonic()
        echo(self.peer, SENDER)
        self.longest_s = max(self.longest_s, time.monotonic() - began)

    def verdict(self) -> dict[str, Any]:
        self.serve_somebody()
        deadline = time.monotonic() + 20
        while self.status("Threads") > 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return {
            "served_s": self.longest_s,
            "memory_bytes": self.status("VmHWM") - self.resident_bytes,
            "threads": self.status("Threads"),
            "descriptors": self.descriptors(),
            "partial": sum(path.suffix == ".part" for path in files),
            "files": sum(path.parent == self.folder for path in files),
        }


@contextmanager
def receiver() -> Iterator[Receiver]:
    with tempfile.TemporaryDirectory(prefix="isoalign-study-") as scratch:
        command_line = [sys.executable, "-m", "isoalign.cli", "dicom", "receive", scratch, "--port", "0", "--json"]
        process = subprocess.Popen(
            command_line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ
        )
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        reading = threading.Thread(target=process.stdout.read)
        reading.start()
        peer = Peer(ready["ae_title"], ready["host"], ready["port"])
        try:
            send(peer, images("warm", 20, 200_000), SENDER)
            yield Receiver(process, peer, Path(scratch))
            assert process.poll() is None, "the receiver has died"
        finally:
            process.terminate()
            process.wait(30)
            reading.join()
            process.stdout.close()


def guided_data_sets(number: int, encoded: bytes, image: Any) -> Guided:
    """Led by what an object store in this process does with them."""
    uid, sop_class = str(image.SOPInstanceUID), str(image.SOPClassUID)
    with tempfile.TemporaryDirectory(prefix="isoalign-study-") as scratch:
        store = ObjectStore(Path(scratch))

        def run(content: bytes) -> None:
            with suppress(InstanceRefused, StorageError):
                store.put(content, sop_class_uid=sop_class, sop_instance_uid=uid, transfer_syntax_uid=IMPLICIT)

        return guided_mutants(number, MUTANTS_BLOCK, encoded, run, WATCHED, tries=TRIES)


def guided_conversations(number: int, whole: bytes, ae_title: str) -> Guided:
    """Led by what a provider in this process does with them."""
    with tempfile.TemporaryDirectory(prefix="isoalign-study-") as scratch:
        settings = ReceiverSettings(ae_title, accept_any=True)
        with StorageReceiver(settings, ObjectStore(Path(scratch))) as provider:
            at_rest = threading.active_count()

            def run(content: bytes) -> None:
                with suppress(OSError), socket.create_connection(("127.0.0.1", provider.port), timeout=10) as line:
                    line.sendall(content)
                deadline = time.monotonic() + 2.0
                while threading.active_count() > at_rest and time.monotonic() < deadline:
                    time.sleep(0.001)

            return guided_mutants(number, MUTANTS_BLOCK, whole, run, WATCHED, tries=TRIES)


def mutated(kind: str, number: int) -> dict[str, Any]:
    """One block of mutated data sets on one association, or of conversations on one each."""
    image = example_objects()["CT"]
    uid, encoded = str(image.SOPInstanceUID), implicit(image)
    statuses: Counter[str] = Counter()
    title = "PTImageClient"
    if kind == "data sets":
        guided = guided_data_sets(number, encoded, image)
    else:
        whole = association_request(called=title) + p_data(command(uid), 0x03) + b"".join(fragments(encoded))
        guided = guided_conversations(number, whole, title)
    with receiver() as running:
        assert running.peer.ae_title == title
        if kind == "data sets":
            peer = RawPeer(running.peer.port)
            peer.associate(called=title)
            for count, content in enumerate(guided.mutants):
                statuses[f"{peer.store(uid, content):04X}"] += 1
                if count % 100 == 0:
                    running.serve_somebody()
            peer.socket.close()
        else:
            for count, content in enumerate(guided.mutants):
                with socket.create_connection(("127.0.0.1", running.peer.port), timeout=10) as connection:
                    connection.sendall(content)
                if count % 100 == 0:
                    running.serve_somebody()
        verdict = running.verdict()
    verdict["wrong"] = sum(count for status, count in statuses.items() if int(status, 16) not in ALLOWED)
    led = {"parents": guided.parents, "lines": guided.lines, "lines_of_whole": guided.lines_of_whole}
    return {"count": MUTANTS_BLOCK, "statuses": statuses, **led, **verdict}


def conversation() -> list[bytes]:
    """What a genuine peer says, up to each of the answers that it waits for."""
    image = example_objects()["CT"]
    uid = str(image.SOPInstanceUID)
    stored = p_data(command(uid), 0x03) + b"".join(fragments(implicit(image)))
    return [association_request(called="PTImageClient"), stored, RELEASE_REQUEST]


def deaths(first: int, reset: bool) -> dict[str, Any]:
    """Peers that die after this many bytes and each of the following."""
    steps = conversation()
    total = sum(map(len, steps))
    cuts = range(first, min(first + CUTS_BLOCK, total + 1))
    with receiver() as running:
        for cut in cuts:
            peer = RawPeer(running.peer.port)
            left = cut
            for step in steps:
                peer.socket.sendall(step[:left])
                left -= len(step)
                if left < 0:
                    break
                peer.pdu()
            if reset:
                peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            peer.socket.close()
            if cut % 50 == 0:
                running.serve_somebody()
        verdict = running.verdict()
    return {"count": len(cuts), **verdict}


def memory(images_count: int, echoes: int) -> dict[str, Any]:
    """What a receiver takes for images and for associations: memory after each twentieth."""
    with receiver() as running:
        resident = [running.status("VmRSS")]
        for number in range(20):
            send(running.peer, images(f"memory {number}", images_count // 20, 32_768), SENDER)
            resident.append(running.status("VmRSS"))
        associated = [running.status("VmRSS")]
        for _ in range(20):
            for _ in range(echoes // 20):
                running.serve_somebody()
            associated.append(running.status("VmRSS"))
        verdict = running.verdict()
    return {"count": images_count, "echoes": echoes, "resident": resident, "associated": associated, **verdict}


def keys(scale: float) -> Iterator[tuple[Any, ...]]:
    """All blocks; a full run has a scale of 1."""
    total = sum(map(len, conversation()))

    def blocks(count: int, block: int) -> range:
        return range(max(1, round(count * scale / block)))

    yield ("memory", round(IMAGES * max(scale, 0.02)), round(ECHOES * max(scale, 0.04)))
    firsts = range(0, total + 1, CUTS_BLOCK)
    cuts = [("deaths", first, reset) for reset in (False, True) for first in firsts]
    yield from cuts if scale == 1 else cuts[len(firsts) - 1 : len(firsts)]
    # in turns, so that a run whose time is over has something of each
    several = (
        [("stores", number) for number in blocks(STORES, STORES_BLOCK)],
        [("mutants", "data sets", number) for number in blocks(DATA_SETS, MUTANTS_BLOCK)],
        [("mutants", "conversations", number) for number in blocks(CONVERSATIONS, MUTANTS_BLOCK)],
    )
    yield from (key for turn in itertools.zip_longest(*several) for key in turn if key is not None)


ACTS: dict[str, Callable[..., dict[str, Any]]] = {
    "stores": stores,
    "mutants": mutated,
    "deaths": deaths,
    "memory": memory,
}


def report_stores(sent: list[dict[str, Any]]) -> bool:
    """Print what became of the stores; whether every one was answered, and counted once."""
    lost, once = sum(one["lost"] for one in sent), sum(one["once"] for one in sent)
    count, took_s = sum(one["sent"] for one in sent), sum(one["took_s"] for one in sent)
    print(f"stores: {count} over {ASSOCIATIONS} associations, {count / took_s:.0f} a second, {lost} answers lost")
    failures = [text for one in sent for text in one["failures"]]
    print(f"        {once} counted exactly once by the peer; failures: {failures}")
    return lost == 0 and once == count


def part_of(key: tuple[Any, ...]) -> tuple[str, ...]:
    """What a block is reported with."""
    return key[:2] if key[0] == "mutants" else key[:1]


def report(found: dict[tuple[Any, ...], dict[str, Any]]) -> bool:
    """Print the counts; whether everything is as it must be."""
    sent = [one for key, one in found.items() if key[0] == "stores"]
    good = not sent or report_stores(sent)
    for part in dict.fromkeys(part_of(key) for key in found if key[0] != "stores"):
        several = [one for key, one in found.items() if part_of(key) == part]
        statuses: Counter[str] = sum((Counter(one.get("statuses", {})) for one in several), Counter())
        served_s, taken = max(one["served_s"] for one in several), max(one["memory_bytes"] for one in several)
        partial, wrong = sum(one["partial"] for one in several), sum(one.get("wrong", 0) for one in several)
        threads, descriptors = max(one["threads"] for one in several), max(one["descriptors"] for one in several)
        count = sum(one["count"] for one in several)
        print(
            f"{' of '.join(part)}: {count}; genuine peers served within {served_s:.2f} s, "
            f"memory + {taken / MIB:.1f} MiB at most, afterwards {threads} threads and {descriptors} descriptors, "
            f"{partial} partial files, {wrong} statuses that must not be {dict(statuses) or ''}"
        )
        if part[0] == "mutants":
            parents, lines = sum(one["parents"] for one in several), max(one["lines"] for one in several)
            first = max(one["lines_of_whole"] for one in several)
            print(f"        descended from {parents}; lines of code reached in one block: {lines}, unchanged {first}")
        good &= served_s <= SERVED_WITHIN_S and taken <= MOST_MEMORY_BYTES and partial == 0 and wrong == 0
    for key, one in found.items():
        if key[0] == "memory":
            for what, number in (("resident", one["count"]), ("associated", one["echoes"])):
                values = np.array(one[what]) / 1024
                slope = np.polyfit(np.linspace(0, number, values.size)[5:], values[5:], 1)[0]
                print(f"        {number} of {what}: {slope * 1024:.0f} bytes each; MiB: {np.round(values / 1024, 1)}")
    return bool(good)


def main() -> int:
    """Run the study; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve()
    deadline_s = time.monotonic() + 60 * options.minutes

    def one(key: tuple[Any, ...]) -> dict[str, Any]:
        if time.monotonic() > deadline_s:
            raise TimeIsOver
        return ACTS[key[0]](*key[1:])

    chosen = list(keys(1.0 if options.full else 0.001))
    study = Path(__file__)
    try:
        found = dict(zip(chosen, run_blocks(study, chosen, one, keep=options.full), strict=True))
    except TimeIsOver:
        lines = (FOLDER / f"{study.stem}.jsonl").read_text(encoding="utf-8").splitlines()[1:]
        found = {tuple(line["key"]): line["result"] for line in map(json.loads, lines)}
        print(f"time is over after {len(found)} of {len(chosen)} blocks; the next call goes on. So far:")
    good = report(found)
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}; as it must be: {good}")
    return 1 if not good else 0 if len(found) == len(chosen) else 2


if __name__ == "__main__":
    sys.exit(main())
