"""The daemon as a program: how it starts, ends, and tells what is wrong with its configuration."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isoalign.devices.client import DeviceClient

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def started_anew(bare_room: Any) -> None:
    """Every program is started as a user's is."""
    bare_room.prepared = False


def run(*arguments: str, stdin: str | None = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isoalign.devices.daemon", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.timeless
def test_wrong_key_is_named_on_stderr_as_json(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text('{"socket": "/tmp/x", "colour": 1}')
    ended = run("--config", str(path))
    assert ended.returncode == 2
    assert ended.stdout == ""
    error = json.loads(ended.stderr)
    assert error["code"] == "config.daemon"
    assert "colour" in error["message"]
    assert error["hint"]


@pytest.mark.timeless
def test_missing_file(tmp_path: Path) -> None:
    ended = run("--config", str(tmp_path / "none.json"))
    assert ended.returncode == 2
    assert "none.json" in json.loads(ended.stderr)["message"]


async def test_ends_with_its_standard_input(bare_room: Any) -> None:
    daemon = await bare_room.start_daemon()
    socket = Path(bare_room.socket)
    assert socket.is_socket()
    assert await bare_room.end(daemon) == 0
    assert not socket.exists()


async def test_ends_on_sigterm_and_stays_without_standard_input(bare_room: Any) -> None:
    daemon = await bare_room.start_daemon("--stay")
    daemon.process.stdin.close()
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.process.wait(0.3)
    daemon.kill(signal.SIGTERM)
    assert daemon.process.wait(5) == 0


async def test_second_daemon_on_one_socket_is_refused(bare_room: Any) -> None:
    await bare_room.start_daemon()
    ended = run("--config", str(bare_room.folder / "daemon.json"))
    assert ended.returncode == 5
    assert "already" in json.loads(ended.stderr.splitlines()[-1])["message"]


async def test_socket_of_a_killed_daemon_is_taken_over(bare_room: Any) -> None:
    (await bare_room.start_daemon()).kill(signal.SIGKILL)
    bare_room.daemon.process.wait(5)
    assert Path(bare_room.socket).is_socket()
    await bare_room.start_daemon()
    async with await DeviceClient.connect(bare_room.socket, client="test") as client:
        assert (await client.status()).activity == "idle"


@pytest.mark.lockstep
async def test_starts_although_a_device_is_missing(bare_room: Any) -> None:
    """A room where the couch is switched off can still be looked at; the interlocks say what is missing."""
    device, ours = os.openpty()
    couch = {"serial": os.ttyname(ours), "baud": 921600}
    daemon = await bare_room.start_daemon(couch=couch)
    assert daemon.ready["links"] == {"couch": "waiting for the device's answer"}
    async with await DeviceClient.connect(bare_room.socket, client="test") as client:
        status = await client.status()
        assert status.mode == "UNKNOWN"
        assert status.couch_position is None
        assert status.moving  # not known to be at rest
        assert not status.motion_permitted
        assert not status.exposure_permitted
        assert "couch-link" in {interlock.rule_id for interlock in status.interlocks}
    os.close(device)
    os.close(ours)


async def test_log_is_json_and_knows_the_client(bare_room: Any) -> None:
    daemon = await bare_room.start_daemon()
    async with await DeviceClient.connect(bare_room.socket, client="the test"):
        pass
    assert await bare_room.end(daemon) == 0
    log = bare_room.daemon_log()
    assert all({"event", "level", "timestamp", "process"} <= set(entry) for entry in log)
    assert any(entry["event"] == "client.connected" and entry["client"] == "the test" for entry in log)
