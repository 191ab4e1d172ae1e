"""What leads the mutants of the long proofs: they get deeper into code than ones that nothing leads."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from guided_mutants import guided_mutants
from raw_dicom_peer import mutants

STAIRS = """
reached = set()

def climb(content):
    if content[3] == 0xFF:
        reached.add(1)
        if content[9] == 0x80:
            reached.add(2)
            if content[20] == 0x7F:
                reached.add(3)
"""
WHOLE, COUNT = bytes([5]) * 64, 15000


@pytest.fixture
def stairs(tmp_path: Path) -> ModuleType:
    file = tmp_path / "stairs.py"
    file.write_text(STAIRS)
    spec = importlib.util.spec_from_file_location("stairs", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_with(stairs: ModuleType) -> Callable[[bytes], None]:
    def run(content: bytes) -> None:
        if len(content) > 20:
            stairs.climb(content)

    return run


def test_led_mutants_climb_higher(stairs: ModuleType) -> None:
    run = run_with(stairs)
    for one in mutants(3, COUNT, WHOLE):
        run(one)
    assert 3 not in stairs.reached, "too easy to show anything"
    stairs.reached.clear()
    before = sys.gettrace()
    found = guided_mutants(3, COUNT, WHOLE, run, ("stairs.py",), tries=COUNT)
    assert stairs.reached == {1, 2, 3}
    assert found.parents >= 4
    assert found.lines > found.lines_of_whole
    assert len(found.mutants) == COUNT
    assert sys.gettrace() is before


def test_the_same_seed_gives_the_same(stairs: ModuleType) -> None:
    run = run_with(stairs)
    first, again, other = (guided_mutants(seed, 300, WHOLE, run, ("stairs.py",), tries=100) for seed in (1, 1, 2))
    assert first == again
    assert first.mutants != other.mutants


def test_lines_in_other_threads_count(stairs: ModuleType) -> None:
    def run(content: bytes) -> None:
        thread = threading.Thread(target=run_with(stairs), args=(content,))
        thread.start()
        thread.join()

    assert guided_mutants(3, 10, WHOLE, run, ("stairs.py",), tries=10).lines_of_whole > 0
