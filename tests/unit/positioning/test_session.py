"""The session over ports that record what they were asked to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pytest

from isoalign.clock import ManualClock
from isoalign.errors import DeviceError
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
