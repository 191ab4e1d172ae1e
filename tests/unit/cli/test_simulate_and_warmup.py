"""``isoalign simulate`` prints addresses; ``isoalign warmup`` compiles every room that has kernels."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from isoalign.cli import main
from isoalign.cli.warmup import KERNEL_ROOMS

READY = [
    {"ready": True, "kind": "couch", "serial": "/dev/pts/9", "baud": 921600, "truth": {"host": "127.0.0.1", "port": 4}},
    {"ready": True, "kind": "pendant", "pendant": {"host": "127.0.0.1", "port": 5}},
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    given: dict[str, Any] = {}

    def run(*, on_ready: Callable[[list[dict[str, Any]]], None], **options: Any) -> None:
        given.update(options)
        on_ready(READY)

    module = types.ModuleType("isoalign.room.simulate")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "isoalign.room.simulate", module)
    return given


def test_simulate_prints_one_line_for_each_machine(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--seed", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["couch", "serial", "/dev/pts/9", "baud", "921600", "truth", "127.0.0.1:4"]
    assert lines[1].split() == ["pendant", "pendant", "127.0.0.1:5"]
    assert asked["seed"] == 4


def test_simulate_prints_json(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["simulators"] == READY


def test_warmup_calls_every_room_with_kernels(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    warmed: list[str] = []

    def import_module(name: str) -> Any:
        return types.SimpleNamespace(warmup=lambda: warmed.append(name))

    monkeypatch.setattr("isoalign.cli.warmup.import_module", import_module)
    assert main(["warmup"]) == 0
    assert warmed == list(KERNEL_ROOMS)
    assert capsys.readouterr().err.count("✓") == len(KERNEL_ROOMS)
