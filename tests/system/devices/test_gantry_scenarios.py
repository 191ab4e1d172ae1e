"""Every fault of gantry_scenarios.toml ends in the state that is written there.

In virtual time. What counts is where gantry and imager arm truly are, by the gantry's own clock. After each of them
nothing moves without a new press. One alone: ``pytest tests/system/devices/test_gantry_scenarios.py -k G4``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tomllib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from isoalign.cli import main
from isoalign.devices.client import DeviceClient
from isoalign.devices.gantry_status import GantryPlan, GantryProgress
from isoalign.devices.status import ARRIVED, MOVING, WAITING_FOR_ENABLE
from isoalign.errors import RemoteError
from isoalign.geometry import Representation, TableTopPosition
from isoalign.simulators.gantry import FAULTS

pytestmark = pytest.mark.system

DEADLINE_S = 15.0
STILL_S = 0.15
TURN_DEG = 40.0
SCAN_DEG, SPACING_DEG = 10.0, 0.5
SETUPS = {
    "rest": "at rest",
    "rotating": "in a rotation",
    "scanning": "in a cone-beam rotation",
    "arm": "while the arm moves",
    "couch": "in a couch motion",
}
ENDS = {"stops", "refuses", "arrives", "missing"}


@dataclass(frozen=True)
class Scenario:
    """One row of the table."""

    id: str
    fault: str
    must: str
    setup: str
    end: str
    faults: list[dict[str, Any]] = field(default_factory=list)
    within_s: float = 0.0
    latches: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


TABLE = Path(__file__).with_name("gantry_scenarios.toml")
SCENARIOS = [Scenario(**row) for row in tomllib.loads(TABLE.read_text(encoding="utf-8"))["scenario"]]


class Player:
    """Sets a scenario up, begins its faults, and looks at how it ends."""

    def __init__(self, scenario: Scenario, room: Any, client: DeviceClient) -> None:
        self.scenario = scenario
        self.room = room
        self.client = client
        self.steps: AsyncGenerator[Any, None] | None = None
        self.seen: list[Any] = []

    async def play(self) -> None:
        await getattr(self, f"_setup_{self.scenario.setup}")()
        begun = await self._truth()
        for fault in self.scenario.faults:
            await self._begin(fault)
        await getattr(self, f"_end_{self.scenario.end}")(begun)

    async def _begin(self, fault: dict[str, Any]) -> None:
        where = {key: value for key, value in fault.items() if key not in {"on", "act"}}
        if fault.get("on") == "bar":
            await self.room.pendant.ask(do=fault["act"], **where)
        elif fault.get("on") == "client":
            await self.client.hold("scenario")
        else:
            await self.room.gantry.ask(do="fault", **where)

    async def _truth(self) -> dict[str, Any]:
        return dict(await self.room.gantry.ask(do="truth"))

    # set-ups

    async def _setup_rest(self) -> None:
        pass

    async def _setup_rotating(self) -> None:
        at_deg = (await self._truth())["angle_deg"]
        await self._execute(await self.client.prepare_rotation(at_deg + TURN_DEG))
        await self._until(lambda truth: truth["speed_deg_per_s"] > 6.98, "full speed")

    async def _setup_scanning(self) -> None:
        await self._move_arm("extended")
        from_deg = round((await self._truth())["angle_deg"]) + 4.0
        plan = await self.client.prepare_cone_beam(from_deg, from_deg + SCAN_DEG, trigger_spacing_deg=SPACING_DEG)
        await self._execute(plan)
        await self._until(lambda truth: truth["trigger_count"] > 2, "triggers")

    async def _setup_arm(self) -> None:
        await self._execute(await self.client.prepare_arm("extended"))
        await self._until(lambda truth: 0.2 < truth["arm"] < 0.9, "half-way")

    async def _setup_couch(self) -> None:
        self.steps = await self.room.begin_move(self.client)

    async def _execute(self, plan: GantryPlan) -> None:
        self.steps = self.client.execute_gantry(plan)
        async for step in self.steps:
            if step.phase == WAITING_FOR_ENABLE:
                await self.room.press_anew()
            if step.phase == MOVING:
                self.seen.append(step)
                return

    async def _move_arm(self, end: str) -> None:
        steps = self.client.execute_gantry(await self.client.prepare_arm(end))
        async with contextlib.aclosing(steps):
            async for step in steps:
                if step.phase == WAITING_FOR_ENABLE:
                    await self.room.press_anew()
        await self.room.bar("release")

    # ends

    async def _end_stops(self, begun: dict[str, Any]) -> None:
        scenario = self.scenario
        ending = asyncio.create_task(self._error())
        if scenario.setup == "couch":
            couch_begun = await self.room.truth()
            stopped = await self.room.until_standstill()
            assert stopped["t_s"] - couch_begun["t_s"] <= scenario.within_s
        else:
            stopped = await self._until(lambda truth: truth["standstill"], "standstill")
            assert stopped["t_s"] - begun["t_s"] <= scenario.within_s
            assert (stopped["stop_cause"] or "NONE") in scenario.latches
        await self._status(lambda status: status.first_fault is not None)
        await self.room.press_anew()
        await self._stays()
        await self._repair()
        assert await ending in scenario.errors
        status = await self._status(lambda status: set(status.links.values()) == {"up"})
        assert status.first_fault is not None
        assert status.first_fault.rule_id in scenario.rules
        await self._stays()
        assert await self._refusal() == "device.interlock-open"
        await self._clear_and_wait_for_a_press()

    async def _end_refuses(self, _begun: dict[str, Any]) -> None:
        scenario = self.scenario
        status = await self._status(lambda status: {one.rule_id for one in status.interlocks} & set(scenario.rules))
        assert (status.motion_permitted, status.exposure_permitted) == (False, False)
        await self.room.press_anew()
        assert await self._refusal() in scenario.errors
        with pytest.raises(RemoteError):
            await self.client.clear("too early", "Test")
        await self._repair()
        await self._until(lambda truth: truth["standstill"], "standstill")
        await self._stays()
        await self._clear_and_wait_for_a_press()

    async def _end_arrives(self, _begun: dict[str, Any]) -> None:
        assert await self._error() == ""
        await self._check_triggers()

    async def _end_missing(self, _begun: dict[str, Any]) -> None:
        assert await self._error() in self.scenario.errors
        await self._check_triggers()
        assert (await self.client.status()).motion_permitted, "the gantry has done what it should: nothing to clear"

    async def _check_triggers(self) -> None:
        made = {one["index"]: one["angle_deg"] for one in (await self.room.gantry.ask(do="triggers"))["triggers"]}
        told = {one.index: one.angle_deg for step in self.seen for one in getattr(step, "triggers", ())}
        assert told.keys() == made.keys()
        assert [told[index] for index in told] == pytest.approx([made[index] for index in told], abs=0.02)

    # what is seen

    async def _error(self) -> str:
        """The code with which the motion ended; empty when it arrived."""
        assert self.steps is not None
        try:
            async with asyncio.timeout(DEADLINE_S):
                async for step in self.steps:
                    self.seen.append(step)
        except RemoteError as error:
            return error.remote_code
        assert self.seen[-1].phase == ARRIVED
        return ""

    async def _stays(self) -> None:
        before = await self._truth()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + STILL_S
        while loop.time() < until_s:
            truth = await self._truth()
            if not {"creep", "runaway"} & set(truth["faults"]):  # a fault moves it, and no command
                assert truth["standstill"]
                assert truth["angle_deg"] == pytest.approx(before["angle_deg"], abs=0.02)
            assert truth["arm"] == before["arm"]
            assert (await self.room.truth())["standstill"]
            await asyncio.sleep(0.005)

    async def _repair(self) -> None:
        await self.room.gantry.ask(do="clear")
        await self.room.pendant.ask(do="clear")

    async def _refusal(self) -> str:
        """Of a rotation, or of the arm's move where that is what was asked for."""
        at_deg = (await self._truth())["angle_deg"]
        with pytest.raises(RemoteError) as caught:
            await self.client.prepare_rotation(at_deg + 2.0)
        return caught.value.remote_code

    async def _clear_and_wait_for_a_press(self) -> None:
        """Cleared by a named user, with the bar held from before: the next motion waits for a new press."""
        await self._status(lambda status: set(status.links.values()) == {"up"})
        await self.client.clear("scenario ends", "Test")
        if (await self._truth())["arm_state"] == "STOWED":
            plan = await self.client.prepare_rotation((await self._truth())["angle_deg"] + 2.0)
        else:
            plan = await self.client.prepare_arm("stowed")  # the way back is always open
        steps: AsyncGenerator[GantryProgress, None] = self.client.execute_gantry(plan)
        assert (await anext(steps)).phase == WAITING_FOR_ENABLE
        await self._stays()
        await steps.aclose()

    async def _until(self, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        while True:
            truth = await self._truth()
            if holds(truth):
                return truth
            assert loop.time() - begun_s < DEADLINE_S, f"not within {DEADLINE_S} s: {what}: {truth}"
            await asyncio.sleep(0.002)

    async def _status(self, holds: Callable[[Any], Any]) -> Any:
        async with asyncio.timeout(DEADLINE_S), contextlib.aclosing(self.client.statuses()) as statuses:
            async for status in statuses:
                if holds(status):
                    return status
        raise AssertionError


async def until_heard(client: DeviceClient) -> None:
    """Couch and gantry have heard the pendant (before that a press is a base line), and the chain is cleared."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            status = await client.status()
            if status.couch_hears_pendant and status.gantry is not None and status.gantry.hears_pendant:
                break
            await asyncio.sleep(0.02)
    await client.clear("test begins", "Test")


@pytest.fixture
async def client(gantry_room: Any) -> AsyncIterator[DeviceClient]:
    """A client that has cleared the chain; couch and gantry have heard the pendant."""
    async with await gantry_room.connect(clear=False) as connected:
        await until_heard(connected)
        yield connected


@pytest.mark.lockstep
@pytest.mark.parametrize("scenario", [pytest.param(one, id=one.id) for one in SCENARIOS])
async def test_scenario(scenario: Scenario, gantry_room: Any, client: DeviceClient) -> None:
    await Player(scenario, gantry_room, client).play()


def test_the_page_says_the_same() -> None:
    """docs/hazards/gantry-scenarios.md has a row for each scenario, in the same order and words."""
    page = Path(__file__).parents[3] / "docs" / "hazards" / "gantry-scenarios.md"
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert rows == [f"| `{one.id}` | {one.fault} | {SETUPS[one.setup]} | {one.must} |" for one in SCENARIOS]


def test_the_table_is_whole() -> None:
    """Every fault that the simulated gantry can play is in it, and names are used once."""
    names = [one.id for one in SCENARIOS]
    assert len(set(names)) == len(names)
    assert {fault["name"] for one in SCENARIOS for fault in one.faults if "on" not in fault} == set(FAULTS)
    for one in SCENARIOS:
        assert one.setup in SETUPS
        assert one.end in ENDS
        assert one.must.endswith(".")
        if one.end == "stops":
            assert one.within_s > 0
            assert one.rules
            assert one.errors


# beyond single faults


NEAR = TableTopPosition.from_values(Representation.IEC_61217, (0.0, 704.0, -120.0, 0.0, 0.0, 0.0))


async def code_of(act: Any) -> str:
    with pytest.raises(RemoteError) as caught:
        await asyncio.wait_for(act, DEADLINE_S)
    return caught.value.remote_code


async def drained(steps: AsyncGenerator[Any, None]) -> None:
    async for _ in steps:
        pass


@pytest.mark.lockstep
async def test_no_rotation_is_asked_for_while_the_arm_moves(gantry_room: Any, client: DeviceClient) -> None:
    player = Player(SCENARIOS[0], gantry_room, client)
    at_deg = (await gantry_room.gantry.ask(do="truth"))["angle_deg"]
    earlier = await client.prepare_rotation(at_deg + 5.0)
    await player._setup_arm()
    async with await gantry_room.connect("another", clear=False) as other:
        for asking in (client, other):
            assert await code_of(asking.prepare_rotation(at_deg + 5.0)) == "device.busy"
            assert (
                await code_of(asking.prepare_cone_beam(at_deg, at_deg + 5.0, trigger_spacing_deg=1.0)) == "device.busy"
            )
            assert await code_of(drained(asking.execute_gantry(earlier))) == "device.busy"
    assert await player._error() == "", "the arm arrives all the same"
    await gantry_room.bar("release")
    assert await code_of(drained(client.execute_gantry(earlier))) in {"device.interlock-open", "device.plan-expired"}
    assert (await gantry_room.gantry.ask(do="truth"))["angle_deg"] == pytest.approx(at_deg, abs=0.001)


@pytest.mark.lockstep
async def test_a_plan_of_the_gantry_does_not_outlive_a_motion_of_the_couch(
    gantry_room: Any, client: DeviceClient
) -> None:
    """It was made beside the couch as it stood."""
    at_deg = (await gantry_room.gantry.ask(do="truth"))["angle_deg"]
    plan = await client.prepare_rotation(at_deg + 5.0)
    await gantry_room.move(client, NEAR.values)
    with pytest.raises(RemoteError, match="couch has moved") as caught:
        await drained(client.execute_gantry(plan))
    assert caught.value.remote_code == "device.plan-expired"


@pytest.mark.lockstep
@pytest.mark.parametrize("into_s", [0.4, 0.6, 2.0])
async def test_no_stop_is_longer_than_the_plan_says(gantry_room: Any, client: DeviceClient, into_s: float) -> None:
    """At its full speed a stop takes less than 3 degrees; in the acceleration it has to end that first."""
    player = Player(SCENARIOS[0], gantry_room, client)
    at_deg = (await gantry_room.gantry.ask(do="truth"))["angle_deg"]
    plan = await client.prepare_rotation(at_deg + TURN_DEG)
    await player._execute(plan)
    begun = await player._until(lambda truth: truth["speed_deg_per_s"] > 0.01, "it moves")
    await asyncio.sleep(into_s)
    at_stop = await player._truth()
    await client.hold("test")
    stopped = await player._until(lambda truth: truth["standstill"], "standstill")
    way_deg = stopped["angle_deg"] - at_stop["angle_deg"]
    assert at_stop["t_s"] - begun["t_s"] == pytest.approx(into_s, abs=0.02)
    assert 0 < way_deg <= plan.stop_distance_deg
    assert plan.stop_distance_deg == pytest.approx(3.82, abs=0.05)
    if into_s == 2.0:
        assert 2.3 < way_deg < 3.0
    assert await player._error() == "device.hold"


@pytest.mark.lockstep
async def test_the_longest_stop_is_not_announced_much_too_long(gantry_room: Any, client: DeviceClient) -> None:
    """Somewhere in the acceleration a stop takes nearly as long as the plan says: at most a fifth less."""
    player = Player(SCENARIOS[0], gantry_room, client)
    plan = await client.prepare_rotation((await player._truth())["angle_deg"] + TURN_DEG)
    await player._execute(plan)
    await player._until(lambda truth: truth["speed_deg_per_s"] > 4.7, "the end of the acceleration")
    at_stop = await player._truth()
    await client.hold("test")
    stopped = await player._until(lambda truth: truth["standstill"], "standstill")
    way_deg = stopped["angle_deg"] - at_stop["angle_deg"]
    assert 0.8 * plan.stop_distance_deg <= way_deg <= plan.stop_distance_deg


@pytest.fixture
async def remote_room(gantry_room: Any) -> Any:
    """Nobody in the room watches."""
    await gantry_room.end(gantry_room.daemon)
    await gantry_room.start_daemon(gantry=gantry_room.gantry.ready["gantry"], observation="remote")
    return gantry_room


@pytest.mark.lockstep
async def test_from_outside_a_rotation_needs_a_dry_run(remote_room: Any) -> None:
    async with await remote_room.connect(clear=False) as client:
        await until_heard(client)
        player = Player(SCENARIOS[0], remote_room, client)
        begun_deg = (await player._truth())["angle_deg"]
        target_deg = begun_deg + 2.0

        async def run(plan: GantryPlan) -> None:
            await player._execute(plan)
            assert await player._error() == ""
            await remote_room.bar("release")

        assert await code_of(drained(client.execute_gantry(await client.prepare_rotation(target_deg)))) == (
            "device.dry-run-missing"
        )
        assert await code_of(client.prepare_rotation(target_deg, speed_deg_per_s=2.0, dry_run=True)) == (
            "device.speed-not-allowed"
        )
        dry = await client.prepare_rotation(target_deg, dry_run=True)
        assert dry.dry_run
        assert dry.speed_deg_per_s <= 1.0
        await run(dry)
        await run(await client.prepare_rotation(begun_deg))  # the same path, back
        await run(await client.prepare_rotation(target_deg))
        farther = await client.prepare_rotation(target_deg + 1.0)
        assert await code_of(drained(client.execute_gantry(farther))) == "device.dry-run-missing"
        # the arm has a path of its own; and a dry run of the gantry says nothing of the couch
        assert await code_of(drained(client.execute_gantry(await client.prepare_arm("extended")))) == (
            "device.dry-run-missing"
        )
        await run(await client.prepare_arm("extended", dry_run=True))
        await run(await client.prepare_arm("stowed"))
        assert await code_of(drained(client.execute(await client.prepare(NEAR)))) == "device.dry-run-missing"
        # with the couch somewhere else it is another path
        steps = client.execute(await client.prepare(NEAR, dry_run=True))
        async for step in steps:
            if step.phase == WAITING_FOR_ENABLE:
                await remote_room.press_anew()
        await remote_room.bar("release")
        assert await code_of(drained(client.execute_gantry(await client.prepare_rotation(begun_deg)))) == (
            "device.dry-run-missing"
        )


@pytest.mark.lockstep
async def test_a_recorded_rotation_is_played_and_read_again(
    gantry_room: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await gantry_room.end(gantry_room.daemon)
    await gantry_room.start_daemon(gantry=gantry_room.gantry.ready["gantry"], record=str(tmp_path))
    async with await gantry_room.connect(clear=False) as client:
        await until_heard(client)
        player = Player(SCENARIOS[0], gantry_room, client)
        await player._setup_scanning()
        assert await player._error() == ""
        await gantry_room.bar("release")
        made = (await gantry_room.gantry.ask(do="triggers"))["triggers"]
    await gantry_room.end(gantry_room.daemon)
    [file] = [str(path) for path in tmp_path.glob("gantry*.linklog")]
    capsys.readouterr()

    assert await asyncio.to_thread(main, ["protocol", "replay", file, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["sessions"], found["errors"], found["lost_frames"]) == (1, 0, 0)
    assert found["messages"]["PROJECTION_TRIGGER"] == len(made) == 21
    texts = [event["text"] for event in found["events"] if event["kind"] == "COMMAND_EVENT"]
    assert ["status DONE" in text for text in texts].count(True) == 2
    states = [event["text"] for event in found["events"] if event["text"].startswith("imager_arm ")]
    assert states == ["imager_arm STOWED", "imager_arm STOWED -> MOVING", "imager_arm MOVING -> EXTENDED"]

    assert await asyncio.to_thread(main, ["protocol", "decode", file, "--json", "--only", "PROJECTION_TRIGGER"]) == 0
    _, *events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    angles = [event["fields"]["primary_udeg"] / 1e6 for event in events]
    assert angles == pytest.approx([one["angle_deg"] for one in made], abs=0.02)
