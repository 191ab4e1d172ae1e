"""A room of real processes: couch and pendant simulators and the device daemon, and truth from the couch itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from isoalign.devices.client import DeviceClient
from isoalign.devices.status import MOVING, WAITING_FOR_ENABLE, MotionProgress
from isoalign.errors import RemoteError
from isoalign.geometry import Representation, TableTopPosition

START = (0.0, 700.0, -120.0, 0.0, 0.0, 0.0)
FAR = (100.0, 900.0, -100.0, 2.0, -2.0, 10.0)
LIMITS = {
    "lateral": [-250, 250],
    "longitudinal": [0, 1500],
    "vertical": [-500, 100],
    "pitch": [-5, 5],
    "roll": [-5, 5],
    "patient_support_angle": [-95, 95],
}
DEADLINE_S = 20.0
REBOOT_NOTICED_S = 0.8  # the daemon takes a couch that has rebooted for a silent one, and that takes half a second


def iec(*values: float) -> TableTopPosition:
    return TableTopPosition.from_values(Representation.IEC_61217, values)


class Child:
    """One process that says ready on stdout; its log is kept for the report of a failed test."""

    def __init__(self, module: str, *arguments: str, log: Path) -> None:
        self.log = log
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._ready: dict[str, Any] | None = None

    @property
    def ready(self) -> dict[str, Any]:
        if self._ready is None:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line, f"did not become ready: {self.log.read_text()}"
            self._ready = json.loads(line)
        return self._ready

    def kill(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> int:
        """Close stdin, as a parent that ends does."""
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            return process.wait(5)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(5)
            raise
        finally:
            process.stdout.close()


async def ask(address: dict[str, Any], **request: Any) -> dict[str, Any]:
    """One request to a truth or control socket."""
    reader, writer = await asyncio.open_connection(address["host"], address["port"])
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        answer = json.loads(await asyncio.wait_for(reader.readline(), DEADLINE_S))
    finally:
        writer.close()
        await writer.wait_closed()
    assert isinstance(answer, dict)
    assert "error" not in answer, answer
    return answer


class DeviceRoom:
    """Handles of a running room."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[Child] = []
        self.couch: Child | None = None
        self.pendant: Child | None = None
        self.gantry: Child | None = None
        self.daemon: Child

    def start(self, module: str, *arguments: str) -> Child:
        child = Child(module, *arguments, log=self.folder / f"log-{len(self.children)}.jsonl")
        self.children.append(child)
        return child

    def write_config(self, **changes: Any) -> Path:
        couch = None if self.couch is None else {key: self.couch.ready[key] for key in ("serial", "baud")}
        pendant = None if self.pendant is None else self.pendant.ready["pendant"]
        config = {"socket": str(self.folder / "d"), "couch": couch, "pendant": pendant, "limits": LIMITS, **changes}
        path = self.folder / "daemon.json"
        path.write_text(json.dumps(config))
        return path

    def start_daemon(self, *arguments: str, **changes: Any) -> Child:
        path = self.write_config(**changes)
        self.daemon = self.start("isoalign.devices.daemon", "--config", str(path), *arguments)
        assert self.daemon.ready["kind"] == "daemon"
        return self.daemon

    @property
    def socket(self) -> str:
        return str(self.daemon.ready["socket"])

    def daemon_log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.daemon.log.read_text().splitlines()]

    async def connect(self, name: str = "test", *, clear: bool = True) -> DeviceClient:
        client = await DeviceClient.connect(self.socket, client=name)
        if clear:
            await client.clear("test begins", "Test")
        return client

    async def truth(self) -> dict[str, Any]:
        assert self.couch is not None
        return await ask(self.couch.ready["truth"], do="truth")

    async def fault(self, name: str, **details: Any) -> dict[str, Any]:
        assert self.couch is not None
        return await ask(self.couch.ready["truth"], do="fault", name=name, **details)

    async def clear_fault(self, name: str) -> dict[str, Any]:
        assert self.couch is not None
        return await ask(self.couch.ready["truth"], do="clear", name=name)

    async def bar(self, act: str) -> dict[str, Any]:
        assert self.pendant is not None
        return await ask(self.pendant.ready["control"], do=act)

    async def press_anew(self) -> None:
        await self.bar("release")
        await self.bar("press")

    async def until(self, condition: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Poll the truth until a condition holds; returns it with ``waited_s``."""
        begun_s = time.monotonic()
        while True:
            truth = await self.truth()
            if condition(truth):
                return {**truth, "waited_s": time.monotonic() - begun_s}
            assert time.monotonic() - begun_s < DEADLINE_S, f"not within {DEADLINE_S} s: {what}: {truth}"
            await asyncio.sleep(0.002)

    async def until_fast(self) -> dict[str, Any]:
        """The couch truly moves with more than 20 mm/s."""
        return await self.until(lambda truth: max(map(abs, truth["velocity"][:3])) > 20.0, "couch moves")

    async def until_standstill(self) -> dict[str, Any]:
        return await self.until(lambda truth: truth["standstill"], "couch stands still")

    async def begin_move(
        self, client: DeviceClient, target: tuple[float, ...] = FAR
    ) -> AsyncGenerator[MotionProgress, None]:
        """A motion that truly moves fast; the bar is held."""
        plan = await client.prepare(iec(*target))
        steps = client.execute(plan)
        async for step in steps:
            if step.phase == WAITING_FOR_ENABLE:
                await self.press_anew()
            if step.phase == MOVING:
                break
        await self.until_fast()
        return steps

    async def move(self, client: DeviceClient, target: tuple[float, ...]) -> list[MotionProgress]:
        """A whole motion; the bar is released afterwards."""
        steps: list[MotionProgress] = []
        async with contextlib.aclosing(client.execute(await client.prepare(iec(*target)))) as progress:
            async for step in progress:
                steps.append(step)
                if step.phase == WAITING_FOR_ENABLE:
                    await self.press_anew()
        await self.bar("release")
        return steps


@pytest.fixture
def bare_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceRoom]:
    """No process yet; every one that the test starts is ended, the daemon first."""
    room = DeviceRoom(tmp_path_factory.mktemp("r"))
    yield room
    for child in reversed(room.children):
        child.end()


@pytest.fixture
def room(bare_room: DeviceRoom) -> DeviceRoom:
    """Couch, pendant and daemon are running."""
    start_couch_and_pendant(bare_room)
    bare_room.start_daemon()
    return bare_room


def start_couch_and_pendant(room: DeviceRoom) -> None:
    room.couch = room.start("isoalign.simulators", "couch", "--seed", "7", "--start", *map(str, START))
    room.pendant = room.start("isoalign.simulators", "pendant")


class FaultRoom(DeviceRoom):
    """A room whose lines can be spoiled: every device behind a link process, and one imager."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.second: Child | None = None
        self.latest_image: Any = None

    def start_all(self) -> None:
        start_couch_and_pendant(self)
        assert self.couch is not None
        assert self.pendant is not None
        pendant = self.pendant.ready["pendant"]
        imager = self.start("isoalign.simulators", "imager", "--name", "A", "--rows", "200", "--columns", "120")
        self.gantry = self.start("isoalign.simulators", "gantry", "--seed", "5", "--arm-extended")
        link = ("isoalign.simulators", "link", "--seed", "5")
        self.parts = {
            "couch": (self.couch, "truth"),
            "pendant": (self.pendant, "control"),
            "imager": (imager, "truth"),
            "gantry": (self.gantry, "truth"),
            "couch-link": (self.start(*link, "--serial", self.couch.ready["serial"]), "control"),
            "pendant-link": (self.start(*link, "--tcp", f"{pendant['host']}:{pendant['port']}"), "control"),
        }
        self.start_this_daemon()

    def start_this_daemon(self) -> None:
        assert self.couch is not None
        imager = self.parts["imager"][0].ready
        self.start_daemon(
            couch={"serial": self.parts["couch-link"][0].ready["serial"], "baud": self.couch.ready["baud"]},
            pendant=self.parts["pendant-link"][0].ready["tcp"],
            gantry=self.parts["gantry"][0].ready["gantry"],
            imagers=[{"name": "A", **{part: imager[part] for part in ("generator", "panel", "image")}}],
            settling_s=1.0,
            exposure_limit_s=2.0,
            enable_wait_s=5.0,
        )

    def start_second_daemon(self) -> None:
        """Another host with the same devices."""
        config = json.loads((self.folder / "daemon.json").read_text())
        path = self.folder / "second.json"
        path.write_text(json.dumps({**config, "socket": str(self.folder / "e")}))
        self.second = Child("isoalign.devices.daemon", "--config", str(path), log=self.folder / "second.jsonl")

    async def ask(self, part: str, **request: Any) -> dict[str, Any]:
        child, key = self.parts[part]
        return await ask(child.ready[key], **request)

    async def repair(self) -> None:
        """End every fault, wherever it is; the second daemon goes."""
        if self.second is not None:
            second, self.second = self.second, None
            second.process.kill()
            second.end()
        reboots = {"time_jump", "wrong_kind", "wrong_dictionary"} & set((await self.truth())["faults"])
        for part in self.parts:
            await self.ask(part, do="clear")
        if reboots:
            await asyncio.sleep(REBOOT_NOTICED_S)
        if self.daemon.process.poll() is not None:
            self.children.remove(self.daemon)
            self.daemon.end()
            self.start_this_daemon()

    async def until_links_are_up(self, client: DeviceClient) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while set((await client.status()).links.values()) != {"up"}:
                await asyncio.sleep(0.01)

    def end_all(self) -> None:
        for child in [*([self.second] if self.second else []), *reversed(self.children)]:
            child.end()


@pytest.fixture(scope="module")
def shared_fault_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultRoom]:
    """Started once for all scenarios."""
    room = FaultRoom(tmp_path_factory.mktemp("f"))
    try:
        room.start_all()
        yield room
    finally:
        room.end_all()


@pytest.fixture
async def fault_room(shared_fault_room: FaultRoom) -> AsyncIterator[FaultRoom]:
    """In order at the beginning of each scenario, whatever the one before has left, and not far from the start."""
    room = shared_fault_room
    await room.repair()
    await room.bar("release")
    async with await room.connect("before", clear=False) as client:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                await room.until_links_are_up(client)
                with contextlib.suppress(RemoteError):
                    await client.clear("scenario begins", "Test")
                    break
                await asyncio.sleep(0.05)
        position = (await room.truth())["position"]
        away = [abs(a - b) for a, b in zip(position, START, strict=True)]
        if max(away[:3]) > 300.0 or max(away[3:]) > 2.0:
            await room.move(client, START)
    yield room
    await room.repair()


@pytest.fixture
def start_machines() -> Callable[[DeviceRoom], None]:
    return start_couch_and_pendant


@pytest.fixture(scope="module")
def shared_gantry_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceRoom]:
    """Couch, pendant, gantry and daemon, started once for all tests of a module; ``gantry`` is the gantry's process."""
    room = DeviceRoom(tmp_path_factory.mktemp("g"))
    try:
        start_couch_and_pendant(room)
        room.gantry = room.start(
            "isoalign.simulators", "gantry", "--seed", "3", "--start", "-100", "--arm-travel-s", "0.6"
        )
        room.start_daemon(gantry=room.gantry.ready["gantry"])
        yield room
    finally:
        for child in reversed(room.children):
            child.end()


@pytest.fixture
def ask_truth() -> Callable[..., Any]:
    return ask


@pytest.fixture
async def client(room: DeviceRoom) -> AsyncIterator[DeviceClient]:
    """A client that has cleared the chain; the couch has heard the pendant (before that a press is a base line)."""
    async with await room.connect() as connected:
        async with asyncio.timeout(DEADLINE_S):
            while not (await connected.status()).couch_hears_pendant:
                await asyncio.sleep(0.005)
        yield connected
