"""The heart of the daemon: all devices of the room, what they are doing, and the interlock chain over them.

Everything here runs in one event loop and never blocks it. The chain is evaluated with every report of couch and
pendant, and every few milliseconds in between, so that silence is noticed, too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace

import structlog

from isoalign.clock import Clock
from isoalign.devices.config import DaemonConfig, ImagerAddress, TcpAddress
from isoalign.devices.couch import Couch
from isoalign.devices.errors import InterlockOpen, MotionBusy, NotPresent, StaleState
from isoalign.devices.gantry import Gantry
from isoalign.devices.gantry_status import summary_of
from isoalign.devices.imager import KvImager
from isoalign.devices.link import DeviceLink
from isoalign.devices.log import lines_lost
from isoalign.devices.pendant import Pendant
from isoalign.devices.pulse import Pulse
from isoalign.devices.room_state import BeamWatch, CalibrationExpiry, RecentLoads
from isoalign.devices.status import FAST, NORMAL, SERVICE, OpenInterlock, RoomDeviceStatus
from isoalign.devices.transport import SerialTransport, TcpTransport, Transport
from isoalign.interlocks import (
    Activity,
    Beam,
    Evaluation,
    Finding,
    Inputs,
    InterlockMonitor,
    Mover,
    Observation,
    Reaction,
    Settings,
    rules_for,
    soft_limits_inside,
)
from isoalign.protocol.messages import PendantState, StopReason
from isoalign.protocol.watchdog import is_newer

_log = structlog.get_logger("isoalign.devices.controller")

COMING_TO_REST_S = 2.0
REPORTS_WAIT_S = 1.0
"""As long as a session takes that is made anew after a pause of this computer, with much to spare."""
SPEED_LIMITS = {SERVICE: (10.0, 1.0), NORMAL: (50.0, 3.0), FAST: (100.0, 6.0)}
"""Of the speed classes, mm/s and degrees/s."""


class DeviceController:
    """All devices of one room.

    Parameters
    ----------
    config : DaemonConfig
    clock : Clock

    Attributes
    ----------
    couch, pendant, gantry, imagers
        The drivers; couch, pendant and gantry are None in a room without them.
    mover : Mover
        What moves while the activity is a motion.
    changed : Pulse
        Fires whenever anything may have changed.
    evaluation : Evaluation
        Of the chain, at most one tick old.
    beam : BeamWatch
    patient_epoch : int
        Counts the patients that were placed.
    """

    def __init__(self, config: DaemonConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.changed = Pulse()
        self.activity = Activity.IDLE
        self.mover = Mover.COUCH
        self.plan_epoch = 0
        self.couch = None if config.couch is None else Couch(
            self._open_couch, clock, on_reading=self._on_couch_reading, on_change=self.evaluate
        )  # fmt: skip
        self.pendant = None if config.pendant is None else Pendant(
            self._open_pendant, clock, on_state=self._on_pendant_state
        )  # fmt: skip
        self.gantry = None if config.gantry is None else Gantry(
            self._open_gantry, clock, on_reading=self.evaluate, on_change=self.evaluate
        )  # fmt: skip
        self.imagers = {address.name: self._imager(address) for address in config.imagers}
        self.beam = BeamWatch()
        self.patient_epoch = 0
        self._calibration = CalibrationExpiry(config.calibration_valid_until, clock)
        self._payload_reference_kg: float | None = None
        self._exposing: tuple[KvImager, ...] = ()
        self.monitor = InterlockMonitor(
            Settings(
                client_limit_s=config.client_lease_s,
                secondary_scale=config.secondary_scale,
                secondary_offset=config.secondary_offset,
                sag_mm_per_kg=config.sag_mm_per_kg,
                sag_deg_per_kg=config.sag_deg_per_kg,
                payload_range_kg=config.payload_range_kg,
                payload_change_kg=config.payload_change_kg,
                drive_temperature_limit_c=config.drive_temperature_limit_c,
                panel_temperature_limit_c=config.panel_temperature_limit_c,
            ),
            rules_for(
                couch=self.couch is not None,
                gantry=self.gantry is not None,
                beam=config.beam,
                calibration=config.calibration_valid_until is not None,
                imagers=bool(config.imagers),
            ),
        )
        self._beats: dict[int, Observation[int]] = {}
        self._owner: int | None = None
        self._rest: tuple[float, ...] = ()
        self._rest_payload_kg: float | None = None
        self._loads = RecentLoads()
        self._gantry_rest_deg: float | None = None
        self._described_generation = self._gantry_described_generation = -1
        self._clearing = asyncio.Lock()
        self._ticking: asyncio.TimerHandle | None = None
        self.evaluation: Evaluation = self.monitor.evaluate(self.inputs(), clock.monotonic_s())

    def links(self) -> list[DeviceLink]:
        """The links of all devices."""
        links = [device.link for device in (self.couch, self.pendant, self.gantry) if device is not None]
        for imager in self.imagers.values():
            links += [imager.generator.link, imager.panel.link]
        return links

    def start(self) -> None:
        """Begin to connect to every device and to watch; returns at once."""
        for link in self.links():
            link.start()
        self._tick()

    async def close(self) -> None:
        """Stop what moves, end all links."""
        if not self.is_all_at_rest():
            self.stop_motion(StopReason.SHUTDOWN)
        for imager in self.imagers.values():
            imager.abort()
        if self._ticking is not None:
            self._ticking.cancel()
        await asyncio.gather(*(link.close() for link in self.links()))

    # what is known

    def inputs(self) -> Inputs:
        """What the chain looks at now."""
        now_s = self.clock.monotonic_s()
        couch, reading = self.couch, None if self.couch is None else self.couch.reading
        gantry, turned = self.gantry, None if self.gantry is None else self.gantry.reading
        session_ok = None if couch is None else couch.session_ok
        gantry_ok = None if gantry is None else gantry.session_ok
        return Inputs(
            activity=self.activity,
            couch=None if reading is None else Observation(reading.value.as_report(), reading.at_s),
            session_ok=None if session_ok is None else Observation(session_ok, now_s),
            client_heartbeat=None if self._owner is None else self._beats.get(self._owner),
            enable=None if self.pendant is None else self.pendant.enable,
            rest=self._rest,
            safety=None if couch is None else couch.safety,
            payload_reference_kg=self._payload_reference_kg,
            beam=self.beam.latest,
            calibration_is_valid=self._calibration.is_valid(),
            imagers=tuple(imager.report() for imager in self._exposing),
            mover=self.mover,
            gantry=None if turned is None else Observation(turned.value.as_report(), turned.at_s),
            gantry_session_ok=None if gantry_ok is None else Observation(gantry_ok, now_s),
            gantry_rest_deg=self._gantry_rest_deg,
            rest_payload_kg=self._rest_payload_kg,
            recent_payload_kg=self._loads.recent(self.payload_kg(), now_s),
        )

    def payload_kg(self) -> float | None:
        """Measured load of the table top; None when it is not known now."""
        safety = None if self.couch is None else self.couch.safety
        if safety is None or safety.age_s(self.clock.monotonic_s()) > self.monitor.settings.safety_limit_s:
            return None
        return safety.value.payload_kg

    def is_at_rest(self) -> bool:
        """Whether the couch is known to stand still; a room without couch is at rest."""
        if self.couch is None:
            return True
        reading = self.couch.reading
        if reading is None or reading.age_s(self.clock.monotonic_s()) > self.monitor.settings.state_limit_s:
            return False
        return reading.value.standstill

    def is_gantry_at_rest(self) -> bool:
        """Whether gantry and imager arm are known to stand still; a room without gantry is at rest."""
        if self.gantry is None:
            return True
        reading = self.gantry.reading
        if reading is None or reading.age_s(self.clock.monotonic_s()) > self.monitor.settings.state_limit_s:
            return False
        return reading.value.standstill

    def is_all_at_rest(self) -> bool:
        """Whether everything that could move is known to stand still."""
        return self.is_at_rest() and self.is_gantry_at_rest()

    def is_client_alive(self) -> bool:
        """Whether the heartbeat of the owner of the motion advances."""
        beat = None if self._owner is None else self._beats.get(self._owner)
        return beat is not None and beat.age_s(self.clock.monotonic_s()) <= self.config.client_lease_s

    def require_couch(self) -> Couch:
        """The couch; raises NotPresent."""
        if self.couch is None:
            raise NotPresent("this room has no couch")
        return self.couch

    def require_gantry(self) -> Gantry:
        """The gantry; raises NotPresent."""
        if self.gantry is None:
            raise NotPresent("this room has no gantry")
        return self.gantry

    def require_pendant(self) -> Pendant:
        """The pendant; raises NotPresent."""
        if self.pendant is None:
            raise NotPresent("this room has no pendant, so nothing may move")
        return self.pendant

    def require_idle(self) -> None:
        """Raise MotionBusy while something moves or exposes, or waits to."""
        if self.activity is not Activity.IDLE or self._owner is not None:
            doing = self.activity.value if self.activity is not Activity.IDLE else "waiting for the enable bar"
            raise MotionBusy(f"the devices are busy: {doing}")

    def objection(self, activity: Activity, mover: Mover = Mover.COUCH) -> Finding | None:
        """What the chain has against it that an act begins now, the first cause; None when it is permitted."""
        verdict = self.evaluation
        permitted = verdict.exposure_permitted
        if activity is Activity.MOTION:
            permitted = verdict.arm_permitted if mover is Mover.ARM else verdict.motion_permitted
        if not permitted:
            return verdict.first_fault or verdict.open[0]
        inputs = replace(self.inputs(), activity=activity, mover=mover)
        return self.monitor.objection(inputs, self.clock.monotonic_s())

    def require_permitted(self, activity: Activity, mover: Mover = Mover.COUCH) -> None:
        """Raise InterlockOpen, naming the first cause, when the chain does not permit an act to begin."""
        first = self.objection(activity, mover)
        if first is None:
            return
        act = activity if mover is Mover.COUCH else mover
        raise InterlockOpen(
            f"{act.value} refused: {first.text} ({first.rule_id})",
            rule=first.rule_id,
            open=[finding.rule_id for finding in self.evaluation.open],
        )

    def status(self) -> RoomDeviceStatus:
        """Everything at once, for clients."""
        now_s = self.clock.monotonic_s()
        reading = None if self.couch is None else self.couch.reading
        verdict = self.evaluation
        mode = "ABSENT" if self.couch is None else "UNKNOWN" if reading is None else reading.value.mode.name
        limit_s = self.monitor.settings.enable_limit_s
        return RoomDeviceStatus(
            couch_position=None if reading is None else reading.value.position,
            axes=() if reading is None else reading.value.axes,
            mode=mode,
            activity=self.activity.value,
            moving=not self.is_at_rest(),
            interlocks=tuple(_shown(finding) for finding in verdict.open),
            first_fault=None if verdict.first_fault is None else _shown(verdict.first_fault),
            enable_active=self.pendant is not None and self.pendant.is_held(limit_s),
            motion_permitted=self.objection(Activity.MOTION) is None,
            exposure_permitted=self.objection(Activity.EXPOSURE) is None,
            couch_age_s=None if reading is None else reading.age_s(now_s),
            pendant_age_s=None if self.pendant is None else self.pendant.age_s(),
            imagers=tuple(self.imagers),
            links={link.name: link.state.value for link in self.links()},
            couch_hears_pendant=reading is not None and reading.value.press_count is not None,
            beam_hold_requested=self.activity is Activity.MOTION or not self.is_all_at_rest(),
            payload_kg=self.payload_kg(),
            log_lines_lost=lines_lost(),
            gantry=None
            if self.gantry is None
            else summary_of(self.gantry.reading, now_s, at_rest=self.is_gantry_at_rest()),
        )

    # acts

    def own(self, peer: int | None) -> None:
        """Give the motion to a client, or to nobody; only the owner's heartbeat is forwarded from now on."""
        self._owner = peer
        if peer is not None:
            beat = self._beats.get(peer)
            self._forward_client(None if beat is None else beat.value)

    def begin_motion(self, mover: Mover, *, speed: str = NORMAL, payload_kg: float | None) -> None:
        """A motion begins now, of a speed class and planned for a load; the rules that go with it count from now on."""
        self._use_speed(speed)
        self._payload_reference_kg = payload_kg
        self.activity, self.mover = Activity.MOTION, mover
        if mover is not Mover.COUCH:
            self.plan_epoch += 1  # what was planned beside the gantry as it stood does not hold any more
        self.evaluate()

    def begin_exposure(self, imagers: Sequence[KvImager]) -> None:
        """An exposure of some imagers begins now; the rules that go with it count from now on."""
        self._exposing = tuple(imagers)
        self.activity = Activity.EXPOSURE
        self.evaluate()

    def begin_stage(self) -> None:
        """A straight part of a motion begins where the couch stands now."""
        self._take_rest()

    def end(self) -> None:
        """Motion or exposure is over; where couch and gantry stand now is where they have to stay."""
        self.activity, self.mover = Activity.IDLE, Mover.COUCH
        self._payload_reference_kg = None
        self._exposing = ()
        self._use_speed(NORMAL)
        self._take_rest()
        self.evaluate()

    async def come_to_rest(self) -> None:
        """Wait, for a bounded time, until everything is seen to stand still."""
        if not await self.changed.until(self.is_all_at_rest, COMING_TO_REST_S):
            _log.error("motion.not-seen-at-rest", couch=self.is_at_rest(), gantry=self.is_gantry_at_rest())

    def stop_motion(self, reason: StopReason) -> None:
        """Stop couch, gantry and imager arm, now; always legal and never an error."""
        for device in (self.couch, self.gantry):
            if device is not None:
                device.stop(reason)

    async def await_reports(self) -> None:
        """Before an act is permitted or refused: wait, for a bounded time, until the chain knows all that it looks at.

        Nothing begins by this; the caller asks for permission afterwards.
        """
        await self.changed.until(
            lambda: not self.monitor.lacks_a_report(self.inputs(), self.clock.monotonic_s()), REPORTS_WAIT_S
        )
        self.evaluate()

    def interrupt(self, rule_id: str, text: str, stop: StopReason) -> None:
        """Latch a rule and stop everything, at once."""
        self.stop_motion(stop)
        for imager in self.imagers.values():
            if self.activity is Activity.EXPOSURE:
                imager.abort()
        self.monitor.latch(rule_id, text, self.clock.monotonic_s())
        self.plan_epoch += 1
        _log.warning("interlock.latched", rule=rule_id, text=text)
        self.evaluate()

    async def clear(self, *, user: str, reason: str) -> tuple[str, ...]:
        """Clear the latches of couch, gantry and chain, in the name of a user; returns the rules that were cleared.

        Raises
        ------
        MotionBusy, ClearRefused, LinkLost, DeviceRefused, CouchFault, GantryFault
        """
        async with self._clearing:
            self.require_idle()
            devices = [device for device in (self.couch, self.gantry) if device is not None]
            for device in devices:
                device.acknowledge_loss()
            await self.await_reports()
            for device in devices:
                with contextlib.suppress(StaleState):
                    await device.clear_latch()
                self.require_idle()
            self._take_rest()
            if self.pendant is not None:
                self.pendant.use_press()
            cleared = self.monitor.clear(self.inputs(), self.clock.monotonic_s(), user=user, reason=reason)
            self.plan_epoch += 1
            self.evaluate()
            _log.info("interlock.cleared", user=user, reason=reason, rules=[finding.rule_id for finding in cleared])
            return tuple(finding.rule_id for finding in cleared)

    # events

    def heartbeat(self, peer: int, counter: int) -> None:
        """A client's heartbeat has come; a counter that does not advance is no sign of life."""
        before = self._beats.get(peer)
        if before is None or is_newer(counter, before.value):
            self._beats[peer] = Observation(counter, self.clock.monotonic_s())
            if self._owner in {None, peer}:
                self._forward_client(counter)

    def beam_state(self, peer: int, state: Beam, counter: int) -> None:
        """The room tells the state of its treatment beam; see :class:`~isoalign.devices.room_state.BeamWatch`.

        Raises
        ------
        NotPresent
            When this room is not configured with a beam: nobody would look at it.
        BadParameters
        """
        if not self.config.beam:
            raise NotPresent("this room is configured without a treatment beam", hint="Set beam to true in its file.")
        self.beam.take(peer, state, counter, self.clock.monotonic_s())
        self.evaluate()

    def client_gone(self, peer: int) -> None:
        """A client has closed its connection or died."""
        self._beats.pop(peer, None)
        self.beam.client_gone(peer)
        if self._owner == peer and self.activity is Activity.MOTION:
            self.interrupt("client-heartbeat", "the commanding program is gone", StopReason.CLIENT_GONE)
        self.evaluate()

    def evaluate(self) -> None:
        """Look at the chain and act on what has tripped."""
        now_s = self.clock.monotonic_s()
        self._learn_limits()
        if self.activity is Activity.IDLE:
            if not self._rest:
                self._take_couch_rest()
            self._gantry_rest_deg = self._gantry_rest() if self._gantry_rest_deg is None else self._gantry_rest_deg
        self.evaluation = self.monitor.evaluate(self.inputs(), now_s)
        if self.evaluation.tripped:
            self._react(self.evaluation)
        self.changed.fire()

    def _react(self, verdict: Evaluation) -> None:
        if verdict.reaction in {Reaction.SS1, Reaction.STO}:
            if self.activity is Activity.MOTION or not self.is_all_at_rest():
                self.stop_motion(StopReason.INTERLOCK)
            if self.activity is Activity.EXPOSURE:
                for imager in self.imagers.values():
                    imager.abort()
        self.plan_epoch += 1
        for finding in verdict.tripped:
            _log.warning("interlock.latched", rule=finding.rule_id, text=finding.text, activity=self.activity.value)

    def _use_speed(self, speed: str) -> None:
        mm_per_s, deg_per_s = SPEED_LIMITS[speed]
        settings = self.monitor.settings
        self.monitor.settings = replace(settings, speed_limit_mm_per_s=mm_per_s, speed_limit_deg_per_s=deg_per_s)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._ticking = loop.call_later(self.config.tick_s, self._tick)
        loop.call_soon(self.evaluate)  # after what has arrived: our own pause is not silence

    def _on_couch_reading(self) -> None:
        self.evaluate()

    def _on_pendant_state(self, state: PendantState) -> None:
        for device in (self.couch, self.gantry):
            if device is not None:
                device.forward_enable(state)
        self.evaluate()

    def _forward_client(self, counter: int | None) -> None:
        for device in (self.couch, self.gantry):
            if device is not None:
                device.forward_client(counter)

    def _take_rest(self) -> None:
        self._take_couch_rest()
        self._gantry_rest_deg = self._gantry_rest()

    def _take_couch_rest(self) -> None:
        self._rest = self._couch_rest()
        self._rest_payload_kg = self.payload_kg()

    def _couch_rest(self) -> tuple[float, ...]:
        reading = None if self.couch is None else self.couch.reading
        position = None if reading is None or not self.is_at_rest() else reading.value.position
        return () if position is None else position.values

    def _gantry_rest(self) -> float | None:
        reading = None if self.gantry is None else self.gantry.reading
        return None if reading is None or not self.is_gantry_at_rest() else reading.value.angle_deg

    def _learn_limits(self) -> None:
        """Once per session: the couch's travel, narrowed by the room's, and the lags of the second channels."""
        self._learn_gantry()
        couch = self.couch
        if couch is None or couch.link.generation == self._described_generation or not couch.travel:
            return
        self._described_generation = couch.link.generation
        limits = couch.travel
        for axis, (least, greatest) in self.config.limits.items():
            limits[axis] = (max(least, limits[axis][0]), min(greatest, limits[axis][1]))
        inside = soft_limits_inside(
            limits, margin_mm=self.config.soft_limit_margin_mm, margin_deg=self.config.soft_limit_margin_deg
        )
        lags = couch.secondary_lag_s | self.config.secondary_lag_s
        self.monitor.settings = replace(self.monitor.settings, soft_limits=inside, secondary_lag_s=lags)
        self._rest = ()

    def _imager(self, address: ImagerAddress) -> KvImager:
        limit = self.config.panel_lag_limit_percent
        return KvImager(address, self.clock, lag_limit_percent=limit, on_report=self.evaluate)

    def _learn_gantry(self) -> None:
        gantry = self.gantry
        lag_s = None if gantry is None else gantry.secondary_lag_s
        if gantry is None or lag_s is None or gantry.link.generation == self._gantry_described_generation:
            return
        self._gantry_described_generation = gantry.link.generation
        self.monitor.settings = replace(self.monitor.settings, gantry_secondary_lag_s=lag_s)
        self._gantry_rest_deg = None

    async def _open_couch(self) -> Transport:
        address = self.config.couch
        assert address is not None
        if isinstance(address, TcpAddress):
            return await TcpTransport.open(address.host, address.port, name="couch")
        return await SerialTransport.open(address.serial, address.baud, name="couch")

    async def _open_pendant(self) -> Transport:
        assert self.config.pendant is not None
        return await TcpTransport.open(self.config.pendant.host, self.config.pendant.port, name="pendant")

    async def _open_gantry(self) -> Transport:
        assert self.config.gantry is not None
        return await TcpTransport.open(self.config.gantry.host, self.config.gantry.port, name="gantry")


def _shown(finding: Finding) -> OpenInterlock:
    return OpenInterlock(finding.rule_id, finding.text, finding.latched, finding.reaction.name)
