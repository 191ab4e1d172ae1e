"""Remote calls: results, streams, attachments, errors, peers that vanish, garbage."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from isoalign.devices.errors import InterlockOpen, IpcError, IpcProtocolError, PeerGone, StreamOverrun
from isoalign.devices.ipc import IpcCall, IpcClient, IpcServer, Peer, Reply
from isoalign.devices.ipc import client as client_module
from isoalign.devices.ipc.wire import LINE_LIMIT_BYTES
from isoalign.errors import RemoteError, exit_code_of


class Service:
    """Handlers of every kind, and what happened to them."""

    def __init__(self) -> None:
        self.notices: list[int] = []
        self.cancelled = asyncio.Event()
        self.closed = asyncio.Event()
        self.gone: list[Peer] = []
        self.started = asyncio.Event()

    async def echo(self, call: IpcCall) -> object:
        return call.params

    async def reverse(self, call: IpcCall) -> Reply:
        return Reply({"count": len(call.attachments)}, tuple(a[::-1] for a in call.attachments))

    async def count(self, call: IpcCall) -> AsyncIterator[object]:
        try:
            for number in range(call.require("to", int)):
                yield {"number": number}
                await asyncio.sleep(0)
        finally:
            self.closed.set()

    async def refuse(self, call: IpcCall) -> None:
        raise InterlockOpen("the door is open", hint="Close it.", door="north")

    async def crash(self, call: IpcCall) -> None:
        raise FileNotFoundError("no such thing")

    async def forever(self, call: IpcCall) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    def note(self, call: IpcCall) -> int:
        self.notices.append(call.require("value", int))
        return len(self.notices)

    async def needs_float(self, call: IpcCall) -> float:
        return float(call.require("value", float))

    async def bad_result(self, call: IpcCall) -> object:
        return object()


@pytest.fixture
async def service() -> Service:
    return Service()


@pytest.fixture
async def server(tmp_path: Path, service: Service) -> AsyncIterator[IpcServer]:
    names = ("echo", "reverse", "count", "refuse", "crash", "forever", "note", "needs_float", "bad_result")
    handlers = {name: getattr(service, name) for name in names}
    async with IpcServer(tmp_path / "s", handlers, on_disconnect=service.gone.append) as serving:
        yield serving


@pytest.fixture
async def client(server: IpcServer) -> AsyncIterator[IpcClient]:
    async with await IpcClient.connect(server.path) as connected:
        yield connected


async def test_call_returns_the_result(client: IpcClient) -> None:
    assert await client.call("echo", a=1, b=[2.5, "grüß"]) == {"a": 1, "b": [2.5, "grüß"]}


async def test_calls_share_a_connection_and_do_not_wait_for_each_other(client: IpcClient, service: Service) -> None:
    waiting = asyncio.create_task(client.call("forever"))
    await service.started.wait()
    assert await asyncio.gather(*(client.call("echo", n=n) for n in range(50))) == [{"n": n} for n in range(50)]
    waiting.cancel()
    await asyncio.wait_for(service.cancelled.wait(), 5)  # a cancelled caller cancels the handler
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_attachments_cross_byte_for_byte_both_ways(client: IpcClient) -> None:
    image = os.urandom(1_572_864)
    reply = await client.call_with_attachments("reverse", {}, (image, b"", b"\n{}\n"))
    assert reply.result == {"count": 3}
    assert reply.attachments == (image[::-1], b"", b"\n}{\n")


async def test_stream_keeps_order_and_ends(client: IpcClient) -> None:
    assert [event["number"] async for event in client.stream("count", to=100)] == list(range(100))


async def test_leaving_a_stream_early_closes_the_handler(client: IpcClient, service: Service) -> None:
    async with contextlib.aclosing(client.stream("count", to=10**9)) as events:
        async for event in events:
            if event["number"] == 3:
                break
    await asyncio.wait_for(service.closed.wait(), 5)


async def test_a_consumer_that_falls_behind_gets_an_error_and_not_a_gap(
    client: IpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "EVENT_LIMIT", 16)
    events = client.stream("count", to=10_000)
    seen = [(await anext(events))["number"]]
    await asyncio.wait_for(_until(lambda: not client._answers), 20)

    async def consume() -> None:
        seen.extend([event["number"] async for event in events])

    with pytest.raises(StreamOverrun):
        await consume()
    assert await client.call("echo") == {}


async def _until(condition: object) -> None:
    while not condition():  # type: ignore[operator]
        await asyncio.sleep(0.001)


async def test_errors_cross_with_code_hint_facts_and_exit_code(client: IpcClient) -> None:
    with pytest.raises(RemoteError, match="door is open") as caught:
        await client.call("refuse")
    assert caught.value.remote_code == "device.interlock-open"
    assert caught.value.hint == "Close it."
    assert caught.value.facts == {"door": "north"}
    assert exit_code_of(caught.value) == 5


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("no-such-method", {}, "ipc.unknown-method"),
        ("crash", {}, "ipc.internal"),
        ("bad_result", {}, "ipc.protocol"),
        ("count", {"to": "three"}, "ipc.bad-parameters"),
        ("count", {"to": True}, "ipc.bad-parameters"),
        ("count", {}, "ipc.bad-parameters"),
    ],
)
async def test_failures_are_typed_and_the_connection_survives(
    client: IpcClient, method: str, params: dict[str, object], code: str
) -> None:
    async def ask() -> None:
        if method == "count":
            async for _ in client.stream(method, **params):
                pass
        else:
            await client.call(method, **params)

    with pytest.raises(RemoteError) as caught:
        await ask()
    assert caught.value.remote_code == code
    assert await client.call("needs_float", value=2) == 2.0


async def test_notices_are_handled_in_order_without_an_answer(client: IpcClient, service: Service) -> None:
    for value in range(20):
        await client.notify("note", value=value)
    assert await client.call("note", value=20) == 21
    assert service.notices == list(range(21))


async def test_client_that_vanishes_cancels_its_handlers_and_is_reported(server: IpcServer, service: Service) -> None:
    client = await IpcClient.connect(server.path)
    waiting = asyncio.create_task(client.call("forever"))
    await service.started.wait()
    client._writer.transport.abort()
    await asyncio.wait_for(service.cancelled.wait(), 5)
    with pytest.raises(PeerGone):
        await waiting
    await asyncio.wait_for(_until(lambda: service.gone), 5)
    assert service.gone[0].gone.is_set()
    await client.close()


async def test_server_that_vanishes_fails_every_call_in_flight_and_every_later_one(
    server: IpcServer, client: IpcClient, service: Service
) -> None:
    waiting = asyncio.create_task(client.call("forever"))
    await service.started.wait()
    await server.stop()
    with pytest.raises(PeerGone):
        await asyncio.wait_for(waiting, 5)
    with pytest.raises(PeerGone):
        await client.call("echo")
    with pytest.raises(PeerGone):
        await client.notify("note", value=1)
    assert not client.is_connected


async def test_nobody_there_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(PeerGone, match="nobody answers"):
        await IpcClient.connect(tmp_path / "nothing")


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\n",
        b"[1, 2]\n",
        b"{\n",
        b"\xff\xfe\n",
        b'{"id": 1}\n',
        b'{"id": "1", "method": "echo"}\n',
        b'{"id": 1, "method": "echo", "params": []}\n',
        b'{"id": 1, "method": "echo", "attachments": [-1]}\n',
        b'{"id": 1, "method": "echo", "attachments": [99999999999]}\n',
        b'{"id": 1, "method": "echo", "attachments": [true]}\n',
        b"[" * 100_000 + b"\n",
        b"x" * (LINE_LIMIT_BYTES + 2),
    ],
    ids=range(12),
)
async def test_garbage_ends_that_connection_with_an_error_and_no_other(
    server: IpcServer, client: IpcClient, sent: bytes
) -> None:
    reader, writer = await asyncio.open_unix_connection(server.path)
    writer.write(sent)
    answer = json.loads(await asyncio.wait_for(reader.readline(), 5))
    assert answer["error"]["code"] == "ipc.protocol"
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await writer.wait_closed()
    assert await client.call("echo") == {}


async def test_truncated_attachment_is_not_handled(server: IpcServer, client: IpcClient, service: Service) -> None:
    _, writer = await asyncio.open_unix_connection(server.path)
    writer.write(b'{"method":"note","params":{"value":7},"attachments":[10]}\n12345')
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(_until(lambda: service.gone), 5)
    assert service.notices == []


async def test_oversized_message_is_refused_by_the_sender(client: IpcClient) -> None:
    with pytest.raises(IpcProtocolError, match="attachment"):
        await client.call("echo", text="x" * (LINE_LIMIT_BYTES + 1))
    assert await client.call("echo") == {}


async def test_garbage_from_the_server_is_a_typed_error(tmp_path: Path) -> None:
    finished = asyncio.Event()

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"what?\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        finished.set()

    listening = await asyncio.start_unix_server(babble, tmp_path / "b")
    async with listening, await IpcClient.connect(tmp_path / "b") as client:
        with pytest.raises(IpcProtocolError):
            await client.call("echo")
        await asyncio.wait_for(finished.wait(), 5)


async def test_second_server_is_refused_but_a_dead_socket_file_is_replaced(server: IpcServer, tmp_path: Path) -> None:
    with pytest.raises(IpcError, match="already"):
        await IpcServer(server.path, {}).start()
    dead = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(dead))
    async with IpcServer(dead, {}) as replaced, await IpcClient.connect(dead):
        assert replaced.path.stat().st_mode & 0o777 == 0o600
    assert not dead.exists()


async def test_long_socket_path_is_explained(tmp_path: Path) -> None:
    with pytest.raises(IpcError, match="characters"):
        await IpcServer(tmp_path / ("x" * 120), {}).start()
