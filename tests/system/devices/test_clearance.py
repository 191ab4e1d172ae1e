"""Clearance of a motion, looked for by a real worker process: what is told, what is refused, and what when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from isoalign.devices.client import DeviceClient
from isoalign.errors import RemoteError
from isoalign.geometry import Representation, TableTopPosition

pytestmark = pytest.mark.system

HEAVY = ("/scipy/", "/fcl/", "/numba/")


def iec(*values: float) -> TableTopPosition:
    return TableTopPosition.from_values(Representation.IEC_61217, values)


def box(low: tuple[float, ...], high: tuple[float, ...]) -> list[list[float]]:
    return [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]


# With the couch at 0 / 700 / -120 the edge of the table top at X = 265 stands 135 mm from the post.
ROOM = {
    "parts": [
        {"name": "table top", "frame": "table_top", "vertices_mm": box((-265, -2000, -50), (265, 0, 0))},
        {"name": "post", "frame": "fixed", "vertices_mm": box((400, -300, -400), (450, -200, 400))},
    ],
    "uncertainty_mm": 0.0,
    "patient_unchecked": True,
}
GANTRY_PART = {"name": "nozzle", "frame": "gantry", "vertices_mm": box((-300, -300, 650), (300, 300, 2000))}
BESIDE = iec(50.0, 700.0, -120.0, 0.0, 0.0, 0.0)
TOO_NEAR = iec(100.0, 700.0, -120.0, 0.0, 0.0, 0.0)


def worker_pid(room: Any) -> int:
    started = [line["pid"] for line in room.daemon_log() if line["event"] == "clearance.worker-started"]
    return int(started[-1])


def maps_of(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


async def until_gone(pid: int) -> None:
    """With all its threads: the first may have ended while the others still hold what is open."""
    async with asyncio.timeout(5):
        while not has_gone(pid):
            await asyncio.sleep(0.01)


def has_gone(pid: int) -> bool:
    try:
        is_ended = " Z " in Path(f"/proc/{pid}/stat").read_text()
        return is_ended and len(list(Path(f"/proc/{pid}/task").iterdir())) == 1
    except (FileNotFoundError, ProcessLookupError):
        return True


async def refusal(client: DeviceClient, target: TableTopPosition) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        await client.prepare(target)
    return caught.value


@pytest.fixture
def start(bare_room: Any, start_machines: Callable[[Any], Awaitable[None]]) -> Callable[..., Awaitable[Any]]:
    async def begin(**clearance: Any) -> Any:
        await start_machines(bare_room)
        await bare_room.start_daemon(clearance={"room": ROOM, "timeout_s": 10.0, **clearance})
        return bare_room

    return begin


@pytest.fixture
async def own_room(start: Callable[..., Awaitable[Any]]) -> Any:
    """For a test that ends the daemon."""
    return await start()


@pytest.fixture
async def clear_room(lasting_room: Any, start_machines: Callable[[Any], Awaitable[None]]) -> Any:
    """One for all tests that leave the daemon alone."""
    if lasting_room.daemon is None:
        await start_machines(lasting_room)
        await lasting_room.start_daemon(clearance={"room": ROOM, "timeout_s": 10.0})
    return lasting_room


@pytest.fixture
async def planner(clear_room: Any) -> AsyncIterator[DeviceClient]:
    """Nobody lies on the table top, and the couch is where it was at first."""
    async with await clear_room.connect() as client:
        await client.place_patient([])
        await clear_room.back_to_start(client)
        yield client


async def test_a_plan_tells_the_least_clearance_between_whom_and_where(clear_room: Any, planner: DeviceClient) -> None:
    plan = await planner.prepare(BESIDE)
    assert plan.clearance is not None
    assert plan.clearance.parts == ("table top", "post")
    assert 83.5 < plan.clearance.least_mm <= 85.0, "the edge ends 85 mm from the post"
    # 30 mm as configured, and the way of a stop: only the lateral axis moves
    assert plan.clearance.stop_mm == pytest.approx(plan.stop_distance_mm, abs=0.05)
    assert plan.clearance.required_mm == pytest.approx(30.0 + plan.stop_distance_mm, abs=0.05)
    assert plan.clearance.position.lateral_mm == pytest.approx(50.0, abs=1.5)
    assert plan.clearance.unchecked == (("patient", "post"),)
    assert "84 mm between table top and post" in plan.clearance_in_words
    assert "not checked: patient" in plan.clearance_in_words


async def test_a_way_that_comes_too_near_is_refused_and_names_the_pair(clear_room: Any, planner: DeviceClient) -> None:
    before = (await clear_room.truth())["position"]
    error = await refusal(planner, TOO_NEAR)
    assert error.remote_code == "device.clearance-too-small"
    assert "table top and post keep only" in error.message
    assert error.facts["parts"] == ["table top", "post"]
    # the first place, not the nearest: a little above 30 mm plus a stop, and 35 mm at the end
    assert 30.0 < error.facts["clearance_mm"] < error.facts["required_mm"]
    assert 80.0 < error.facts["at"][0] <= 100.0
    assert error.hint
    assert (await clear_room.truth())["position"] == before
    # towards the other side there is room
    assert (await planner.prepare(iec(-200.0, 700.0, -120.0, 0.0, 0.0, -60.0))).clearance is not None


async def test_a_plan_with_enough_clearance_is_carried_out(clear_room: Any, planner: DeviceClient) -> None:
    await clear_room.move(planner, (5.0, 702.0, -120.0, 0.0, 0.0, 0.0))
    assert (await clear_room.truth())["position"][:2] == pytest.approx((5.0, 702.0), abs=0.1)


async def test_without_a_model_the_plan_says_not_checked(room: Any, client: DeviceClient) -> None:
    plan = await client.prepare(TOO_NEAR)
    assert plan.clearance is None
    assert plan.clearance_in_words == "not checked"


async def test_unknown_is_not_clear(start: Callable[..., Awaitable[Any]]) -> None:
    """A part turns with the gantry, and nobody says where the gantry is."""
    room = await start(room={**ROOM, "parts": [*ROOM["parts"], GANTRY_PART]})
    async with await room.connect() as client:
        error = await refusal(client, BESIDE)
    assert error.remote_code == "device.clearance-unknown"
    assert "gantry" in error.message


async def test_known_machine_state_is_used(start: Callable[..., Awaitable[Any]]) -> None:
    room = await start(room={**ROOM, "parts": [*ROOM["parts"], GANTRY_PART]}, machine={"gantry_angle_deg": 0.0})
    async with await room.connect() as client:
        assert (await client.prepare(BESIDE)).clearance is not None


PATIENT = {"name": "trunk", "body": "patient", "frame": "table_top"}


async def test_a_patient_who_is_placed_is_checked(clear_room: Any, planner: DeviceClient) -> None:
    """An arm that sticks out over the edge of the table top by 60 mm."""
    before = await planner.prepare(BESIDE)
    arm = {**PATIENT, "vertices_mm": box((200, -950, 0), (325, -850, 100))}
    await planner.place_patient([arm])
    with pytest.raises(RemoteError) as caught:
        async for _ in planner.execute(before):
            pass
    assert caught.value.remote_code == "device.plan-expired", "planned for an empty table top"
    error = await refusal(planner, BESIDE)
    assert error.facts["parts"] == ["trunk", "post"]
    plan = await planner.prepare(iec(20.0, 700.0, -120.0, 0.0, 0.0, 0.0))
    assert plan.clearance is not None
    assert plan.clearance.parts == ("trunk", "post")
    assert plan.clearance.least_mm == pytest.approx(400 - 325 - 20, abs=1.5)
    assert plan.clearance.unchecked == ()
    # a patient that makes no sense is refused, and the one before stays
    with pytest.raises(RemoteError, match="trunk") as caught:
        await planner.place_patient([{**PATIENT, "vertices_mm": box((0, 0, 0), (100, 100, 0))}])
    assert caught.value.remote_code == "config.daemon"
    with pytest.raises(RemoteError, match=r"patient\[0\].frame"):
        await planner.place_patient([{**arm, "frame": "bed"}])
    assert (await refusal(planner, BESIDE)).facts["parts"] == ["trunk", "post"]
    await planner.place_patient([])
    assert (await planner.prepare(BESIDE)).clearance is not None


async def test_no_patient_without_a_room(room: Any, client: DeviceClient) -> None:
    with pytest.raises(RemoteError) as caught:
        await client.place_patient([])
    assert caught.value.remote_code == "device.not-present"


async def test_worker_that_hangs(start: Callable[..., Awaitable[Any]]) -> None:
    room = await start(timeout_s=0.5)
    async with await room.connect() as client:
        pid = worker_pid(room)
        os.kill(pid, signal.SIGSTOP)
        error = await refusal(client, BESIDE)
        assert error.remote_code == "device.clearance-timeout"
        await until_gone(pid)
        assert (await client.status()).motion_permitted, "a slow worker is no fault of the couch"
        assert (await client.prepare(BESIDE)).clearance is not None, "by another worker"
        assert worker_pid(room) != pid


async def test_worker_that_dies(clear_room: Any, planner: DeviceClient) -> None:
    pid = worker_pid(clear_room)
    os.kill(pid, signal.SIGSTOP)
    asked = asyncio.create_task(planner.prepare(BESIDE))
    await asyncio.sleep(0.2)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RemoteError, match="died") as caught:
        await asked
    assert caught.value.remote_code == "device.clearance-unknown"
    assert (await planner.prepare(BESIDE)).clearance is not None
    again = worker_pid(clear_room)
    os.kill(again, signal.SIGKILL)
    await until_gone(again)
    assert (await planner.prepare(BESIDE)).clearance is not None, "one that died unasked is not even noticed"


async def test_one_request_at_a_time(clear_room: Any, planner: DeviceClient) -> None:
    plans = await asyncio.gather(*(planner.prepare(iec(lateral, 700, -120, 0, 0, 0)) for lateral in (10, 20, 30)))
    nearest = [plan.clearance.least_mm for plan in plans if plan.clearance]
    assert nearest == pytest.approx([125.0, 115.0, 105.0], abs=1.5)


async def test_client_that_goes_while_the_worker_searches(clear_room: Any, planner: DeviceClient) -> None:
    pid = worker_pid(clear_room)
    async with await clear_room.connect("impatient", clear=False) as other:
        os.kill(pid, signal.SIGSTOP)
        asked = asyncio.create_task(other.prepare(BESIDE))
        await asyncio.sleep(0.1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    await until_gone(pid)
    assert (await planner.prepare(BESIDE)).clearance is not None


async def test_hold_while_the_worker_searches_voids_the_plan(clear_room: Any, planner: DeviceClient) -> None:
    pid = worker_pid(clear_room)
    os.kill(pid, signal.SIGSTOP)
    asked = asyncio.create_task(planner.prepare(BESIDE))
    await asyncio.sleep(0.1)
    async with await clear_room.connect("second", clear=False) as other:
        await other.hold("test")  # is answered although the worker is not
    os.kill(pid, signal.SIGCONT)
    with pytest.raises(RemoteError) as caught:
        await asked
    assert caught.value.remote_code == "device.plan-expired"


@pytest.mark.parametrize("paused", [False, True], ids=["idle", "in a request"])
async def test_worker_ends_with_a_daemon_that_is_killed(own_room: Any, paused: bool) -> None:
    async with await own_room.connect() as client:
        pid = worker_pid(own_room)
        asked = None
        if paused:
            os.kill(pid, signal.SIGSTOP)
            asked = asyncio.create_task(client.prepare(BESIDE))
            await asyncio.sleep(0.1)
        own_room.daemon.kill(signal.SIGKILL)
        if paused:
            os.kill(pid, signal.SIGCONT)
        await until_gone(pid)
        if asked is not None:
            await asyncio.gather(asked, return_exceptions=True)


async def test_worker_ends_with_a_daemon_that_ends(own_room: Any) -> None:
    pid = worker_pid(own_room)
    assert await own_room.end(own_room.daemon) == 0
    await until_gone(pid)


async def test_the_daemon_carries_no_distance_library(clear_room: Any, planner: DeviceClient) -> None:
    """Not even after it has planned and refused; the same look at the worker finds them."""
    await planner.prepare(BESIDE)
    await refusal(planner, TOO_NEAR)
    mapped = maps_of(clear_room.daemon.process.pid)
    assert not [name for name in HEAVY if name in mapped]
    worker = maps_of(worker_pid(clear_room))
    assert [name for name in HEAVY if name in worker] == ["/scipy/", "/fcl/"]


@pytest.mark.timeless
def test_importing_the_daemon_loads_no_distance_library() -> None:
    code = "import sys, isoalign.devices.daemon; print([n for n in ('fcl', 'scipy', 'numba') if n in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert shown.stdout.strip() == "[]"


async def test_the_worker_comes_after_everything_else(
    bare_room: Any, start_machines: Callable[[Any], Awaitable[None]]
) -> None:
    await start_machines(bare_room)
    await bare_room.start_daemon("--realtime", clearance={"room": ROOM})
    pid = worker_pid(bare_room)
    assert os.sched_getscheduler(pid) == os.SCHED_OTHER
    assert os.getpriority(os.PRIO_PROCESS, pid) >= 10


@pytest.mark.timeless
@pytest.mark.parametrize(
    ("room", "said"),
    [
        ({**ROOM, "patient_unchecked": False}, "no patient hull"),
        ({**ROOM, "pairs": [["table top", "wall"]]}, "wall"),
        ({**ROOM, "parts": [{**ROOM["parts"][0], "vertices_mm": [[0, 0, 0]] * 8}, ROOM["parts"][1]]}, "table top"),
    ],
    ids=["no patient", "unknown body", "no body"],
)
def test_room_that_makes_no_sense(bare_room: Any, room: dict[str, Any], said: str) -> None:
    path = bare_room.write_config(clearance={"room": room})
    command = [sys.executable, "-m", "isoalign.devices.daemon", "--config", str(path)]
    ended = subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "config.daemon" in ended.stderr
    assert "clearance.room" in ended.stderr
    assert said in ended.stderr
