"""Lines that work, fill up and break: pseudo-terminals and socket pairs instead of cables."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import tty
from collections.abc import AsyncIterator, Iterator

import pytest
import serial

from isoalign.devices.errors import LinkLost
from isoalign.devices.transport import RECEIVE_QUEUE_BYTES, SEND_QUEUE_BYTES, SerialTransport, TcpTransport


class Cable:
    """The device's end of a serial line, and the path of ours."""

    def __init__(self) -> None:
        self.device, self._ours = os.openpty()
        tty.setraw(self._ours)
        self.path = os.ttyname(self._ours)
        self._plugged = True

    def unplug(self) -> None:
        if self._plugged:
            os.close(self._ours)
            os.close(self.device)
        self._plugged = False


@pytest.fixture
def pty() -> Iterator[Cable]:
    cable = Cable()
    yield cable
    cable.unplug()


@pytest.fixture
async def line(pty: Cable) -> AsyncIterator[SerialTransport]:
    opened = await SerialTransport.open(pty.path, 921_600, name="couch")
    yield opened
    opened.close()


@pytest.fixture
async def pair() -> AsyncIterator[tuple[TcpTransport, socket.socket]]:
    ours, device = socket.socketpair()
    transport = TcpTransport(ours, "panel A")
    yield transport, device
    transport.close()
    device.close()


async def receive(line: SerialTransport | TcpTransport, count: int) -> bytes:
    data = b""
    async with asyncio.timeout(60):
        while len(data) < count:
            data += await line.receive()
    return data


async def test_serial_bytes_both_ways_without_translation(line: SerialTransport, pty: Cable) -> None:
    everything = bytes(range(256)) * 4
    os.write(pty.device, everything)
    assert await receive(line, len(everything)) == everything
    line.send(everything)
    assert os.read(pty.device, 4096) == everything


async def test_serial_line_is_ours_alone(line: SerialTransport, pty: Cable) -> None:
    with pytest.raises(LinkLost, match="cannot open"):
        await SerialTransport.open(pty.path, 921_600, name="couch")
    with pytest.raises(serial.SerialException):
        serial.Serial(pty.path, exclusive=True)


async def test_serial_leftovers_of_an_earlier_program_are_dropped(pty: Cable) -> None:
    os.write(pty.device, b"old and stale")
    line = await SerialTransport.open(pty.path, 921_600, name="couch")
    os.write(pty.device, b"new")
    assert await receive(line, 3) == b"new"
    line.close()


async def test_partial_writes_are_completed_in_order(line: SerialTransport, pty: Cable) -> None:
    """A pseudo-terminal takes some kilobytes; the rest follows as the device reads."""
    sent = b""
    while not line._unsent:
        block = os.urandom(500)
        line.send(block)
        sent += block
    for _ in range(20):
        block = os.urandom(500)
        line.send(block)
        sent += block
    got = b""
    os.set_blocking(pty.device, False)
    async with asyncio.timeout(5):
        while len(got) < len(sent):
            try:
                got += os.read(pty.device, 4096)
            except BlockingIOError:
                await asyncio.sleep(0.001)
    assert got == sent


async def test_unplugged_serial_line_is_link_lost(line: SerialTransport, pty: Cable) -> None:
    os.write(pty.device, b"last words")
    assert await receive(line, 10) == b"last words"
    waiting = asyncio.create_task(line.receive())
    await asyncio.sleep(0)
    pty.unplug()
    with pytest.raises(LinkLost, match="couch"):
        await asyncio.wait_for(waiting, 5)
    with pytest.raises(LinkLost):
        line.send(b"anybody?")


@pytest.mark.parametrize("path", ["/dev/does-not-exist", "/dev/null", "/etc/hostname"])
async def test_what_is_no_serial_line(path: str) -> None:
    with pytest.raises(LinkLost, match="cannot open") as caught:
        await SerialTransport.open(path, 921_600, name="couch")
    assert caught.value.hint


async def test_device_that_takes_nothing_is_a_fault(pair: tuple[TcpTransport, socket.socket]) -> None:
    """Commands are not piled up for a device that does not read them."""
    transport, _ = pair

    def flood() -> None:
        for _ in range(2000):
            transport.send(b"x" * 4096)

    with pytest.raises(LinkLost, match="does not take"):
        flood()
    assert transport.lost is not None
    assert len(transport._unsent) <= SEND_QUEUE_BYTES


async def test_flood_from_a_device_is_throttled_and_nothing_is_lost(
    pair: tuple[TcpTransport, socket.socket],
) -> None:
    transport, device = pair
    device.setblocking(False)
    loop = asyncio.get_running_loop()
    total = 3 * RECEIVE_QUEUE_BYTES
    sending = asyncio.create_task(loop.sock_sendall(device, b"\x01" * total))
    async with asyncio.timeout(60):
        while transport._reading:
            await asyncio.sleep(0.001)
    assert transport._received_bytes < RECEIVE_QUEUE_BYTES + 64 * 1024 + 1
    assert len(await receive(transport, total)) == total
    await sending


async def test_end_of_stream_comes_after_the_data(pair: tuple[TcpTransport, socket.socket]) -> None:
    transport, device = pair
    device.sendall(b"bye")
    device.close()
    assert await receive(transport, 3) == b"bye"
    with pytest.raises(LinkLost, match="closed the line"):
        await transport.receive()


async def test_what_arrives_is_delivered_when_it_is_read(pair: tuple[TcpTransport, socket.socket]) -> None:
    """What had arrived before, too; and a taker that cannot use it ends the line."""
    transport, device = pair
    taken: list[bytes] = []

    def take(data: bytes) -> None:
        taken.append(data)
        if data == b"third":
            transport.fail(LinkLost("another kind of device"))

    device.sendall(b"first")
    while not transport._received:
        await asyncio.sleep(0)
    delivering = asyncio.create_task(transport.deliver(take))
    for data in (b"second", b"third", b"fourth"):
        await asyncio.sleep(0.01)
        with contextlib.suppress(OSError):
            device.sendall(data)
    with pytest.raises(LinkLost, match="another kind of device"):
        await asyncio.wait_for(delivering, 5)
    assert taken == [b"first", b"second", b"third"]
    assert transport.lost is not None


async def test_line_that_ends_ends_the_delivery(pair: tuple[TcpTransport, socket.socket]) -> None:
    transport, device = pair
    taken: list[bytes] = []
    delivering = asyncio.create_task(transport.deliver(taken.append))
    await asyncio.sleep(0)
    device.sendall(b"bye")
    device.close()
    with pytest.raises(LinkLost, match="closed the line"):
        await asyncio.wait_for(delivering, 5)
    assert taken == [b"bye"]


async def test_closing_wakes_the_reader(pair: tuple[TcpTransport, socket.socket]) -> None:
    transport, _ = pair
    waiting = asyncio.create_task(transport.receive())
    await asyncio.sleep(0)
    transport.close()
    transport.close()
    with pytest.raises(LinkLost, match="was closed"):
        await asyncio.wait_for(waiting, 5)


async def test_tcp_connects_refuses_and_resets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        transport = await TcpTransport.open(host, port, name="generator A")
        device, _ = listening.accept()
        assert transport._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        device.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        device.close()  # sends a reset
        with pytest.raises(LinkLost):
            await asyncio.wait_for(transport.receive(), 5)
    with pytest.raises(LinkLost, match="generator A"):
        await TcpTransport.open(host, port, name="generator A")
