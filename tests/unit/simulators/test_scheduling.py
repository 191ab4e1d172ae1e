"""Which simulators ask the kernel to come before everything else."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

import pytest

from isoalign.simulators import couch, gantry, imager, panel, pendant
from isoalign.simulators.process import come_first

Asked = list[tuple[str, int]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What is asked of the kernel, which does none of it."""
    made: Asked = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda pid, policy, parameter: made.append(("policy", policy)))
    monkeypatch.setattr(os, "setpriority", lambda which, who, priority: made.append(("nice", priority)))
    return made


def test_a_firmware_of_short_steps_runs_in_real_time_and_one_that_computes_does_not(asked: Asked) -> None:
    come_first()
    come_first(long_steps=True)
    assert asked == [("policy", os.SCHED_FIFO | os.SCHED_RESET_ON_FORK), ("nice", -10)]


def test_where_real_time_is_not_allowed_the_priority_is_raised(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    come_first()
    assert asked == [("nice", -10)]


@pytest.mark.parametrize(
    ("module", "long_steps"), [(couch, False), (gantry, False), (pendant, False), (imager, True), (panel, True)]
)
def test_images_are_computed_without_it(module: Any, long_steps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pseudo-terminal's bytes wait for as long as all processors compute in real time."""
    told: list[bool] = []

    def run(name: str, start: Callable[..., Any], options: argparse.Namespace, *, long_steps: bool = False) -> int:
        told.append(long_steps)
        return 0

    monkeypatch.setattr(module, "run", run)
    module.main(argparse.Namespace(name="A"))
    assert told == [long_steps]
