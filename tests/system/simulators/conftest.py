"""Simulator processes are forked from one that has loaded their modules, but for tests of how they start."""

from __future__ import annotations

import pytest


@pytest.fixture
def started_anew() -> None:
    """Asks for processes that are started as a user's are."""
