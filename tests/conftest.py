"""What every test may ask for: programs of other makers, and the folder of real data.

With ``ISOALIGN_REQUIRE_PEERS=1`` (as CI runs) a skipped test is a failure, so that nothing is left out unseen; tests
marked ``hardware`` may skip, and tests marked ``real_data`` where ``ISOALIGN_DATA`` is not set.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import settings

# a deadline would time the machine, and the loading of compiled kernels, and not the property
settings.register_profile("isoalign", deadline=None)
settings.load_profile("isoalign")


REAL_TIME_LOCK = os.environ.get("ISOALIGN_REAL_TIME_LOCK", "")
"""Held by the run of the tests in real time, to which those side by side leave one processor as long as it goes on."""
_held: list[int] = []


def _lock(operation: int) -> int:
    descriptor = os.open(REAL_TIME_LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, operation)
    return descriptor


def pytest_configure(config: pytest.Config) -> None:
    """The run in real time takes the lock before it collects anything."""
    if REAL_TIME_LOCK and not _is_side_by_side(config):
        _held.append(_lock(fcntl.LOCK_EX))


def pytest_unconfigure() -> None:
    """And gives it back at the end, whoever was forked from it in between."""
    while _held:
        descriptor = _held.pop()
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """The last workers wait until the tests in real time are over."""
    number = getattr(session.config, "workerinput", {}).get("workerid", "gw0").removeprefix("gw")
    if REAL_TIME_LOCK and int(number) >= max(1, (os.cpu_count() or 1) - 1):
        os.close(_lock(fcntl.LOCK_SH))


def _is_side_by_side(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput") or config.getoption("numprocesses", None) is not None


def _must_run() -> bool:
    return os.environ.get("ISOALIGN_REQUIRE_PEERS", "") not in ("", "0")


@pytest.fixture(scope="session")
def require_program() -> Callable[[str], Path]:
    """``require_program("dciodvfy")``: the program's path; skips the test where it is not installed."""

    def require(name: str) -> Path:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if found is None:
            pytest.skip(f"the program {name} is not installed")
        return Path(found)

    return require


@pytest.fixture(scope="session")
def real_data_folder() -> Path:
    """The folder that ``ISOALIGN_DATA`` names; skips the test where it is not set. Use with ``mark.real_data``."""
    name = os.environ.get("ISOALIGN_DATA", "")
    if not name:
        pytest.skip("ISOALIGN_DATA is not set")
    folder = Path(name)
    if not folder.is_dir():
        pytest.fail(f"ISOALIGN_DATA names {folder}, which is not a folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """Rooms that tests start are found by nobody else, and tests find no room that runs beside them."""
    folder = tmp_path_factory.mktemp("runtime")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        yield folder


def _may_skip(item: pytest.Item) -> bool:
    if item.get_closest_marker("hardware"):
        return True
    return item.get_closest_marker("real_data") is not None and not os.environ.get("ISOALIGN_DATA")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where everything must run."""
    report = yield
    if report.skipped and _must_run() and not hasattr(report, "wasxfail") and not _may_skip(item):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped although ISOALIGN_REQUIRE_PEERS is set: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module that skips itself."""
    report = yield
    if report.outcome == "skipped" and _must_run():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid}: skipped although ISOALIGN_REQUIRE_PEERS is set: {reason}"
    return report
