"""The gantry in the daemon's configuration: an unknown key is an error that names it and says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from isoalign.devices.config import TcpAddress, parse_daemon_config
from isoalign.devices.errors import BadDeviceConfig

GANTRY = {"host": "10.0.0.4", "port": 4001}


def test_where_the_gantry_listens() -> None:
    assert parse_daemon_config({"socket": "/s", "gantry": GANTRY}).gantry == TcpAddress("10.0.0.4", 4001)
    assert parse_daemon_config({"socket": "/s"}).gantry is None
    assert parse_daemon_config({"socket": "/s", "gantry": None}).gantry is None


@pytest.mark.parametrize(
    ("gantry", "key"),
    [
        ({**GANTRY, "prot": 1}, "prot"),
        ({**GANTRY, "start_deg": 0.0}, "start_deg"),
        ({"host": "10.0.0.4"}, "port"),
        ({**GANTRY, "port": "4001"}, "gantry.port"),
        ({**GANTRY, "port": 4001.5}, "gantry.port"),
        ({**GANTRY, "port": True}, "gantry.port"),
        ({**GANTRY, "host": 10}, "gantry.host"),
        ({**GANTRY, "host": ""}, "gantry.host"),
        ("10.0.0.4:4001", "gantry"),
        ([GANTRY], "gantry"),
        ({"serial": "/dev/ttyS0"}, "serial"),
    ],
)
def test_what_is_no_address_of_a_gantry(gantry: Any, key: str) -> None:
    with pytest.raises(BadDeviceConfig, match=key) as caught:
        parse_daemon_config({"socket": "/s", "gantry": gantry})
    assert "gantry" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("key", ["gantries", "gantry_angle_deg", "sag_per_kg"])
def test_unknown_keys_beside_it(key: str) -> None:
    with pytest.raises(BadDeviceConfig, match=key) as caught:
        parse_daemon_config({"socket": "/s", "gantry": GANTRY, key: 1.0})
    assert caught.value.hint


@pytest.mark.parametrize("value", [0, -0.1, "0.01", None, True])
@pytest.mark.parametrize("key", ["sag_mm_per_kg", "sag_deg_per_kg"])
def test_a_sag_that_is_none(key: str, value: Any) -> None:
    with pytest.raises(BadDeviceConfig, match=key):
        parse_daemon_config({"socket": "/s", key: value})
