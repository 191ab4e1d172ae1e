"""A room of couch and pendant simulators and the device daemon, with truth from the couch itself.

Of real processes, or, in a test marked ``lockstep``, of the same programs on the test's own loop in virtual time.
Real ones are forked from a process that has loaded their modules (:mod:`prepared_processes`), unless a test is about
how they start.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prepared_processes import PreparedProcess

from isoalign.devices.client import DeviceClient
from isoalign.devices.config import load_daemon_config
from isoalign.devices.daemon import DeviceDaemon
from isoalign.devices.status import ARRIVED, MOVING, WAITING_FOR_ENABLE, MotionProgress
from isoalign.errors import RemoteError
from isoalign.geometry import Representation, TableTopPosition
from isoalign.simulators.lockstep import LockstepLoop
from isoalign.simulators.process import add_arguments

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
COUCH_KEYS = {"serial", "baud", "host", "port"}
REBOOT_NOTICED_S = 0.4  # a couch takes 0.3 s to boot, and tells its host with the next heartbeat


def iec(*values: float) -> TableTopPosition:
    return TableTopPosition.from_values(Representation.IEC_61217, values)


class Child:
    """One process that says ready on stdout; its log is kept for the report of a failed test."""

    def __init__(self, module: str, *arguments: str, log: Path, prepared: bool = True) -> None:
        self.log = log
        begin: type[PreparedProcess | subprocess.Popen[str]] = PreparedProcess if prepared else subprocess.Popen
        with log.open("w") as errors:
            self.process = begin(
                [sys.executable, *([module] if module.endswith(".py") else ["-m", module]), *arguments],
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

    async def ask(self, **request: Any) -> dict[str, Any]:
        """One request to its truth or control socket."""
        address = self.ready.get("truth") or self.ready["control"]
        reader, writer = await asyncio.open_connection(address["host"], address["port"])
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            answer = json.loads(await asyncio.wait_for(reader.readline(), DEADLINE_S))
        finally:
            writer.close()
            await writer.wait_closed()
        return _checked(answer)

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


class Part:
    """What a process of the room is in virtual time: the same program on the test's own loop."""

    def __init__(self, ready: dict[str, Any], answer: Any, close: Any) -> None:
        self.ready = ready
        self._answer = answer
        self._close = close

    async def ask(self, **request: Any) -> dict[str, Any]:
        answer = self._answer(request)
        return _checked(answer if isinstance(answer, dict) else await answer)

    async def end(self) -> int:
        await self._close()
        return 0


def _checked(answer: Any) -> dict[str, Any]:
    assert isinstance(answer, dict)
    assert "error" not in answer, answer
    return answer


async def start_simulator(kind: str, *arguments: str) -> Part:
    """A simulator on the running loop; its bytes go through real pseudo-terminals and sockets all the same."""
    module = importlib.import_module(f"isoalign.simulators.{'link_proxy' if kind == 'link' else kind}")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    module.add_arguments(parser)
    simulation = await module.start(parser.parse_args(arguments))
    return Part(simulation.facts, simulation.answer, simulation.close)


async def start_daemon_here(path: Path) -> Part:
    """The daemon on the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LockstepLoop)
    daemon = DeviceDaemon(load_daemon_config(path), loop.clock)
    await daemon.start()
    links = {link.name: link.state.value for link in daemon.controller.links()}
    return Part({"kind": "daemon", "socket": str(daemon.server.path), "links": links}, None, daemon.close)


class DeviceRoom:
    """Handles of a running room: of real processes, or, in a test marked lockstep, all in virtual time."""

    daemon_program = "isoalign.devices.daemon"
    prepared = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[Any] = []
        self.couch: Any = None
        self.pendant: Any = None
        self.gantry: Any = None
        self.daemon: Any = None

    @property
    def is_virtual(self) -> bool:
        return isinstance(asyncio.get_running_loop(), LockstepLoop)

    async def start(self, module: str, *arguments: str) -> Any:
        child: Any
        if self.is_virtual:
            child = await start_simulator(*arguments)
        else:
            log = self.folder / f"log-{len(self.children)}.jsonl"
            child = Child(module, *arguments, log=log, prepared=self.prepared)
        self.children.append(child)
        return child

    @contextlib.asynccontextmanager
    async def program(self, code: str, *arguments: str) -> AsyncIterator[PreparedProcess]:
        """A program of a few lines beside the room, which is told its socket; killed at the end, also when paused."""
        command = [sys.executable, "-c", code, self.socket, *arguments]
        process = PreparedProcess(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield process
        finally:
            process.kill()
            process.wait(5)
            process.stdout.close()

    async def end(self, child: Any) -> int:
        self.children.remove(child)
        code: int = await child.end() if isinstance(child, Part) else child.end()
        return code

    async def end_all(self) -> None:
        for child in list(reversed(self.children)):
            await self.end(child)

    def write_config(self, **changes: Any) -> Path:
        couch = None if self.couch is None else address_of_couch(self.couch)
        pendant = None if self.pendant is None else self.pendant.ready["pendant"]
        config = {"socket": str(self.folder / "d"), "couch": couch, "pendant": pendant, "limits": LIMITS, **changes}
        path = self.folder / "daemon.json"
        path.write_text(json.dumps(config))
        return path

    async def start_daemon(self, *arguments: str, **changes: Any) -> Any:
        path = self.write_config(**changes)
        if self.is_virtual:
            self.daemon = await start_daemon_here(path)
            self.children.append(self.daemon)
        else:
            self.daemon = await self.start(self.daemon_program, "--config", str(path), *arguments)
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

    async def back_to_start(self, client: DeviceClient) -> None:
        """A room that another test has used is as it was when it began: brought there, and looked at."""
        await self.bar("release")
        for fault in (await self.truth())["faults"]:
            await self.clear_fault(fault)
        await self.until_standstill()
        await client.clear("test begins", "Test")
        await self.until_couch_hears_pendant(client)
        if (await self.truth())["position"] != pytest.approx(START, abs=0.1):
            await self.move(client, START)
        truth, status = await self.truth(), await client.status()
        assert truth["position"] == pytest.approx(START, abs=0.1)
        assert (truth["standstill"], truth["stop_cause"]) == (True, None)
        assert not truth["faults"]
        assert (status.activity, status.interlocks, status.motion_permitted) == ("idle", (), True)
        assert status.first_fault is None

    async def until_couch_hears_pendant(self, client: DeviceClient) -> None:
        """A press of the bar before that is a base line and moves nothing."""
        async with asyncio.timeout(DEADLINE_S):
            while not (await client.status()).couch_hears_pendant:
                await asyncio.sleep(0.005)

    async def truth(self) -> dict[str, Any]:
        return dict(await self.couch.ask(do="truth"))

    async def fault(self, name: str, **details: Any) -> dict[str, Any]:
        return dict(await self.couch.ask(do="fault", name=name, **details))

    async def clear_fault(self, name: str) -> dict[str, Any]:
        return dict(await self.couch.ask(do="clear", name=name))

    async def bar(self, act: str) -> dict[str, Any]:
        return dict(await self.pendant.ask(do=act))

    async def press_anew(self) -> None:
        await self.bar("release")
        await self.bar("press")

    async def until(self, condition: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Poll the truth until a condition holds; returns it with ``waited_s``."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        while True:
            truth = await self.truth()
            if condition(truth):
                return {**truth, "waited_s": loop.time() - begun_s}
            assert loop.time() - begun_s < DEADLINE_S, f"not within {DEADLINE_S} s: {what}: {truth}"
            await asyncio.sleep(0.002)

    async def until_fast(self) -> dict[str, Any]:
        """The couch truly moves with more than 20 mm/s."""
        return await self.until(lambda truth: max(map(abs, truth["velocity"][:3])) > 20.0, "couch moves")

    async def until_standstill(self) -> dict[str, Any]:
        return await self.until(lambda truth: truth["standstill"], "couch stands still")

    async def stays(self, seconds: float = 0.5) -> None:
        """Nothing resumes: the true position does not change any more."""
        before = (await self.truth())["position"]
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while loop.time() < until_s:
            truth = await self.truth()
            assert truth["standstill"]
            assert max(abs(a - b) for a, b in zip(truth["position"], before, strict=True)) < 0.05
            await asyncio.sleep(0.005)

    @staticmethod
    async def ended_by(steps: AsyncGenerator[MotionProgress, None]) -> RemoteError:
        """The error that a motion ends with."""

        async def consume() -> None:
            async for step in steps:
                assert step.phase != ARRIVED

        with pytest.raises(RemoteError) as caught:
            await asyncio.wait_for(consume(), DEADLINE_S)
        return caught.value

    @staticmethod
    async def refused(client: DeviceClient, target: tuple[float, ...] = FAR) -> str:
        """The code with which a move is refused before anything moves."""
        with pytest.raises(RemoteError) as caught:
            async for _ in client.execute(await client.prepare(iec(*target))):
                pass
        return caught.value.remote_code

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
async def bare_room(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DeviceRoom]:
    """No process yet; every one that the test starts is ended, the daemon first."""
    room = DeviceRoom(tmp_path_factory.mktemp("r"))
    yield room
    await room.end_all()


@pytest.fixture(scope="module")
def lasting_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceRoom]:
    """Of real processes, for several tests; each begins with :meth:`DeviceRoom.back_to_start`."""
    room = DeviceRoom(tmp_path_factory.mktemp("l"))
    yield room
    asyncio.run(room.end_all())


@pytest.fixture
async def room(bare_room: DeviceRoom) -> DeviceRoom:
    """Couch, pendant and daemon are running."""
    await start_couch_and_pendant(bare_room)
    await bare_room.start_daemon()
    return bare_room


def address_of_couch(child: Any) -> dict[str, Any]:
    """As the daemon's configuration has it, from what a couch or a link says when it is ready."""
    ready = child.ready
    return dict(ready["tcp"]) if "tcp" in ready else {key: ready[key] for key in ready if key in COUCH_KEYS}


async def start_couch_and_pendant(room: DeviceRoom) -> None:
    line = ("--tcp",) if room.is_virtual else ()  # what a pseudo-terminal carries takes a moment of real time
    start = ("--start", *map(str, START))
    room.couch = await room.start("isoalign.simulators", "couch", "--seed", "7", *start, *line)
    room.pendant = await room.start("isoalign.simulators", "pendant")


class FaultRoom(DeviceRoom):
    """A room whose lines and host can be spoiled: every device behind a link process, and one imager."""

    daemon_program = str(Path(__file__).with_name("faulty_daemon.py"))

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.config: dict[str, Any] = {}
        self.beam = "off"
        self.second: Child | None = None
        self.latest_image: Any = None

    async def start_all(self) -> None:
        await start_couch_and_pendant(self)
        pendant = self.pendant.ready["pendant"]
        size = ("--rows", "200", "--columns", "120")
        self.gantry = await self.start("isoalign.simulators", "gantry", "--seed", "5", "--arm-extended")
        link = ("isoalign.simulators", "link", "--seed", "5")
        couch = self.couch.ready
        couch_line = ("--tcp", f"{couch['host']}:{couch['port']}") if "host" in couch else ("--serial", couch["serial"])
        self.parts = {
            "couch": self.couch,
            "pendant": self.pendant,
            "imager": await self.start("isoalign.simulators", "imager", "--name", "A", *size),
            "couch-link": await self.start(*link, *couch_line),
            "pendant-link": await self.start(*link, "--tcp", f"{pendant['host']}:{pendant['port']}"),
            "gantry": self.gantry,
        }
        await self.start_this_daemon()

    async def start_this_daemon(self) -> None:
        imager = self.parts["imager"].ready
        await self.start_daemon(
            couch=address_of_couch(self.parts["couch-link"]),
            pendant=self.parts["pendant-link"].ready["tcp"],
            gantry=self.gantry.ready["gantry"],
            imagers=[{"name": "A", **{part: imager[part] for part in ("generator", "panel", "image")}}],
            settling_s=1.0,
            exposure_limit_s=2.0,
            enable_wait_s=5.0,
            **self.config,
        )

    async def configure(self, config: dict[str, Any]) -> None:
        """The daemon begins anew with these keys besides its usual ones."""
        if config != self.config:
            self.config = config
            await self.end(self.daemon)
            await self.start_this_daemon()

    async def tell_beam(self) -> None:
        """As long as this runs, the room tells the state of its beam."""
        async with await self.connect("beam", clear=False) as client:
            for counter in itertools.count(1):
                await client.beam_state(self.beam, counter)
                await asyncio.sleep(0.05)

    def start_second_daemon(self) -> None:
        """Another host with the same devices."""
        config = json.loads((self.folder / "daemon.json").read_text())
        path = self.folder / "second.json"
        path.write_text(json.dumps({**config, "socket": str(self.folder / "e")}))
        self.second = Child("isoalign.devices.daemon", "--config", str(path), log=self.folder / "second.jsonl")

    async def ask(self, part: str, **request: Any) -> dict[str, Any]:
        return dict(await self.parts[part].ask(**request))

    async def repair(self) -> None:
        """End every fault, wherever it is; the second daemon goes."""
        if self.second is not None:
            second, self.second = self.second, None
            second.process.kill()
            second.end()
        self.beam = "off"
        if isinstance(self.daemon, Child) and self.daemon.process.poll() is None:
            self.daemon.kill(signal.SIGRTMAX)
        reboots = {"time_jump", "wrong_kind", "wrong_dictionary"} & set((await self.truth())["faults"])
        for part in self.parts:
            await self.ask(part, do="clear")
        if reboots:
            await asyncio.sleep(REBOOT_NOTICED_S)
        if isinstance(self.daemon, Child) and self.daemon.process.poll() is not None:
            await self.end(self.daemon)
            await self.start_this_daemon()

    async def until_links_are_up(self, client: DeviceClient) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while set((await client.status()).links.values()) != {"up"}:
                await asyncio.sleep(0.01)


@pytest.fixture
async def fault_room(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultRoom]:
    """Started anew for each scenario; the chain is cleared."""
    room = FaultRoom(tmp_path_factory.mktemp("f"))
    try:
        await room.start_all()
        async with await room.connect("before", clear=False) as client:
            await room.until_links_are_up(client)
            await room.until_couch_hears_pendant(client)
        yield room
        await room.repair()
    finally:
        await room.end_all()


@pytest.fixture
def start_machines() -> Callable[[DeviceRoom], Awaitable[None]]:
    return start_couch_and_pendant


@pytest.fixture
async def gantry_room(bare_room: DeviceRoom) -> DeviceRoom:
    """Couch, pendant, gantry and daemon are running."""
    await start_couch_and_pendant(bare_room)
    bare_room.gantry = await bare_room.start(
        "isoalign.simulators", "gantry", "--seed", "3", "--start", "-100", "--arm-travel-s", "0.6"
    )
    await bare_room.start_daemon(gantry=bare_room.gantry.ready["gantry"])
    return bare_room


@pytest.fixture
async def client(room: DeviceRoom) -> AsyncIterator[DeviceClient]:
    """A client that has cleared the chain; the couch has heard the pendant (before that a press is a base line)."""
    async with await room.connect() as connected:
        await room.until_couch_hears_pendant(connected)
        yield connected


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """A test marked lockstep runs in virtual time."""
    return {"lockstep": LockstepLoop} if item.get_closest_marker("lockstep") else {"real": asyncio.new_event_loop}
