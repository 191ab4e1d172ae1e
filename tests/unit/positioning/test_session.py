"""The session over ports that record what they were asked to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import pytest

from isoalign.clock import ManualClock
from isoalign.errors import DeviceError, MatchError
from isoalign.geometry import (
    Fixed,
    ImagerAxis,
    OutOfTravel,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    TravelLimits,
    fixed_from_table,
    planned_fixed_from_dicom,
    setup_error,
)
from isoalign.positioning import (
    CorrectionLimits,
    CorrectionTooLarge,
    CouchDisplaced,
    IllegalAct,
    MatchRefused,
    MoveProgress,
    NotApproved,
    PositioningSession,
    SessionHeld,
    SessionSettings,
    State,
    plan_correction,
)
from isoalign.records import (
    Acquisition,
    Beam,
    InRoomScan,
    Match,
    Patient,
    Plan,
    Purpose,
    Radiograph,
    Study,
    Technique,
    Tolerance,
    Verdict,
)

IEC = Representation.IEC_61217
SETUP = TableTopPosition(IEC, 0, 700, -120)
PLANNED = planned_fixed_from_dicom(PatientPosition.HFS, (0, -170, -2))
TECHNIQUE = Technique(100, 100, 50)
BEAM = Beam(1, "G0", np.array([0, -170, -2.0]), 0.0)
PLAN = Plan("1.2", "1.3", "P", Patient("ID"), Study("1.4"), "1.5", PatientPosition.HFS, "1.6", (BEAM,))
LIMITS = TravelLimits(
    {
        "lateral": (-250, 250),
        "longitudinal": (0, 1500),
        "vertical": (-500, 100),
        "pitch": (-5, 5),
        "roll": (-5, 5),
        "patient_support_angle": (-95, 95),
    }
)


@dataclass
class Couch:
    at: TableTopPosition = field(default_factory=lambda: TableTopPosition(IEC, 0, 500, -200))
    moves: list[TableTopPosition] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)
    fail_in_motion: DeviceError | None = None

    async def position(self) -> TableTopPosition:
        return self.at

    async def move(self, target: TableTopPosition) -> AsyncIterator[MoveProgress]:
        self.moves.append(target)
        yield MoveProgress(self.at, 0.0, 1.0, 0.0)
        if self.fail_in_motion is not None:
            raise self.fail_in_motion
        self.at = target
        yield MoveProgress(self.at, 1.0, 1.0, 1.0)

    async def hold(self, reason: str) -> None:
        self.holds.append(reason)


@dataclass
class Imagers:
    couch: Couch
    drift_mm: float = 0.0

    async def acquire(self, technique: Technique) -> Sequence[Radiograph]:
        grid = PixelGrid.centred(4, 4, 1.0)
        images = [
            Radiograph(
                np.zeros((4, 4), np.uint16),
                ProjectionGeometry.from_axis(ImagerAxis(angle, 1000, 1500), grid),
                Acquisition(name, 1, technique, datetime(2026, 1, 1, tzinfo=UTC), self.couch.at),
            )
            for name, angle in (("A", 0.0), ("B", 90.0))
        ]
        at = self.couch.at.values
        self.couch.at = TableTopPosition(IEC, at[0] + self.drift_mm, *at[1:])
        return images


@dataclass
class Matcher:
    """Knows where the patient lies on the table and answers exactly."""

    couch: Couch
    error: Pose[Fixed, Fixed]
    verdict: Verdict = Verdict.ACCEPTED

    async def match(self, radiographs: Sequence[Radiograph]) -> Match:
        table_from_dicom = fixed_from_table(SETUP).inverse() @ self.error @ PLANNED
        found = fixed_from_table(self.couch.at) @ table_from_dicom
        return Match(
            "2D/3D", PLANNED, found, self.verdict, ("because",), (), 5, True, 0.1, np.full(3, 0.1), np.full(3, 0.1)
        )


def build(error: Pose[Fixed, Fixed], **matcher: object) -> tuple[PositioningSession, Couch]:
    couch = Couch()
    settings = SessionSettings(Tolerance(0.5, 0.3), CorrectionLimits(LIMITS, 30, 8), SETUP, TECHNIQUE)
    session = PositioningSession(
        settings,
        couch,
        Imagers(couch),
        Matcher(couch, error, **matcher),
        ManualClock(),  # type: ignore[arg-type]
    )
    session.load(PLAN, BEAM)
    return session, couch


async def test_the_whole_way_takes_the_error_back() -> None:
    session, couch = build(setup_error(8, -7, 9, 2.5, -3, 2))
    await session.move_to_setup()
    first = await session.image_and_match()
    assert first.residual.distance_mm == pytest.approx(np.sqrt(64 + 49 + 81))
    assert session.correction is not None
    assert len(couch.moves) == 1  # a match moves nothing
    session.approve(session.correction.correction_id, "physicist")
    assert len(couch.moves) == 1  # an approval moves nothing
    await session.move_by_correction()
    second = await session.image_and_match()
    assert second.residual.distance_mm < 1e-6
    assert second.residual.angle_deg < 1e-6
    assert session.state is State.VERIFIED
    assert session.within_tolerance
    assert [p.purpose for p in session.passes] == [Purpose.SETUP, Purpose.VERIFICATION]


async def test_move_without_approval_is_refused() -> None:
    session, couch = build(setup_error(1, 0, 0, 0, 0, 0))
    await session.move_to_setup()
    await session.image_and_match()
    with pytest.raises(IllegalAct):
        await session.move_by_correction()
    with pytest.raises(NotApproved):
        session.approve("some-other-id", "physicist")
    assert len(couch.moves) == 1


@pytest.mark.parametrize("verdict", [Verdict.DOUBTFUL, Verdict.FAILED])
async def test_a_match_that_is_not_accepted_moves_nothing(verdict: Verdict) -> None:
    session, couch = build(setup_error(1, 0, 0, 0, 0, 0), verdict=verdict)
    await session.move_to_setup()
    with pytest.raises(MatchRefused, match="because"):
        await session.image_and_match()
    assert session.state is State.AT_SETUP
    assert session.correction is None
    assert len(couch.moves) == 1


async def test_an_error_beyond_the_sites_limit_is_for_hands_not_for_the_couch() -> None:
    session, couch = build(setup_error(31, 0, 0, 0, 0, 0))
    await session.move_to_setup()
    with pytest.raises(CorrectionTooLarge):
        await session.image_and_match()
    assert session.correction is None
    assert len(couch.moves) == 1


async def test_plan_position_out_of_travel_is_refused_before_anything_moves() -> None:
    session, couch = build(setup_error(0, 0, 0, 0, 0, 0))
    session.load(PLAN, Beam(1, "far", np.zeros(3), 0.0, table_top_longitudinal_mm=2000.0))
    with pytest.raises(OutOfTravel, match="longitudinal"):
        await session.move_to_setup()
    assert couch.moves == []


async def test_couch_that_moves_while_imaging_spoils_the_images() -> None:
    session, _ = build(setup_error(1, 0, 0, 0, 0, 0))
    session.imagers.drift_mm = 1.0  # type: ignore[attr-defined]
    await session.move_to_setup()
    with pytest.raises(CouchDisplaced):
        await session.image_and_match()
    assert session.state is State.AT_SETUP


async def test_couch_moved_by_hand_after_approval_is_noticed() -> None:
    session, couch = build(setup_error(1, 0, 0, 0, 0, 0))
    await session.move_to_setup()
    await session.image_and_match()
    assert session.correction is not None
    session.approve(session.correction.correction_id, "physicist")
    couch.at = TableTopPosition(IEC, 5, 700, -120)
    with pytest.raises(CouchDisplaced):
        await session.move_by_correction()
    assert len(couch.moves) == 1


async def test_fault_in_motion_holds_the_session_and_nothing_resumes() -> None:
    session, couch = build(setup_error(1, 0, 0, 0, 0, 0))
    couch.fail_in_motion = DeviceError("link lost")
    with pytest.raises(DeviceError, match="link lost"):
        await session.move_to_setup()
    assert session.state is State.HELD
    couch.fail_in_motion = None
    with pytest.raises(SessionHeld):
        await session.move_to_setup()
    session.clear("looked into the room")
    assert session.state is State.LOADED
    await session.move_to_setup()
    assert session.state is State.AT_SETUP


async def test_hold_stops_the_couch_first_and_asks_nothing() -> None:
    session, couch = build(setup_error(1, 0, 0, 0, 0, 0))
    await session.move_to_setup()
    await session.hold("visitor in the room")
    assert couch.holds == ["visitor in the room"]
    assert session.state is State.HELD
    with pytest.raises(SessionHeld):
        await session.image_and_match()


async def test_a_residual_out_of_tolerance_can_be_corrected_again() -> None:
    session, couch = build(setup_error(8, 0, 0, 0, 0, 0))
    await session.move_to_setup()
    await session.image_and_match()
    assert session.correction is not None
    session.approve(session.correction.correction_id, "physicist")
    await session.move_by_correction()
    session.matcher.error = setup_error(9, 0, 0, 0, 0, 0)  # type: ignore[attr-defined]  # the patient slipped by 1 mm
    again = await session.image_and_match()
    assert again.residual.distance_mm == pytest.approx(1.0)
    assert not session.within_tolerance
    first = session.correction.correction_id
    second = session.correct_again()
    with pytest.raises(NotApproved):
        session.approve(first, "physicist")
    session.approve(second.correction_id, "physicist")
    await session.move_by_correction()
    assert (await session.image_and_match()).residual.distance_mm < 1e-6
    assert session.within_tolerance
    assert len(couch.moves) == 3


async def test_a_verification_that_is_not_accepted_proves_nothing() -> None:
    session, _ = build(setup_error(8, 0, 0, 0, 0, 0))
    await session.move_to_setup()
    await session.image_and_match()
    assert session.correction is not None
    session.approve(session.correction.correction_id, "physicist")
    await session.move_by_correction()
    session.matcher.verdict = Verdict.DOUBTFUL  # type: ignore[attr-defined]
    with pytest.raises(MatchRefused):
        await session.image_and_match()
    assert session.state is State.CORRECTED
    assert not session.within_tolerance


async def test_no_correction_is_planned_from_a_doubtful_match() -> None:
    session, couch = build(setup_error(1, 0, 0, 0, 0, 0), verdict=Verdict.DOUBTFUL)
    match = await session.matcher.match(())
    with pytest.raises(MatchRefused):
        plan_correction(match, couch.at, session.settings.limits)


SCAN = InRoomScan("1.2.9", "1.2.10", 100)


@dataclass
class Scanner:
    """Sends when it is told to, and knows where the patient lies."""

    matcher: Matcher
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    closed: int = 0
    unusable: bool = False

    async def receive(self) -> InRoomScan:
        self.opened.set()
        try:
            await self.confirmed.wait()
        finally:
            self.closed += 1
        return SCAN

    async def match(self, scan: InRoomScan, table_top: TableTopPosition) -> Match:
        assert table_top == self.matcher.couch.at
        if self.unusable:
            raise MatchError("the volume is one value")
        return replace(await self.matcher.match(()), kind="3D/3D")


def with_scanner(error: Pose[Fixed, Fixed], **matcher: object) -> tuple[PositioningSession, Couch, Scanner]:
    session, couch = build(error, **matcher)
    scanner = Scanner(session.matcher)  # type: ignore[arg-type]
    scanner.confirmed.set()
    return session, couch, scanner


async def test_an_in_room_ct_leads_to_the_correction_and_the_pair_after_it_names_the_scan() -> None:
    session, couch, scanner = with_scanner(setup_error(8, -7, 9, 2.5, -3, 2))
    await session.move_to_setup()
    match = await session.scan_and_match(scanner)
    assert match.kind == "3D/3D"
    assert session.state is State.MATCHED
    assert session.correction is not None
    session.approve(session.correction.correction_id, "physicist")
    await session.move_by_correction()
    assert (await session.image_and_match()).residual.distance_mm < 1e-6
    assert session.within_tolerance
    assert [(one.scan, len(one.radiographs)) for one in session.passes] == [(SCAN, 0), (SCAN, 2)]
    assert len(couch.moves) == 2


async def test_a_pair_matched_by_markers_after_an_in_room_ct_names_no_scan() -> None:
    """Markers are those of the planning CT: told as a finding between scan and radiographs it would be wrong."""
    session, _, scanner = with_scanner(setup_error(5, 0, 0, 0, 0, 0))
    await session.move_to_setup()
    await session.scan_and_match(scanner)

    whole = session.matcher.match

    async def by_markers(radiographs: Sequence[Radiograph]) -> Match:
        return replace(await whole(radiographs), kind="marker")

    session.matcher.match = by_markers  # type: ignore[method-assign]
    await session.image_and_match()
    assert [one.scan for one in session.passes] == [SCAN, None]


async def test_what_the_images_do_not_tell_is_named_by_the_correction_and_moves_nothing() -> None:
    session, couch = build(setup_error(4, 0, -3, 0, 0, 0))
    whole = session.matcher.match

    async def in_part(radiographs: Sequence[Radiograph]) -> Match:
        return replace(await whole(radiographs), not_available=("pitch_deg", "roll_deg", "yaw_deg"))

    session.matcher.match = in_part  # type: ignore[method-assign]
    await session.move_to_setup()
    match = await session.image_and_match()
    assert match.largest_told_angle_deg is None
    assert session.correction is not None
    assert session.correction.not_corrected_in_words == "pitch, roll, yaw"
    assert session.correction.target.values[3:] == pytest.approx(SETUP.values[3:], abs=1e-9)
    session.approve(session.correction.correction_id, "physicist")
    await session.move_by_correction()
    await session.image_and_match()
    assert session.within_tolerance, "as far as the images tell; the room says which part that is"
    assert len(couch.moves) == 2


def test_the_largest_told_angle_leaves_out_what_is_not_told() -> None:
    turned = setup_error(0, 0, 0, 0.4, -1.5, 0.2) @ PLANNED
    none = np.zeros(3)
    match = Match("2D/2D", PLANNED, turned, Verdict.ACCEPTED, (), (), 1, True, 0.1, none, none, ("roll_deg",))
    assert match.largest_told_angle_deg == pytest.approx(0.4)
    assert match.untold_in_words == "roll"
    assert replace(match, not_available=()).largest_told_angle_deg == pytest.approx(1.5)


async def test_an_in_room_ct_can_prove_the_correction() -> None:
    session, _, scanner = with_scanner(setup_error(5, 0, 0, 0, 0, 0))
    await session.move_to_setup()
    await session.image_and_match()
    assert session.correction is not None
    session.approve(session.correction.correction_id, "physicist")
    await session.move_by_correction()
    await session.scan_and_match(scanner)
    assert session.within_tolerance
    assert [one.purpose for one in session.passes] == [Purpose.SETUP, Purpose.VERIFICATION]
    assert session.passes[0].scan is None


async def test_the_couch_does_not_move_while_the_field_is_open_and_a_hold_closes_it() -> None:
    session, couch, scanner = with_scanner(setup_error(5, 0, 0, 0, 0, 0))
    scanner.confirmed.clear()
    await session.move_to_setup()
    waiting = asyncio.create_task(session.scan_and_match(scanner))
    await scanner.opened.wait()
    assert session.state is State.FIELD_OPEN
    for act in (session.move_to_setup, session.image_and_match, session.move_by_correction):
        with pytest.raises(IllegalAct):
            await act()
    await session.hold("visitor in the room")
    with pytest.raises(SessionHeld):
        await waiting
    assert scanner.closed == 1
    assert session.state is State.HELD
    assert len(couch.moves) == 1
    assert session.passes == []


async def test_a_client_that_gives_up_closes_the_field_and_the_session_goes_on() -> None:
    session, _, scanner = with_scanner(setup_error(5, 0, 0, 0, 0, 0))
    scanner.confirmed.clear()
    await session.move_to_setup()
    waiting = asyncio.create_task(session.scan_and_match(scanner))
    await scanner.opened.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert scanner.closed == 1
    assert session.state is State.AT_SETUP
    await session.image_and_match()


async def test_a_couch_that_was_moved_during_the_scan_spoils_it() -> None:
    session, couch, scanner = with_scanner(setup_error(5, 0, 0, 0, 0, 0))
    scanner.confirmed.clear()
    await session.move_to_setup()
    waiting = asyncio.create_task(session.scan_and_match(scanner))
    await scanner.opened.wait()
    couch.at = TableTopPosition(IEC, 1, *couch.at.values[1:])
    scanner.confirmed.set()
    with pytest.raises(CouchDisplaced):
        await waiting
    assert session.state is State.AT_SETUP
    assert session.passes == []


async def test_a_doubtful_in_room_ct_moves_nothing_and_is_not_what_radiographs_are_compared_with() -> None:
    session, couch, scanner = with_scanner(setup_error(5, 0, 0, 0, 0, 0), verdict=Verdict.DOUBTFUL)
    await session.move_to_setup()
    with pytest.raises(MatchRefused):
        await session.scan_and_match(scanner)
    assert session.state is State.AT_SETUP
    session.matcher.verdict = Verdict.ACCEPTED  # type: ignore[attr-defined]
    await session.image_and_match()
    assert [one.scan for one in session.passes] == [SCAN, None]
    assert len(couch.moves) == 1


async def test_images_that_cannot_be_matched_do_not_block_the_session() -> None:
    """Regression: a matcher that refused its input left the session where only a hold led on."""
    session, _, scanner = with_scanner(setup_error(5, 0, 0, 0, 0, 0))
    scanner.unusable = True
    await session.move_to_setup()
    with pytest.raises(MatchError, match="one value"):
        await session.scan_and_match(scanner)
    assert session.state is State.AT_SETUP

    async def refuse(_: Sequence[Radiograph]) -> Match:
        raise MatchError("blank")

    session.matcher.match = refuse  # type: ignore[method-assign]
    with pytest.raises(MatchError, match="blank"):
        await session.image_and_match()
    assert session.state is State.AT_SETUP
