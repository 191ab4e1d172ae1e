"""One positioning session: which act is allowed when, and what it leads to.

The session decides; it moves nothing itself. Its ports are joined to devices by the room.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from isoalign.clock import Clock
from isoalign.errors import IsoalignError
from isoalign.geometry import TableTopPosition, displacement_between
from isoalign.positioning.errors import CouchDisplaced, NotApproved, SessionHeld
from isoalign.positioning.planning import CorrectionLimits, plan_correction, require_accepted, setup_position
from isoalign.positioning.ports import CouchPort, ImagerPort, InRoomCtPort, MatcherPort, MoveProgress
from isoalign.positioning.workflow import FIELD_IS_OPEN, MOVING, Event, State, next_state
from isoalign.records import (
    Approval,
    Beam,
    Correction,
    ImagingPass,
    InRoomScan,
    Match,
    Plan,
    Purpose,
    Technique,
    TimelineEntry,
    Tolerance,
    Verdict,
)

STILL_AT_START_MM = 0.2
STILL_AT_START_DEG = 0.05


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What the site decides about positioning."""

    tolerance: Tolerance
    limits: CorrectionLimits
    default_setup: TableTopPosition
    technique: Technique


@dataclass
class PositioningSession:
    """The acts of a session, each checked against the workflow table.

    Parameters
    ----------
    settings : SessionSettings
    couch, imagers, matcher
        The ports that carry out what the session decides.
    clock : Clock
    on_event : callable
        Called as ``on_event(step, detail, fraction)`` with progress; fraction is None where it is unknown.
    """

    settings: SessionSettings
    couch: CouchPort
    imagers: ImagerPort
    matcher: MatcherPort
    clock: Clock
    on_event: Callable[[str, str, float | None], None] = lambda _step, _detail, _fraction: None
    state: State = State.IDLE
    plan: Plan | None = None
    beam: Beam | None = None
    correction: Correction | None = None
    approval: Approval | None = None
    arrived: TableTopPosition | None = None
    passes: list[ImagingPass] = field(default_factory=list)
    timeline: list[TimelineEntry] = field(default_factory=list)
    started_s: float = 0.0
    _waiting: asyncio.Future[InRoomScan] | None = None

    def load(self, plan: Plan, beam: Beam) -> None:
        """Begin with a patient; forgets whatever an earlier patient left."""
        self._step(Event.LOAD)
        self.plan, self.beam = plan, beam
        self._forget_images()
        self.timeline.clear()
        self.started_s = self.clock.monotonic_s()

    async def move_to_setup(self) -> TableTopPosition:
        """Bring the couch to the set-up position of the beam."""
        next_state(self.state, Event.START_SETUP_MOVE)
        assert self.beam is not None  # every state that allows this move has a patient
        target = setup_position(self.beam, self.settings.default_setup)
        self.settings.limits.travel.require(target)
        await self._move(Event.START_SETUP_MOVE, target, "set-up position")
        return target

    async def image_and_match(self) -> Match:
        """Take a kV set and match it; the first one leads to a correction, the one after a move to the residual.

        Raises
        ------
        MatchRefused
            When the match is not accepted; the couch stays where it is.
        """
        next_state(self.state, Event.IMAGE)
        purpose = self._purpose()
        async with self._timed(f"{purpose.value} images"):
            before = await self.couch.position()
            radiographs = await self.imagers.acquire(self.settings.technique)
            table_top = await self.couch.position()
            _require_still(before, table_top)
        self._step(Event.IMAGE)
        match = await self._find(f"{purpose.value} match", self.matcher.match(radiographs))
        self._take(ImagingPass(purpose, tuple(radiographs), match, table_top, self._matched_scan(match)))
        return match

    async def scan_and_match(self, scanner: InRoomCtPort) -> Match:
        """Wait for a CT of the in-room scanner and match it to the planning CT; leads to what images lead to.

        The couch stays where it is while the field is open: motion is refused by the table, and a couch that was
        moved all the same spoils the scan.

        Raises
        ------
        SessionHeld
            When the session was held meanwhile; the field is closed.
        CouchDisplaced
            When the couch is not where it was when the field was opened.
        MatchRefused
            When the match is not accepted; the couch stays where it is.
        """
        next_state(self.state, Event.OPEN_FIELD)
        purpose = self._purpose()
        before = await self.couch.position()
        self._step(Event.OPEN_FIELD)
        try:
            async with self._timed(f"{purpose.value} in-room CT"):
                scan = await self._receive(scanner)
                table_top = await self.couch.position()
                _require_still(before, table_top)
        except BaseException:
            if self.state in FIELD_IS_OPEN:
                self._step(Event.CLOSE_FIELD)
            raise
        self._step(Event.RECEIVE_SCAN)
        match = await self._find(f"{purpose.value} 3D/3D match", scanner.match(scan, table_top))
        self._take(ImagingPass(purpose, (), match, table_top, scan))
        return match

    async def _find(self, what: str, matching: Awaitable[Match]) -> Match:
        """What a matcher finds; images that it cannot use lead to what a refused match leads to."""
        try:
            async with self._timed(what):
                return await matching
        except IsoalignError:
            self._step(Event.REFUSE_MATCH)
            raise

    async def _receive(self, scanner: InRoomCtPort) -> InRoomScan:
        """What the scanner sends; a hold ends the wait."""
        self._waiting = asyncio.ensure_future(scanner.receive())
        try:
            return await self._waiting
        except asyncio.CancelledError:
            if self.state in FIELD_IS_OPEN:
                raise
            raise SessionHeld("the session was held while an in-room CT was waited for") from None
        finally:
            self._waiting = None

    def _purpose(self) -> Purpose:
        return Purpose.VERIFICATION if self.state in {State.CORRECTED, State.VERIFIED} else Purpose.SETUP

    def _matched_scan(self, match: Match) -> InRoomScan | None:
        """The in-room CT that radiographs were compared with: the last one whose own match was accepted.

        Markers, and DRRs of a 2D/2D match, are those of the planning CT.
        """
        if match.kind != "2D/3D":
            return None
        found = (one for one in reversed(self.passes) if not one.radiographs and one.match.verdict is Verdict.ACCEPTED)
        return next((one.scan for one in found), None)

    def _take(self, found: ImagingPass) -> None:
        """Note what a pass has found, and plan the correction that a set-up pass asks for."""
        self.passes.append(found)
        try:
            require_accepted(found.match)
            if found.purpose is Purpose.SETUP:
                self.correction = plan_correction(found.match, found.table_top, self.settings.limits)
                self.approval = None
        except IsoalignError:
            self._step(Event.REFUSE_MATCH)
            raise
        self._step(Event.ACCEPT_MATCH)

    def correct_again(self) -> Correction:
        """Plan a further correction from the verification match."""
        next_state(self.state, Event.REPEAT)
        last = self.passes[-1]
        self.correction = plan_correction(last.match, last.table_top, self.settings.limits)
        self.approval = None
        self._step(Event.REPEAT)
        return self.correction

    def approve(self, correction_id: str, user: str) -> Approval:
        """A person approves the correction that was shown to them; moves nothing."""
        next_state(self.state, Event.APPROVE)
        if self.correction is None or self.correction.correction_id != correction_id:
            raise NotApproved("the correction that was approved is not the one that is planned now")
        self.approval = Approval(correction_id, user, self.clock.utc())
        self._step(Event.APPROVE)
        self._note("approved", f"correction {correction_id}")
        return self.approval

    async def move_by_correction(self) -> TableTopPosition:
        """Move the couch by the approved correction; a second act after :meth:`approve`."""
        next_state(self.state, Event.START_CORRECTION)
        if self.correction is None or self.approval is None:
            raise NotApproved("no approved correction")
        if self.approval.correction_id != self.correction.correction_id:
            raise NotApproved("the approval belongs to another correction")
        _require_still(self.correction.start, await self.couch.position())
        await self._move(Event.START_CORRECTION, self.correction.target, "correction")
        self.arrived = await self.couch.position()
        return self.arrived

    async def hold(self, reason: str) -> None:
        """Stop all motion. Legal in every state; the stop goes out before anything else happens."""
        try:
            await self.couch.hold(reason)
        finally:
            self._step(Event.HOLD)
            self._note("hold", reason)
            if self._waiting is not None:
                self._waiting.cancel()

    def clear(self, reason: str) -> None:
        """A person clears a hold; everything found before it is forgotten."""
        self._step(Event.CLEAR)
        self._forget_images()
        self._note("hold cleared", reason)

    def close(self) -> None:
        """End the session."""
        self._step(Event.CLOSE)

    @property
    def within_tolerance(self) -> bool:
        """Whether the last verification match lies within the tolerance."""
        return (
            self.state is State.VERIFIED
            and bool(self.passes)
            and self.settings.tolerance.accepts(self.passes[-1].match.residual)
        )

    async def _move(self, event: Event, target: TableTopPosition, what: str) -> None:
        self._step(event)
        moving = self.state
        try:
            async with self._timed(f"move to {what}"):
                progress: MoveProgress
                async for progress in self.couch.move(target):
                    self.on_event("move", what, progress.fraction)
        except BaseException:
            if self.state in MOVING:
                self._step(Event.FAULT)
            raise
        if self.state is not moving:
            raise SessionHeld(f"the move to the {what} was held")
        self._step(Event.ARRIVE)

    def _forget_images(self) -> None:
        self.passes.clear()
        self.correction = None
        self.approval = None
        self.arrived = None

    def _step(self, event: Event) -> None:
        self.state = next_state(self.state, event)
        self.on_event("state", self.state.value, None)

    def _note(self, step: str, detail: str) -> None:
        self.timeline.append(TimelineEntry(self.clock.monotonic_s() - self.started_s, step, detail))

    @asynccontextmanager
    async def _timed(self, step: str) -> AsyncIterator[None]:
        began = self.clock.monotonic_s()
        self.on_event("step", step, None)
        outcome = "failed"
        try:
            yield
            outcome = ""
        finally:
            took = self.clock.monotonic_s() - began
            self.timeline.append(TimelineEntry(began - self.started_s, step, outcome, took))


def _require_still(first: TableTopPosition, second: TableTopPosition) -> None:
    moved = displacement_between(first, second)
    if moved.distance_mm > STILL_AT_START_MM or moved.angle_deg > STILL_AT_START_DEG:
        raise CouchDisplaced(
            f"the couch is not where it was when the images were taken: {moved.distance_mm:.2f} mm and "
            f"{moved.angle_deg:.3f} deg away",
            distance_mm=moved.distance_mm,
            angle_deg=moved.angle_deg,
            first=list(first.values),
            second=list(second.values),
        )
