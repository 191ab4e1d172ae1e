"""A simulated room for system tests: real processes, the built-in case, everything stopped afterwards."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from demo_runs import judged
from prepared_processes import IN_PLACE_OF_SUBPROCESS
from room_cases import make_case, write_case

from isoalign.cli import main
from isoalign.geometry import TableTopPosition, planned_fixed_from_dicom, setup_error
from isoalign.room.archives import ArchiveKind
from isoalign.room.cases import Case, store_case
from isoalign.room.client import RoomClient
from isoalign.room.settings import ClearanceSettings, KvMatchSettings, MatchMethod, StorageSettings, load_settings
from isoalign.room.simulated_scanner import with_simulated_scanner
from isoalign.room.simulation import SimulatedRoom

OFFSET = (6.0, -5.0, 4.0, 1.5, -2.0, 1.0)


@pytest.fixture(scope="session")
def case() -> Case:
    """The built-in head phantom with fewer slices."""
    return make_case()


@pytest.fixture(scope="session")
def pristine_case_folder(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The case as DICOM files; do not change it."""
    return write_case(case, tmp_path_factory.mktemp("case") / "files")


@pytest.fixture
def case_folder(pristine_case_folder: Path, tmp_path: Path) -> Path:
    """A copy of the case to be spoiled."""
    return Path(shutil.copytree(pristine_case_folder, tmp_path / "case"))


class RunningRoom:
    """A started room and a client of its room process."""

    def __init__(self, room: SimulatedRoom, client: RoomClient, case: Case) -> None:
        self.room = room
        self.client = client
        self.case = case

    async def load(self, **changes: Any) -> dict[str, Any]:
        return await self.client.act(
            "load", plan_uid=changes.pop("plan_uid", self.case.plan.sop_instance_uid), **changes
        )

    def truth(self) -> dict[str, Any]:
        return self.room.control("couch").truth()

    @asynccontextmanager
    async def enable_bar(self) -> AsyncIterator[None]:
        """The bar on the pendant is pressed inside the block."""
        pendant = self.room.control("pendant")
        pendant.ask("press")
        try:
            yield
        finally:
            pendant.ask("release")

    async def move_to_setup(self) -> None:
        async with self.enable_bar():
            await self.client.act("move_to_setup")

    async def wait_moving(self) -> None:
        """Until the couch truly moves."""
        await asyncio.to_thread(
            self.room.control("couch").wait_until,
            lambda truth: not truth["standstill"] and max(map(abs, truth["velocity"][:3])) > 5.0,
            timeout_s=10.0,
            what="the couch begins to move",
        )

    async def wait_standstill(self, timeout_s: float) -> dict[str, Any]:
        """Until the couch truly stands and its brakes hold; returns the truth."""
        return await asyncio.to_thread(
            self.room.control("couch").wait_until,
            lambda truth: truth["standstill"] and truth["brakes_engaged"],
            timeout_s=timeout_s,
            what="the couch comes to standstill",
        )


@pytest.fixture
def prepared_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rooms' processes are forked from one that has loaded their modules; demonstrations start theirs as a user's."""
    monkeypatch.setattr("isoalign.room.processes.subprocess", IN_PLACE_OF_SUBPROCESS)


@pytest.fixture
def run_demo(prepared_processes: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict, str]]:
    """``isoalign demo --json`` in this process, its room of processes that have loaded their modules before."""

    def run(output: Path, *arguments: str) -> tuple[int, dict, str]:
        code = main(["demo", "--json", "--output", str(output), *arguments])
        return judged(code, *capsys.readouterr())

    return run


@pytest.fixture
def simulated_room(case: Case, tmp_path: Path, prepared_processes: None) -> Iterator[Callable[..., SimulatedRoom]]:
    """Make rooms with the built-in patient on the couch; every process is stopped afterwards."""
    rooms: list[SimulatedRoom] = []

    def make(
        *,
        archive: ArchiveKind | None = ArchiveKind.EMBEDDED,
        parked_mm: float = 150.0,
        clearance: ClearanceSettings | None = None,
        in_room_ct: bool = False,
        of: Case = case,
        offset: tuple[float, ...] = OFFSET,
        match: MatchMethod = "2d3d",
    ) -> SimulatedRoom:
        folder = tmp_path / f"room-{len(rooms)}"
        settings = load_settings().model_copy(
            update={
                "storage": StorageSettings(folder=folder / "data"),
                "clearance": clearance,
                "match": KvMatchSettings(method=match),
            }
        )
        if in_room_ct:
            settings = with_simulated_scanner(settings)
        setup = settings.session_settings().default_setup
        planned = planned_fixed_from_dicom(of.plan.patient_position, of.plan.beam().isocentre_mm)
        patient = of.on_couch(planned, setup, setup_error(*offset))
        values = list(setup.values)
        values[1] -= parked_mm
        start = TableTopPosition.from_values(setup.representation, values)
        room = SimulatedRoom(settings, folder, start, seed=1, patient=patient, archive=archive)
        rooms.append(room)
        return room

    yield make
    for room in rooms:
        room.close()


@pytest.fixture
async def start_room(case: Case) -> AsyncIterator[Callable[..., Awaitable[RunningRoom]]]:
    """Starts everything of a room, with the case in the archive."""
    async with AsyncExitStack() as stack:

        async def start(room: SimulatedRoom, of: Case = case) -> RunningRoom:
            await asyncio.to_thread(room.start_machines)
            daemon = room.start_daemon()
            assert room.settings.dicom is not None
            await asyncio.to_thread(store_case, of, room.settings.dicom.archive, lambda _text, _fraction: None)
            await asyncio.to_thread(daemon.wait_ready)
            await asyncio.to_thread(room.start_room().wait_ready)
            client = await stack.enter_async_context(await RoomClient.connect(room.room_socket))
            return RunningRoom(room, client, of)

        yield start


@pytest.fixture
async def running_room(
    simulated_room: Callable[..., SimulatedRoom], start_room: Callable[..., Awaitable[RunningRoom]]
) -> RunningRoom:
    """A room with everything started and the case in the archive."""
    return await start_room(simulated_room())
