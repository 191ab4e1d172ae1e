"""The link process between a host and the real simulators: what it lets pass, and what it does when told."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serial
from prepared_processes import PreparedProcess

pytestmark = pytest.mark.system
DEADLINE_S = 5.0


class Link:
    """A link process and its control connection."""

    def __init__(self, *arguments: str, prepared: bool = True) -> None:
        begin: type[PreparedProcess | subprocess.Popen[str]] = PreparedProcess if prepared else subprocess.Popen
        self.process = begin(
            [sys.executable, "-m", "isoalign.simulators", "link", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline())

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        address = self.ready["control"]
        with (
            socket.create_connection((address["host"], address["port"]), timeout=DEADLINE_S) as connection,
            connection.makefile("rw") as lines,
        ):
            lines.write(json.dumps({"do": do, **values}) + "\n")
            lines.flush()
            answer: dict[str, Any] = json.loads(lines.readline())
        return answer

    def close(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(DEADLINE_S)


@pytest.fixture
def link(request: pytest.FixtureRequest) -> Iterator[Callable[..., Link]]:
    """Begun as a user's is in the test that has ``started_anew`` among its fixtures."""
    started: list[Link] = []

    def start(*arguments: str) -> Link:
        started.append(Link(*arguments, prepared="started_anew" not in request.fixturenames))
        return started[-1]

    yield start
    assert [one.close() for one in started] == [0] * len(started)


class TcpDevice:
    """The device's end: accepts the link's connection."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(DEADLINE_S)
        self.address = "{}:{}".format(*self.server.getsockname())
        self.open: list[socket.socket] = [self.server]

    def accept(self) -> socket.socket:
        connection, _ = self.server.accept()
        connection.settimeout(DEADLINE_S)
        self.open.append(connection)
        return connection

    def close(self) -> None:
        for one in self.open:
            one.close()


@pytest.fixture
def device() -> Iterator[TcpDevice]:
    made = TcpDevice()
    yield made
    made.close()


def connect(link: Link) -> socket.socket:
    address = link.ready["tcp"]
    connection = socket.create_connection((address["host"], address["port"]), timeout=DEADLINE_S)
    connection.settimeout(DEADLINE_S)
    return connection


def receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        assert part, "closed"
        data += part
    return data


def test_tcp_passes_both_ways_and_is_spoiled_one_way(link: Callable[..., Link], device: TcpDevice) -> None:
    proxy = link("--tcp", device.address)
    with connect(proxy) as host:
        end = device.accept()
        host.sendall(b"to the device\x00")
        assert receive(end, 14) == b"to the device\x00"
        end.sendall(b"to the host\x00")
        assert receive(host, 12) == b"to the host\x00"
        assert proxy.ask("fault", name="drop", direction="to_host") == {"ok": True}
        end.sendall(b"lost\x00")
        host.sendall(b"heard\x00")
        assert receive(end, 6) == b"heard\x00"
        truth = proxy.ask("truth")
        assert truth["to_host"]["lost"] == 1
        assert truth["to_device"]["lost"] == 0
        assert truth["to_host"]["faults"] == {"drop": {"p": 1.0}}
        assert proxy.ask("clear") == {"ok": True}
        end.sendall(b"again\x00")
        assert receive(host, 6) == b"again\x00"
        host.close()
        assert end.recv(1) == b"", "the device learns that its host has gone"


def test_tcp_stall_and_flood_and_replay(link: Callable[..., Link], device: TcpDevice) -> None:
    proxy = link("--tcp", device.address)
    with connect(proxy) as host:
        end = device.accept()
        proxy.ask("fault", name="stall")
        for number in range(1, 50):
            host.sendall(bytes([number]) * 10 + b"\x00")
        deadline_s = time.monotonic() + DEADLINE_S
        while proxy.ask("truth")["to_device"]["frames"] < 49:
            assert time.monotonic() < deadline_s
        end.setblocking(False)
        with pytest.raises(BlockingIOError):
            end.recv(1)
        end.settimeout(DEADLINE_S)
        proxy.ask("clear", name="stall")
        everything = receive(end, 49 * 11)
        assert proxy.ask("record")["frames"] == {"to_device": 49, "to_host": 0}
        refused = proxy.ask("fault", name="replay")
        assert "no tape" in refused["error"]["message"]
        assert proxy.ask("fault", name="replay", direction="to_device") == {"ok": True, "frames": 49}
        assert receive(end, 49 * 11) == everything


def test_tcp_reset_half_open_and_unplugged(link: Callable[..., Link], device: TcpDevice) -> None:
    proxy = link("--tcp", device.address)
    with connect(proxy) as host:
        device.accept()
        host.sendall(b"x\x00")
        proxy.ask("fault", name="reset")
        with pytest.raises(ConnectionResetError):
            host.recv(100)
    proxy.ask("fault", name="half_open")
    with connect(proxy) as host:
        end = device.accept()
        host.sendall(b"into the void\x00")
        end.settimeout(0.1)
        with pytest.raises(TimeoutError):
            end.recv(1)
    proxy.ask("clear")
    proxy.ask("fault", name="unplug")
    with connect(proxy) as host, pytest.raises((ConnectionResetError, AssertionError)):
        receive(host, 1)
    proxy.ask("clear")
    with connect(proxy) as host:
        end = device.accept()
        host.sendall(b"back\x00")
        assert receive(end, 5) == b"back\x00"


@pytest.fixture
def pty() -> Iterator[tuple[int, str]]:
    """A device's own pseudo-terminal: its descriptor and the name for others."""
    master, slave = os.openpty()
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


def read(descriptor: int, count: int) -> bytes:
    data = b""
    deadline_s = time.monotonic() + DEADLINE_S
    os.set_blocking(descriptor, False)
    while len(data) < count:
        assert time.monotonic() < deadline_s, data
        try:
            data += os.read(descriptor, count - len(data))
        except BlockingIOError:
            time.sleep(0.001)
    return data


def test_pseudo_terminal_passes_every_byte_and_can_be_unplugged(
    link: Callable[..., Link], pty: tuple[int, str]
) -> None:
    device, name = pty
    proxy = link("--serial", name)
    path = proxy.ready["serial"]
    everything = bytes([*range(1, 256), 0])
    with serial.Serial(path, 921_600, timeout=DEADLINE_S, exclusive=True) as host:
        host.write(everything)
        assert read(device, 256) == everything
        os.write(device, everything)
        assert host.read(256) == everything
        assert proxy.ask("fault", name="unplug") == {"ok": True}
        assert not Path(path).exists()
        with pytest.raises((OSError, serial.SerialException)):
            host.read(1)
    proxy.ask("clear", name="unplug")
    with serial.Serial(path, 921_600, timeout=DEADLINE_S, exclusive=True) as host:
        os.write(device, b"back\x00")
        assert host.read(5) == b"back\x00"
        proxy.ask("fault", name="reconnect_storm", period_s=0.05)
        deadline_s = time.monotonic() + DEADLINE_S
        while proxy.ask("truth")["connections"] < 5:
            assert time.monotonic() < deadline_s
        proxy.ask("clear")
    with serial.Serial(path, 921_600, timeout=DEADLINE_S) as host:
        os.write(device, b"quiet\x00")
        assert host.read(6) == b"quiet\x00"


@pytest.mark.usefixtures("started_anew")
def test_what_a_line_cannot_play_is_an_error(link: Callable[..., Link], pty: tuple[int, str]) -> None:
    proxy = link("--serial", pty[1])
    for request, code, text in [
        ({"name": "gremlins"}, "simulators.unknown-fault", "slow_loris"),
        ({"name": "reset"}, "simulators.unknown-fault", "unplug"),
        ({"name": "drop", "direction": "up"}, "simulators.invalid-request", "to_device"),
        ({"name": "drop", "p": 2}, "simulators.invalid-request", "between 0 and 1"),
        ({"name": "drop", "q": 2}, "simulators.invalid-request", "no parameter q"),
        ({"name": "unplug", "direction": "to_host"}, "simulators.invalid-request", "whole line"),
        ({"name": "reconnect_storm", "period_s": 0}, "simulators.invalid-request", "between"),
    ]:
        error = proxy.ask("fault", **request)["error"]
        assert error["code"] == code
        assert text in error["message"]
    assert proxy.ask("clear", name="gremlins")["error"]["code"] == "simulators.unknown-fault"
    assert proxy.ask("dance")["error"]["code"] == "simulators.invalid-request"
    truth = proxy.ask("truth")
    assert truth["states"] == []
    assert truth["to_host"]["faults"] == truth["to_device"]["faults"] == {}
