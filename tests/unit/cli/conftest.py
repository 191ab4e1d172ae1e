"""A session record without images, as the demonstration would return it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from isoalign.records import Outcome, SessionRecord, Tolerance


@pytest.fixture
def bare_record() -> SessionRecord:
    return SessionRecord(
        session_id="S-1",
        started_at=datetime(2026, 3, 4, 9, 30, tzinfo=UTC),
        duration_s=12.0,
        outcome=Outcome.ALIGNED,
        message="made for a test",
        patient_label="anon",
        plan_label="PLAN",
        beam_name="G000",
        machine="ROOM1",
        patient_position="HFS",
        tolerance=Tolerance(1.0, 0.5),
    )
