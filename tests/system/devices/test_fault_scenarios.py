"""Every fault of scenarios.toml ends in the state that is written there.

In virtual time, but for those in which a process dies or hangs; the long proofs play all of them on real processes.
What counts is where the couch truly is, by its own clock. After each of them nothing moves without a new press.
One alone: ``pytest tests/system/devices/test_fault_scenarios.py -k L6``.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tomllib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isoalign.devices.client import DeviceClient
from isoalign.devices.errors import PeerGone
from isoalign.devices.status import ARRIVED, WAITING_FOR_ENABLE, MotionProgress, RoomDeviceStatus
from isoalign.errors import IsoalignError, RemoteError
from isoalign.geometry import Representation, TableTopPosition
from isoalign.records import Technique

pytestmark = pytest.mark.system

TECHNIQUE = Technique(100.0, 80.0, 40.0)
STILL_S = 0.15
TOLD_S = 2.5
MIDDLE_MM = 700.0
FAR_MM = 200.0


@dataclass(frozen=True)
class Scenario:
    """One row of the table."""

    id: str
    fault: str
    must: str
    setup: str
    end: str
    before: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    within_s: float = 0.0
    latches: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    exposure: str = ""
    moved_mm: float | None = None
    travel_mm: float = FAR_MM
    hold_s: float = 0.0
    after_motion: bool = False
    from_roll_deg: float | None = None
    roll_max_deg: float | None = None
    outside_mm: float | None = None
    config: dict[str, Any] = field(default_factory=dict)
    log_lost: bool = False
    unmet: str = ""


def scenarios() -> list[Scenario]:
    table = tomllib.loads((Path(__file__).parent / "scenarios.toml").read_text(encoding="utf-8"))
    return [Scenario(**row) for row in table["scenario"]]


SCENARIOS = scenarios()


class Player:
    """Sets a scenario up, begins its fault, and looks at how it ends."""

    def __init__(self, scenario: Scenario, room: Any, client: DeviceClient) -> None:
        self.scenario = scenario
        self.room = room
        self.client = client
        self.start: list[float] = []
        self.begun_s = 0.0
        self.steps: AsyncGenerator[MotionProgress, None] | None = None
        self.target: TableTopPosition | None = None

    async def play(self) -> None:
        for fault in self.scenario.before:
            await self._begin(fault)
        await getattr(self, f"_setup_{self.scenario.setup}")()
        truth = await self.room.truth()
        self.begun_s = truth["t_s"]
        if self.scenario.setup != "starting":
            self.start = truth["position"]
        for fault in self.scenario.faults:
            await self._begin(fault)
        await getattr(self, f"_end_{self.scenario.end.replace('-', '_')}")()

    async def _begin(self, fault: dict[str, Any]) -> None:
        where = {key: value for key, value in fault.items() if key != "on"}
        if fault["on"] == "bar":
            await self.room.bar(where["act"])
        elif fault["on"] == "beam":
            self.room.beam = where["state"]
        elif fault["on"] == "client":
            await self.client.hold("scenario")
        elif fault["on"] == "host":
            self.room.start_second_daemon()
        elif fault["on"] == "daemon":
            self.room.daemon.kill(signal.Signals[where["signal"]])
            if "for_s" in where:
                asyncio.get_running_loop().call_later(where["for_s"], self.room.daemon.kill, signal.SIGCONT)
        else:
            await self.room.ask(fault["on"], do="fault", **where)

    # set-ups

    async def _prepare(self, position: list[float]) -> Any:
        sign = 1.0 if position[1] < MIDDLE_MM else -1.0
        angles = [max(-4.5, min(4.5, angle)) for angle in position[3:5]]
        values = [position[0], position[1] + sign * self.scenario.travel_mm, -120.0, *angles, position[5]]
        self.target = TableTopPosition.from_values(Representation.IEC_61217, values)
        return await self.client.prepare(self.target)

    async def _ask_for_motion(self) -> None:
        self.start = (await self.room.truth())["position"]
        self.steps = self.client.execute(await self._prepare(self.start))
        assert (await anext(self.steps)).phase == WAITING_FOR_ENABLE
        await self.room.press_anew()

    async def _setup_moving(self) -> None:
        if self.scenario.from_roll_deg is not None:
            position = (await self.room.truth())["position"]
            await self.room.move(self.client, (*position[:4], self.scenario.from_roll_deg, position[5]))
        await self._ask_for_motion()
        assert self.steps is not None
        await self.room.until_fast()

    async def _setup_starting(self) -> None:
        await self._ask_for_motion()

    async def _setup_rest(self) -> None:
        if self.scenario.after_motion:
            for fault in self.scenario.faults:
                await self._begin(fault)
            position = (await self.room.truth())["position"]
            await self.room.move(self.client, (*position[:1], position[1] + 2.0, *position[2:]))

    async def _setup_exposing(self) -> None:
        if self.room.latest_image is None:
            (self.room.latest_image,) = await self.client.expose("A", TECHNIQUE)
        self.image = self.room.latest_image

    async def _setup_clearing(self) -> None:
        await self.client.hold("scenario")

    async def _setup_replaying(self) -> None:
        position = (await self.room.truth())["position"]
        await self.room.move(self.client, (*position[:1], position[1] + 3.0, *position[2:]))
        recorded = (await self.room.ask("couch-link", do="record"))["frames"]
        assert min(recorded.values()) > 20
        await self.room.ask("couch-link", do="fault", name="unplug")
        await self._until(lambda status: status.links["couch"] != "up")
        await self.room.repair()
        await self.room.until_links_are_up(self.client)
        await self.client.clear("scenario", "Test")
        await self.room.press_anew()
        await self.room.until(lambda truth: truth["mode"] == "SWITCHED_ON", "the couch accepts the press")

    # ends

    async def _end_stops(self) -> None:
        scenario = self.scenario
        ending = asyncio.create_task(self._error())
        stopped = await self._standstill()
        assert stopped["t_s"] - self.begun_s <= scenario.within_s
        assert (stopped["stop_cause"] or "NONE") in scenario.latches
        self._check_where(stopped)
        await self._until_noticed()
        await asyncio.sleep(scenario.hold_s)
        assert ending.done() or scenario.hold_s < TOLD_S, "the client was not told although the fault goes on"
        await self.room.press_anew()
        await self._stays()
        await self.room.repair()
        error = await ending
        assert self._code(error) in scenario.errors, error
        await self._find_it_latched(stopped["stop_cause"])

    async def _until_noticed(self) -> None:
        """The bar is left alone until the daemon has latched something, so that it is not the bar that it latches."""
        with contextlib.suppress(PeerGone):
            await self._until(lambda status: status.first_fault is not None)

    async def _end_arrives(self) -> None:
        assert await self._error() is None
        if self.scenario.log_lost:
            async with await self.room.connect("lost in the log", clear=False):
                await self._until(lambda status: status.log_lines_lost > 0)
        await self._at_target()

    async def _end_either(self) -> None:
        if await self._error() is None:
            await self._at_target()
        else:
            await self._standstill()
            await self.room.press_anew()
            await self._stays()
            await self._find_it_latched()

    async def _end_refuses(self) -> None:
        scenario = self.scenario
        if scenario.setup == "clearing":
            error = await _caught(self.client.clear("scenario", "Test"))
            assert self._code(error) in scenario.errors
        status = await self._until(
            lambda status: bool({one.rule_id for one in status.interlocks} & set(scenario.rules))
        )
        assert not status.motion_permitted
        self._check_where(await self.room.truth())
        await self.room.press_anew()
        if scenario.setup != "clearing":
            assert self._code(await self._refusal()) in scenario.errors
        if scenario.exposure == "refused":
            assert not status.exposure_permitted
            assert self._code(await _caught(self.client.expose("A", TECHNIQUE))) == "device.interlock-open"
        await self.room.repair()
        await self.room.until_standstill()
        await self._stays()
        await self._clear_and_wait_for_a_press()

    async def _end_no_plan(self) -> None:
        """The motion is refused before there is a plan."""
        assert self.scenario.outside_mm is not None
        values = [self.scenario.outside_mm, *self.start[1:]]
        target = TableTopPosition.from_values(Representation.IEC_61217, values)
        assert self._code(await _caught(self.client.prepare(target))) in self.scenario.errors
        await self.room.press_anew()
        await self._stays()
        await self._clear_and_wait_for_a_press()

    async def _end_stays(self) -> None:
        replayed = await self.room.ask("couch-link", do="fault", name="replay")
        assert replayed["frames"] > 40
        await self._stays(0.6)
        await self._clear_and_wait_for_a_press()

    async def _end_no_image(self) -> None:
        error = await _caught(self.client.expose("A", TECHNIQUE))
        assert self._code(error) in self.scenario.errors, error
        async with asyncio.timeout(3):
            while (await self.room.ask("imager", do="truth"))["generator"] == "EXPOSING":
                await asyncio.sleep(0.005)
        assert (await self.client.status()).activity == "idle"
        await self._expose_again(self.image)

    async def _end_image(self) -> None:
        (image,) = await self.client.expose("A", TECHNIQUE)
        assert not np.array_equal(image.pixels, self.image.pixels)
        assert image.exposure_id > self.image.exposure_id
        truth = await self.room.ask("imager", do="truth")
        assert truth["generator"] == "IDLE"
        self.room.latest_image = image

    async def _end_no_rotation(self) -> None:
        before = await self.room.ask("gantry", do="truth")
        error = await _caught(self.client.prepare_rotation(before["angle_deg"] + 5.0))
        assert self._code(error) in self.scenario.errors, error
        await self._stays()
        after = await self.room.ask("gantry", do="truth")
        assert after["standstill"]
        assert after["angle_deg"] == pytest.approx(before["angle_deg"], abs=0.01)

    async def _expose_again(self, before: Any) -> None:
        """Once it is repaired the imager works, and gives a new image of its own."""
        await self.room.repair()
        await self.room.until_links_are_up(self.client)
        await self.client.clear("scenario ends", "Test")
        async with asyncio.timeout(2):  # the panel's next state says that it is not hot any more
            while (error := await _caught(self._expose())) is not None:
                assert self._code(error) == "device.interlock-open", error
                await asyncio.sleep(0.02)
        image = self.room.latest_image
        assert image.exposure_id > before.exposure_id
        assert not np.array_equal(image.pixels, before.pixels)

    async def _expose(self) -> None:
        (self.room.latest_image,) = await self.client.expose("A", TECHNIQUE)

    # what is seen

    async def _error(self) -> IsoalignError | None:
        """How the motion ended; None when it arrived."""
        assert self.steps is not None
        phase = ""
        try:
            async with asyncio.timeout(20):
                async for step in self.steps:
                    phase = step.phase
        except IsoalignError as error:
            return error
        assert phase == ARRIVED
        return None

    @staticmethod
    def _code(error: IsoalignError | None) -> str:
        assert error is not None, "the motion arrived"
        return error.remote_code if isinstance(error, RemoteError) else error.code

    async def _standstill(self) -> dict[str, Any]:
        """The first moment of standstill; for a motion that has yet to begin, the one after the latch."""
        starting = self.scenario.setup == "starting"
        truth: dict[str, Any] = await self.room.until(
            lambda truth: truth["standstill"] and not (starting and truth["stop_cause"] is None), "standstill"
        )
        return truth

    async def _at_target(self) -> None:
        assert self.target is not None
        truth = await self.room.truth()
        assert truth["standstill"]
        assert truth["position"][:3] == pytest.approx(self.target.values[:3], abs=0.1)
        assert truth["position"][3:] == pytest.approx(self.target.values[3:], abs=0.02)
        await self._stays()
        await self.room.repair()
        await self.room.until_links_are_up(self.client)
        await self._clear_and_wait_for_a_press()

    def _check_where(self, truth: dict[str, Any]) -> None:
        scenario = self.scenario
        if scenario.moved_mm is not None:
            moved = [abs(a - b) for a, b in zip(truth["position"], self.start, strict=True)]
            assert max(moved[:3]) <= scenario.moved_mm
        if scenario.roll_max_deg is not None:
            assert abs(truth["position"][4]) <= scenario.roll_max_deg

    async def _stays(self, seconds: float = STILL_S) -> None:
        """The true position does not change."""
        before = (await self.room.truth())["position"]
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while loop.time() < until_s:
            truth = await self.room.truth()
            assert truth["standstill"]
            assert max(abs(a - b) for a, b in zip(truth["position"], before, strict=True)) < 0.05
            await asyncio.sleep(0.005)

    async def _find_it_latched(self, stop_cause: str | None = None) -> None:
        """Repaired, nothing moves; the chain names the fault, refuses, and is cleared by a named user only."""
        await self.room.repair()
        async with await self.room.connect("after", clear=False) as client:
            self.client = client
            await self.room.until_links_are_up(client)
            await self._stays()
            status = await client.status()
            assert not status.motion_permitted
            assert status.first_fault is not None
            assert status.first_fault.rule_id in self.scenario.rules
            if status.first_fault.rule_id in {"couch-fault", "motion-outcome"} and stop_cause is not None:
                assert stop_cause in status.first_fault.text or "not arrived" in status.first_fault.text
            await self.room.press_anew()
            assert self._code(await self._refusal()) == "device.interlock-open"
            await self._clear_and_wait_for_a_press()

    async def _clear_and_wait_for_a_press(self) -> None:
        """Cleared, with the bar held by the press from before: the next motion waits for a new one."""
        await self.room.until_links_are_up(self.client)
        assert await _caught(self.client.clear("scenario ends", "Test")) is None
        position = (await self.room.truth())["position"]
        steps = self.client.execute(await self._prepare(position))
        assert (await anext(steps)).phase == WAITING_FOR_ENABLE
        await self._stays()
        await steps.aclose()

    async def _refusal(self) -> IsoalignError | None:
        async def ask() -> None:
            async for _ in self.client.execute(await self._prepare((await self.room.truth())["position"])):
                pytest.fail("the motion was not refused")

        error = await _caught(ask())
        # a couch that has just come back describes its axes first, which a plan needs; and a rule that latches a little
        # later makes a plan void
        passing = {"device.plan-expired"} | (set() if self.scenario.end == "refuses" else {"device.stale-state"})
        for _ in range(20):
            if error is None or self._code(error) not in passing:
                break
            await asyncio.sleep(0.05)
            error = await _caught(ask())
        return error

    async def _until(self, condition: Any) -> RoomDeviceStatus:
        async with asyncio.timeout(5):
            async with contextlib.aclosing(self.client.statuses()) as statuses:
                async for status in statuses:
                    if condition(status):
                        return status
        raise AssertionError


async def _caught(act: Any) -> IsoalignError | None:
    try:
        await asyncio.wait_for(act, 20)
    except IsoalignError as error:
        return error
    return None


def _row(scenario: Scenario, *, soak: bool = False) -> Any:
    """Unmet ones have to fail: once they pass, the table is out of date."""
    marks: list[Any] = [pytest.mark.soak] if soak else []
    if scenario.unmet:
        marks.append(
            pytest.mark.xfail(reason=scenario.unmet, strict=True, run=bool(scenario.faults or scenario.before))
        )
    return pytest.param(scenario, id=scenario.id, marks=marks)


def _needs_processes(scenario: Scenario) -> bool:
    return scenario.log_lost or any(fault["on"] in {"daemon", "host"} for fault in [*scenario.before, *scenario.faults])


async def _play(scenario: Scenario, room: Any) -> None:
    await room.configure(scenario.config)
    telling = asyncio.create_task(room.tell_beam()) if scenario.config.get("beam") else None
    with contextlib.suppress(PeerGone):  # of a client whose daemon was killed, when it leaves
        async with await room.connect() as client:
            await room.until_links_are_up(client)
            await Player(scenario, room, client).play()
    if telling is not None:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


@pytest.mark.lockstep
@pytest.mark.parametrize("scenario", [_row(one) for one in SCENARIOS if not _needs_processes(one)])
async def test_scenario(scenario: Scenario, fault_room: Any) -> None:
    await _play(scenario, fault_room)


@pytest.mark.parametrize("scenario", [_row(one, soak=not _needs_processes(one)) for one in SCENARIOS])
async def test_scenario_on_processes(scenario: Scenario, fault_room: Any) -> None:
    await _play(scenario, fault_room)


WHEN = {
    "moving": "in motion",
    "starting": "before a motion",
    "rest": "at rest",
    "exposing": "before an exposure",
    "clearing": "stopped, being cleared",
    "replaying": "at rest, enabled",
}


def test_the_page_says_the_same() -> None:
    """docs/hazards/fault-scenarios.md has a row for each scenario, in the same order and words."""
    page = Path(__file__).parents[3] / "docs" / "hazards" / "fault-scenarios.md"
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    expected = []
    for one in SCENARIOS:
        proved = f"unmet: {one.unmet}" if one.unmet else "always"
        expected.append(f"| `{one.id}` | {one.fault} | {WHEN[one.setup]} | {one.must} | {proved} |")
    assert rows == expected


def test_the_table_is_whole() -> None:
    """Every item of the list of faults is there, every scenario says what must happen, and names are used once."""
    names = [scenario.id for scenario in SCENARIOS]
    assert len(set(names)) == len(names)
    expected = {f"L{n}" for n in range(1, 21)} | {f"V{n}" for n in range(1, 21)} | {f"O{n}" for n in range(1, 13)}
    expected |= {f"X{n}" for n in range(1, 13)} | {f"H{n}" for n in range(1, 7)}
    assert {name.split("-")[0] for name in names} == expected
    for scenario in SCENARIOS:
        assert hasattr(Player, f"_setup_{scenario.setup}"), scenario.id
        assert hasattr(Player, f"_end_{scenario.end.replace('-', '_')}"), scenario.id
        assert scenario.fault
        assert scenario.must.endswith(".")
        if scenario.end == "stops":
            assert scenario.within_s > 0, scenario.id
            assert scenario.latches, scenario.id
            assert scenario.rules, scenario.id
            assert scenario.errors, scenario.id
