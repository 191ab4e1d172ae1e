"""What the couch does when its body or its firmware is broken, with a clock that the test moves."""

from __future__ import annotations

import pytest

from isoalign.clock import ManualClock
from isoalign.protocol import HostSession, SessionState, micro_from_axes
from isoalign.protocol.messages import (
    BarPosition,
    Clear,
    CommandReason,
    CommandStatus,
    CouchState,
    CouchStatus,
    DeviceKind,
    EnableToken,
    Latch,
    Move,
    SpeedClass,
    StopReason,
)
from isoalign.simulators.couch import CouchSimulator
from isoalign.simulators.couch_faults import AXIS_FAULTS, FAULTS, FIRMWARE_FAULTS, OTHER_FAULTS
from isoalign.simulators.couch_firmware import CouchFirmware
from isoalign.simulators.couch_physics import CouchBody, CouchPhysicsParameters
from isoalign.simulators.errors import InvalidTruthRequest, UnknownFault

START = (0.0, 700.0, -120.0, 0.0, 0.0, 0.0)
FAR = (0.0, 760.0, -120.0, 0.0, 0.0, 2.0)
TICK_S = 0.01


class Rig:
    """The couch simulator, a host with its client, and a held enabling switch."""

    def __init__(self, start: tuple[float, ...] = START) -> None:
        self.clock = ManualClock()
        self.clock.advance(50.0)
        now_s = self.clock.monotonic_s()
        self.body = CouchBody(start, seed=3, now_s=now_s)
        self.couch = CouchSimulator(CouchFirmware(self.body, now_s=now_s), self.clock)
        self.host = HostSession(DeviceKind.COUCH)
        self.states: list[CouchState] = []
        self.token_counter = 0
        self.press_count = 7
        self.host.connect(now_s)
        self.run(0.3)
        assert self.host.state is SessionState.OPEN
        self.press_count += 1
        self.run(0.2)

    @property
    def state(self) -> CouchState:
        return self.states[-1]

    @property
    def truth(self) -> dict[str, object]:
        return self.couch.truth()

    def run(self, seconds: float) -> None:
        for tick in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            now_s = self.clock.monotonic_s()
            self.host.poll(now_s)
            if tick % 5 == 0 and self.host.is_open:
                self.token_counter += 1
                self.host.client_counter = self.token_counter
                self.host.send(
                    EnableToken(
                        bar=BarPosition.ENABLED, press_count=self.press_count, token_counter=self.token_counter
                    ),
                    now_s,
                )
            self.couch.receive(self.host.take_output(), now_s)
            self.couch.step(now_s)
            for message in self.host.feed(self.couch.take_output(), now_s):
                if isinstance(message, CouchState):
                    self.states.append(message)

    def fault(self, name: str, **values: object) -> None:
        self.couch.answer({"do": "fault", "name": name, **values})

    def clear(self, name: str | None = None, **values: object) -> None:
        self.couch.answer({"do": "clear", **({} if name is None else {"name": name}), **values})

    def move(self, target: tuple[float, ...] = FAR) -> int:
        command = Move(
            command_id=1,
            valid_until_us=0,
            speed_class=SpeedClass.NORMAL,
            speed_permille=1000,
            target_micro=micro_from_axes(target),
            expected_start_micro=(None,) * 6,
        )
        number = self.host.issue(command, self.clock.monotonic_s())
        self.run(0.02)
        return number

    def outcome(self, number: int) -> tuple[CommandStatus, CommandReason]:
        progress = self.host.progress(number)
        assert progress is not None
        return progress.status, progress.reason


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def moving(rig: Rig) -> Rig:
    rig.move()
    rig.run(0.5)
    assert rig.body.velocity[1] > 45
    return rig


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("stuck_axis", {}),
        ("runaway", {"speed": 40.0}),
        ("runaway", {"speed": -40.0}),
        ("reversed", {}),
        ("stale_encoder", {}),
        ("sluggish", {"factor": 20.0}),
    ],
)
def test_an_axis_that_does_not_follow_ends_the_motion(moving: Rig, name: str, values: dict[str, float]) -> None:
    moving.fault(name, axis="longitudinal", **values)
    moving.run(0.8 if name != "sluggish" else 2.0)
    assert moving.truth["standstill"] is True
    assert moving.truth["stop_cause"] == "FOLLOWING_ERROR"
    assert moving.state.following_error_axis == 1


def test_an_axis_that_does_not_stop_loses_its_torque(moving: Rig) -> None:
    """STOP is worth nothing to a drive that runs away: the brakes have to take it."""
    moving.fault("following_watch_off")
    moving.fault("runaway", axis="lateral", speed=40.0)
    moving.run(0.5)
    assert abs(moving.body.drive[0] - 20.0) < 2.0, "nobody has noticed yet"
    moving.host.stop(StopReason.INTERLOCK, moving.clock.monotonic_s())
    moving.run(0.3)
    assert moving.truth["standstill"] is True
    assert moving.truth["brakes_engaged"] is True
    assert moving.body.drive[0] < 27.0
    assert moving.truth["stop_cause"] == "STOP_COMMAND"


def test_a_limit_switch_takes_the_torque() -> None:
    rig = Rig((200.0, 700.0, -120.0, 0.0, 0.0, 0.0))
    rig.fault("following_watch_off")
    rig.fault("runaway", axis=0, speed=45.0)
    rig.move((210.0, 760.0, -120.0, 0.0, 0.0, 0.0))
    rig.run(1.5)
    assert rig.truth["standstill"] is True
    assert 250.0 < rig.body.drive[0] < 251.5
    rig = Rig((200.0, 700.0, -120.0, 0.0, 0.0, 0.0))
    for name in ("following_watch_off", "limit_switch_fails"):
        rig.fault(name)
    rig.fault("runaway", axis=0, speed=45.0)
    rig.move((210.0, 760.0, -120.0, 0.0, 0.0, 0.0))
    rig.run(1.5)
    assert rig.body.drive[0] > 260.0


def test_a_reversed_axis_moves_the_wrong_way(rig: Rig) -> None:
    rig.fault("following_watch_off")
    rig.fault("reversed", axis=1)
    rig.move((0.0, 710.0, -120.0, 0.0, 0.0, 0.0))
    rig.run(1.0)
    assert rig.body.table[1] == pytest.approx(690.0, abs=0.1)


@pytest.mark.parametrize("axis", [1, 5])
def test_a_stale_encoder_and_a_scale_error_show_in_the_readings_alone(rig: Rig, axis: int) -> None:
    rig.fault("stale_encoder", axis=axis)
    rig.fault("following_watch_off")
    rig.move()
    rig.run(0.5)
    first, last = rig.states[-20], rig.states[-1]
    assert first.primary_micro[axis] == last.primary_micro[axis]
    assert last.state_count > first.state_count
    assert last.secondary_micro[axis] != first.secondary_micro[axis]


@pytest.mark.parametrize(("name", "channel"), [("scale_error", "primary"), ("secondary_scale_error", "secondary")])
def test_a_scale_error_grows_with_the_way(rig: Rig, name: str, channel: str) -> None:
    rig.fault(name, axis=1, error=0.05)
    rig.run(0.1)
    assert abs(rig.state.primary_micro[1] - rig.state.secondary_micro[1]) < 50
    rig.move()
    rig.run(2.0)
    apart = (rig.state.primary_micro[1] - rig.state.secondary_micro[1]) / 1000
    assert apart == pytest.approx(60 * 0.05 / 1.05 if channel == "primary" else -60 * 0.05, abs=0.1)
    assert rig.body.table[1] == pytest.approx(700 + 60 / 1.05 if channel == "primary" else 760.0, abs=0.1)


def test_noise_and_a_step_of_an_encoder(rig: Rig) -> None:
    rig.fault("noise_burst", axis=2, deviation=3.0)
    rig.fault("secondary_step", axis=0, step=1.0)
    rig.run(2.0)
    vertical = [state.primary_micro[2] / 1000 + 120 for state in rig.states[-80:]]
    assert max(vertical) > 3.0
    assert min(vertical) < -3.0
    assert rig.state.secondary_micro[0] == pytest.approx(1000, abs=20)
    assert rig.body.table[0] == 0.0
    rig.clear()
    rig.run(0.1)
    assert rig.state.secondary_micro[0] == pytest.approx(0, abs=20)
    assert abs(rig.state.primary_micro[2] / 1000 + 120) < 0.1


def test_brakes_that_stay_closed_and_brakes_that_stay_open(rig: Rig) -> None:
    rig.fault("brakes_stay_closed")
    rig.move()
    rig.run(0.6)
    assert rig.truth["stop_cause"] == "FOLLOWING_ERROR"
    assert rig.truth["position"] == list(START)
    rig = Rig()
    rig.fault("brakes_stay_open")
    number = rig.move((0.0, 702.0, -120.0, 0.0, 0.0, 0.0))
    rig.run(2.0)
    assert rig.outcome(number)[0] is CommandStatus.DONE
    assert CouchStatus.BRAKES_ENGAGED not in rig.state.status
    rig.clear("brakes_stay_open")
    rig.run(0.2)
    assert CouchStatus.BRAKES_ENGAGED in rig.state.status


def test_a_table_creeps_against_its_brakes(rig: Rig) -> None:
    rig.fault("creep", axis="vertical", speed=-0.5)
    rig.run(2.0)
    assert rig.body.table[2] == pytest.approx(-121.0, abs=0.02)
    assert rig.state.primary_micro[2] == pytest.approx(-121_000, abs=40)
    assert rig.state.velocity_micro_per_s[2] == -500
    rig.clear("creep", axis=2)
    rig.run(0.1)
    assert rig.truth["standstill"] is True


@pytest.mark.parametrize(("name", "count_runs"), [("frame_frozen", False), ("count_frozen", False)])
def test_a_frozen_state(moving: Rig, name: str, count_runs: bool) -> None:
    moving.fault(name)
    moving.run(0.1)
    before = moving.state
    moving.run(0.2)
    assert (moving.state.state_count > before.state_count) is count_runs
    assert (moving.state.primary_micro == before.primary_micro) is (name == "frame_frozen")
    assert (moving.state.device_time_us == before.device_time_us) is (name == "frame_frozen")
    moving.clear(name)
    moving.run(0.1)
    assert moving.state.state_count > before.state_count


def test_a_motion_that_is_reported_and_not_made(rig: Rig) -> None:
    rig.fault("ack_without_motion")
    number = rig.move()
    rig.run(0.5)
    assert rig.outcome(number)[0] is CommandStatus.DONE
    assert rig.truth["position"] == list(START)


def test_a_motion_that_is_made_and_not_answered_or_refused(rig: Rig) -> None:
    rig.fault("motion_without_ack")
    number = rig.move()
    rig.run(0.5)
    assert rig.body.velocity[1] > 45
    progress = rig.host.progress(number)
    assert progress is not None
    assert progress.unanswered
    rig = Rig()
    rig.fault("reject_and_move")
    number = rig.move()
    rig.run(0.5)
    assert rig.outcome(number)[0] is CommandStatus.REJECTED
    assert rig.body.velocity[1] > 45


def test_clearing_is_refused(rig: Rig) -> None:
    rig.fault("clear_refused")
    rig.host.stop(StopReason.HOLD, rig.clock.monotonic_s())
    rig.run(0.1)
    clear = Clear(command_id=1, valid_until_us=0, latch=Latch.STOP_COMMAND)
    number = rig.host.issue(clear, rig.clock.monotonic_s())
    rig.run(0.1)
    assert rig.outcome(number)[0] is CommandStatus.REJECTED
    assert rig.state.latch is Latch.STOP_COMMAND


def test_a_reboot_closes_the_brakes_and_forgets(moving: Rig) -> None:
    moving.fault("reboot", seconds=0.2)
    position = moving.body.drive.copy()
    moving.run(0.1)
    assert moving.truth["standstill"] is True
    assert moving.truth["brakes_engaged"] is True
    seen = len(moving.states)
    moving.run(0.5)
    assert len(moving.states) == seen, "no state of the new firmware is taken for one of the old session"
    assert moving.body.drive == pytest.approx(position, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "state"), [("wrong_kind", SessionState.WRONG_DEVICE), ("wrong_dictionary", SessionState.READ_ONLY)]
)
def test_a_couch_that_is_another(rig: Rig, name: str, state: SessionState) -> None:
    rig.fault(name)
    rig.run(0.5)
    rig.host.connect(rig.clock.monotonic_s())
    rig.run(0.5)
    assert rig.host.state is state
    rig.clear(name)
    rig.run(0.5)
    rig.host.connect(rig.clock.monotonic_s())
    rig.run(0.5)
    assert rig.host.state is SessionState.OPEN


def test_the_couch_clock_jumps_and_nothing_else(moving: Rig) -> None:
    before = moving.state.device_time_us
    moving.fault("time_jump", seconds=10.0)
    moving.run(0.1)
    assert moving.state.device_time_us - before == pytest.approx(10.1e6, abs=0.03e6)
    assert moving.truth["stop_cause"] is None


def test_sequence_numbers_wrap_without_loss(rig: Rig) -> None:
    rig.fault("seq_jump", count=1000)
    seen = len(rig.states)
    rig.run(1.0)
    assert len(rig.states) - seen == pytest.approx(50, abs=2)


@pytest.mark.parametrize(("payload_kg", "reach_mm", "sunk_mm", "tilt_deg"), [
    (0.0, 1500.0, 0.0, 0.0),
    (150.0, 1500.0, 2.0, 0.1),
    (75.0, 1500.0, 1.0, 0.05),
    (150.0, 750.0, 0.25, 0.025),
    (150.0, 0.0, 0.0, 0.0),
])  # fmt: skip
def test_the_table_top_sags_and_no_encoder_sees_it(
    payload_kg: float, reach_mm: float, sunk_mm: float, tilt_deg: float
) -> None:
    parameters = CouchPhysicsParameters(sag_mm=2.0, sag_pitch_deg=0.1)
    body = CouchBody((0, reach_mm, -100, 0, 0, 0), seed=0, now_s=0.0, parameters=parameters)
    body.payload_kg = payload_kg
    assert body.true_position()[2] == pytest.approx(-100 - sunk_mm)
    assert body.true_position()[3] == pytest.approx(-tilt_deg)
    assert body.secondary()[2] == pytest.approx(-100, abs=0.02)


def test_a_couch_is_rigid_and_empty_by_default(rig: Rig) -> None:
    assert rig.truth["payload_kg"] == 0.0
    rig.couch.answer({"do": "payload", "kg": 120})
    assert rig.truth["payload_kg"] == 120.0
    assert rig.truth["position"] == list(START)
    with pytest.raises(InvalidTruthRequest, match="150"):
        rig.couch.answer({"do": "payload", "kg": 200})


def test_every_fault_can_be_begun_and_ended(rig: Rig) -> None:
    before = rig.truth["faults"]
    for name in FAULTS:
        rig.fault(name, **({"axis": 3} if name in AXIS_FAULTS else {}))
    assert set(rig.truth["faults"]) == set(FAULTS) - {"reboot"}  # type: ignore[call-overload]
    rig.clear()
    assert rig.truth["faults"] == before == []
    firmware, body = rig.couch.firmware, rig.body
    assert not any(getattr(firmware.faults, name) for name in FIRMWARE_FAULTS)
    assert firmware.faults.clock_jump_s == firmware.faults.seq_per_step == 0
    of_the_body = ("stuck", "runaway", "creep", "reversed_about", "sluggish", "primary_invalid", "primary_frozen")
    of_the_body += ("primary_scale", "secondary_scale", "primary_noise", "brakes_stay_closed", "brakes_stay_open")
    assert not any(getattr(body, name) for name in of_the_body)


def test_what_makes_no_sense_is_an_error_and_changes_nothing(rig: Rig) -> None:
    with pytest.raises(UnknownFault, match="creep"):
        rig.fault("gremlins")
    with pytest.raises(UnknownFault):
        rig.clear("gremlins")
    for name, values in [
        ("runaway", {}),
        ("runaway", {"axis": 9}),
        ("runaway", {"axis": 0, "speeed": 3}),
        ("sluggish", {"axis": 0, "factor": -3}),
        ("runaway", {"axis": 0, "speed": "fast"}),
        ("frame_frozen", {"axis": 0}),
        ("reboot", {"seconds": -1}),
    ]:
        with pytest.raises(InvalidTruthRequest):
            rig.fault(name, **values)
    assert rig.truth["faults"] == []
    assert set(OTHER_FAULTS) <= set(FAULTS)
