"""What the room tells its device daemon is a configuration that the daemon takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from isoalign.devices.config import SerialAddress, TcpAddress, load_daemon_config
from isoalign.room.settings import example_settings_text, parse_settings
from isoalign.room.simulation import start_daemon

EXAMPLE = example_settings_text()
ON_THE_NETWORK = EXAMPLE.replace("# tcp = { host", "tcp = { host")


class NoProcesses:
    """Starts nothing."""

    def start(self, _name: str, arguments: list[str]) -> list[str]:
        return arguments


@pytest.mark.parametrize(
    ("text", "couch"),
    [(EXAMPLE, SerialAddress("/dev/ttyUSB0", 921_600)), (ON_THE_NETWORK, TcpAddress("192.0.2.10", 4001))],
    ids=["serial", "tcp"],
)
def test_the_daemon_takes_what_the_room_writes(text: str, couch: Any, tmp_path: Path) -> None:
    processes: Any = NoProcesses()
    start_daemon(parse_settings(text, where="example"), processes, tmp_path, tmp_path / "d")
    config = load_daemon_config(tmp_path / "daemon.json")
    assert config.couch == couch
    assert [imager.name for imager in config.imagers] == ["A", "B"]
