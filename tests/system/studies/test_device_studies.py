"""The seeded short parts of the long proofs: the same programs that ``make soak`` runs in full, with the same goals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

STUDIES = Path(__file__).resolve().parents[2] / "benchmarks"
IN_VIRTUAL_TIME = (
    "study_two_channels.py",
    "study_positioning.py",
    "study_stop_distance.py",
    "study_corrupt_frames.py",
)
IN_REAL_TIME = (
    "study_link_loss.py",
    "study_fault_to_stop.py",
    "study_panel_stream.py",
    "study_state_stream.py",
)

pytestmark = pytest.mark.system


def assert_reaches_its_goals(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(STUDIES / name)], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.timeless
@pytest.mark.parametrize("name", IN_VIRTUAL_TIME)
def test_the_short_part_of_a_study_reaches_its_goals(name: str) -> None:
    assert_reaches_its_goals(name)


@pytest.mark.parametrize("name", IN_REAL_TIME)
def test_the_short_part_of_a_study_in_real_time_reaches_its_goals(name: str) -> None:
    assert_reaches_its_goals(name)
