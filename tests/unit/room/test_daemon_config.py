"""What the room tells its device daemon is a configuration that the daemon takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from isoalign.devices.config import DaemonConfig, SerialAddress, TcpAddress, load_daemon_config
from isoalign.room.settings import InterlockSettings, example_settings_text, parse_settings
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


def documented_interlocks() -> str:
    """The example with its section on interlocks, which is marked as a comment there, in force."""
    before, after = EXAMPLE.split("# [interlocks]\n", 1)
    section, rest = after.split("\n\n", 1)
    lines = [line.removeprefix("# ") for line in section.splitlines()]
    return "\n".join([before, "[interlocks]", *lines, "", rest])


def test_what_the_room_states_of_its_interlocks_reaches_the_daemon(tmp_path: Path) -> None:
    text = (
        documented_interlocks()
        .replace('"in-room"', '"remote"')
        .replace("payload_change_kg = 10.0", "payload_change_kg = 4")
    )
    settings = parse_settings(text, where="example")
    processes: Any = NoProcesses()
    start_daemon(settings, processes, tmp_path, tmp_path / "d")
    config = load_daemon_config(tmp_path / "daemon.json")
    stated = settings.interlocks.model_dump()
    assert None not in stated.values(), "the example shows every key"
    assert {key: getattr(config, key) for key in stated} == stated
    assert (config.observation, config.payload_change_kg, config.sag_mm_per_kg) == ("remote", 4.0, 0.015)


@pytest.mark.parametrize("key", list(InterlockSettings.model_fields))
def test_the_documented_values_but_those_of_a_machine_are_the_daemons_own(key: str) -> None:
    shown = getattr(parse_settings(documented_interlocks(), where="example").interlocks, key)
    if key in {"beam", "sag_mm_per_kg", "sag_deg_per_kg"}:
        assert shown
    else:
        assert shown == getattr(DaemonConfig(socket=Path("d")), key)
