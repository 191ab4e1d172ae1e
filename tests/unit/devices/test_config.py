"""The daemon's configuration: read as written, and every mistake named by its key."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from isoalign.devices.config import (
    DaemonConfig,
    ImagerAddress,
    SerialAddress,
    TcpAddress,
    load_daemon_config,
    parse_daemon_config,
)
from isoalign.devices.errors import BadDeviceConfig

TCP = {"host": "127.0.0.1", "port": 4001}
GOOD: dict[str, Any] = {
    "socket": "/run/room/devices",
    "couch": {"serial": "/dev/ttyS1", "baud": 460800},
    "pendant": TCP,
    "imagers": [{"name": "A", "generator": TCP, "panel": TCP, "image": TCP}],
    "limits": {"lateral": [-250, 250.5]},
    "exposure_limit_s": 7,
    "secondary_lag_s": {"pitch": 0.03},
}


def test_good_file(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps(GOOD))
    address = TcpAddress("127.0.0.1", 4001)
    assert load_daemon_config(path) == DaemonConfig(
        socket=Path("/run/room/devices"),
        couch=SerialAddress("/dev/ttyS1", 460800),
        pendant=address,
        imagers=(ImagerAddress("A", address, address, address),),
        limits={"lateral": (-250.0, 250.5)},
        exposure_limit_s=7.0,
        secondary_lag_s={"pitch": 0.03},
    )


def test_room_without_couch_and_pendant() -> None:
    config = parse_daemon_config({"socket": "/s", "couch": None})
    assert config.couch is None
    assert config.pendant is None
    assert config.imagers == ()


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("colour",), 1, "colour"),
        (("couch", "parity"), 1, "couch.parity"),
        (("imagers", 0, "gantry"), 1, "imagers[0].gantry"),
        (("pendant", "port"), "4001", "pendant.port"),
        (("pendant", "port"), 0, "pendant.port"),
        (("couch", "baud"), -1, "couch.baud"),
        (("couch",), "/dev/ttyS1", "couch"),
        (("socket",), "", "socket"),
        (("imagers",), {}, "imagers"),
        (("limits", "yaw"), [0, 1], "limits.yaw"),
        (("limits", "lateral"), [1, 1], "limits.lateral"),
        (("limits", "lateral"), [1], "limits.lateral"),
        (("limits", "lateral"), ["a", 1], "limits.lateral"),
        (("exposure_limit_s",), 0, "exposure_limit_s"),
        (("exposure_limit_s",), True, "exposure_limit_s"),
        (("arrival_tolerance_mm",), "small", "arrival_tolerance_mm"),
        (("secondary_lag_s", "pitch"), -1, "secondary_lag_s.pitch"),
    ],
)
def test_every_mistake_is_named(path: tuple[Any, ...], value: Any, named: str) -> None:
    content = copy.deepcopy(GOOD)
    place: Any = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(BadDeviceConfig) as caught:
        parse_daemon_config(content)
    assert caught.value.facts["key"] == named
    assert named in caught.value.message


@pytest.mark.parametrize("missing", [("socket",), ("couch", "serial"), ("imagers", 0, "image")])
def test_missing_key_is_named(missing: tuple[Any, ...]) -> None:
    content = copy.deepcopy(GOOD)
    place: Any = content
    for step in missing[:-1]:
        place = place[step]
    del place[missing[-1]]
    with pytest.raises(BadDeviceConfig, match="missing"):
        parse_daemon_config(content)


def test_two_imagers_of_one_name() -> None:
    with pytest.raises(BadDeviceConfig, match="two imagers"):
        parse_daemon_config({**GOOD, "imagers": GOOD["imagers"] * 2})


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_unreadable_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(text)
    with pytest.raises(BadDeviceConfig):
        load_daemon_config(path)
    with pytest.raises(BadDeviceConfig, match="cannot read"):
        load_daemon_config(tmp_path / "not-there.json")
