"""A simulator process whose time goes on only when it is told to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from isoalign.simulators.truth_client import ask

pytestmark = pytest.mark.system


@pytest.fixture
def couch() -> Iterator[str]:
    """Address of the truth connection of a couch that creeps against its brakes."""
    command = [sys.executable, "-m", "isoalign.simulators", "couch", "--lockstep"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    truth = json.loads(process.stdout.readline())["truth"]
    yield f"{truth['host']}:{truth['port']}"
    process.stdin.close()
    assert process.wait(5) == 0
    process.stdout.close()


def truth(couch: str) -> dict[str, Any]:
    return ask(couch, {"do": "truth"})


def test_time_goes_on_only_when_told(couch: str) -> None:
    ask(couch, {"do": "fault", "name": "creep", "axis": "lateral", "speed": 2.0})
    before = truth(couch)
    time.sleep(0.3)
    assert truth(couch) == before
    begun_s = time.monotonic()
    assert ask(couch, {"do": "advance", "seconds": 30.0})["t_s"] == pytest.approx(before["t_s"] + 30.0)
    assert time.monotonic() - begun_s < 15.0
    after = truth(couch)
    assert after["t_s"] == pytest.approx(before["t_s"] + 30.0)
    assert after["position"][0] == pytest.approx(before["position"][0] + 60.0, abs=2.0)
