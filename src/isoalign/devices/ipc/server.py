"""The answering side of the room's remote calls."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import structlog

from isoalign.devices.errors import BadParameters, InternalError, IpcError, IpcProtocolError, UnknownMethod
from isoalign.devices.ipc.wire import LINE_LIMIT_BYTES, JsonObject, Message, Reply, answers, read_message, write_message
from isoalign.errors import IsoalignError, error_to_wire

_log = structlog.get_logger("isoalign.ipc")

LONGEST_SOCKET_PATH = 100
"""The kernel allows 107 characters in the address of a Unix socket."""


class Peer:
    """One connected client, as a handler sees it.

    ``gone`` is set as soon as the client has closed the connection or died; ``number`` tells clients apart.
    """

    def __init__(self, number: int, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.gone = asyncio.Event()
        self._writer = writer
        self.calls: dict[int, asyncio.Task[None]] = {}

    async def send(self, body: JsonObject, attachments: Sequence[bytes | bytearray | memoryview] = ()) -> None:
        """Write one raw message; handlers return or yield instead."""
        await write_message(self._writer, body, attachments)


@dataclass(frozen=True, slots=True)
class IpcCall:
    """One request as its handler gets it."""

    peer: Peer
    method: str
    params: JsonObject
    attachments: tuple[bytes, ...] = field(default=(), repr=False)

    def require(self, name: str, kind: type[Any]) -> Any:
        """The parameter ``name``, checked to be of type ``kind``; raises BadParameters."""
        value = self.params.get(name)
        if kind is float and type(value) is int:
            value = float(value)
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise BadParameters(f"{self.method}: parameter {name!r} must be {kind.__name__}, not {value!r}")
        return value


Handler = Callable[[IpcCall], Awaitable[Any] | AsyncIterator[Any] | Any]
"""Answers one method: a coroutine function (one result), an asynchronous generator function (a stream of events),
or a plain function that must not block (answered in the order of arrival). Results and events are JSON types or a
:class:`Reply`. Errors of this package cross with code, hint and facts."""

PeerCallback = Callable[[Peer], None]


class IpcServer:
    """Serves handlers on a Unix socket that only this user can open.

    Parameters
    ----------
    path : Path
        Of the socket. A socket file that nobody listens on is replaced; one in use is an error.
    handlers : mapping of method name to :data:`Handler`
    on_connect, on_disconnect : callable, optional
        Called with the :class:`Peer` at once when a client comes, and when it is gone.
    cancel_on_disconnect : bool
        Whether running handlers of a client that is gone are cancelled (default), or finish for nobody.
    """

    def __init__(
        self,
        path: Path | str,
        handlers: Mapping[str, Handler],
        *,
        on_connect: PeerCallback | None = None,
        on_disconnect: PeerCallback | None = None,
        cancel_on_disconnect: bool = True,
    ) -> None:
        self.path = Path(path)
        self._handlers = dict(handlers)
        self._on_connect = on_connect
        self._on_disconnect = on_disconnect
        self._cancel_on_disconnect = cancel_on_disconnect
        self._server: asyncio.Server | None = None
        self._peers: set[Peer] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._count = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; returns when clients can connect.

        Raises
        ------
        IpcError
        """
        if len(str(self.path)) > LONGEST_SOCKET_PATH:
            raise IpcError(
                f"the socket path has {len(str(self.path))} characters; the system allows {LONGEST_SOCKET_PATH}",
                hint="Use a shorter folder, e.g. one under /tmp or $XDG_RUNTIME_DIR.",
            )
        if self.path.is_socket():
            if answers(self.path):
                raise IpcError(f"another process serves {self.path} already", hint="Stop it, or use another path.")
            self.path.unlink()
        try:
            self._server = await asyncio.start_unix_server(self._connected, self.path, limit=LINE_LIMIT_BYTES)
            self.path.chmod(0o600)
        except OSError as error:
            raise IpcError(f"cannot listen on {self.path}: {error}") from error

    async def stop(self) -> None:
        """Stop listening, cancel running handlers, close every connection, remove the socket file."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None
        self.path.unlink(missing_ok=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), name=f"ipc-peer-{self._count}")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(self._count, writer)
        self._peers.add(peer)
        if self._on_connect:
            self._on_connect(peer)
        stopping = False
        try:
            while (message := await read_message(reader)) is not None:
                self._dispatch(peer, message)
        except IpcProtocolError as error:
            _log.warning("ipc.garbage", peer=peer.number, error=error.message)
            with contextlib.suppress(OSError):
                await peer.send({"id": None, "error": error_to_wire(error)})
        except OSError:
            pass
        except asyncio.CancelledError:
            stopping = True
            raise
        finally:
            peer.gone.set()
            self._peers.discard(peer)
            if self._on_disconnect:
                self._on_disconnect(peer)
            running = list(peer.calls.values())
            if self._cancel_on_disconnect or stopping:
                for task in running:
                    task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _dispatch(self, peer: Peer, message: Message) -> None:
        body = message.body
        if "cancel" in body:
            running = peer.calls.get(body["cancel"]) if isinstance(body["cancel"], int) else None
            if running:
                running.cancel()
            return
        number, method, params = body.get("id"), body.get("method"), body.get("params", {})
        if not isinstance(method, str) or not isinstance(params, dict) or not isinstance(number, int | None):
            raise IpcProtocolError(f"not a request: {str(body)[:80]}")
        if number in peer.calls:
            raise IpcProtocolError(f"request number {number} is in use")
        call = IpcCall(peer, method, params, message.attachments)
        handler = self._handlers.get(method)
        if number is None:
            if handler is not None:
                self._notice(handler, call)
            return
        task = asyncio.get_running_loop().create_task(self._answer(handler, call, number), name=f"ipc-{method}")
        peer.calls[number] = task
        task.add_done_callback(lambda _: peer.calls.pop(number, None))

    def _notice(self, handler: Handler, call: IpcCall) -> None:
        try:
            outcome = handler(call)
        except Exception as error:  # noqa: BLE001 - a notice has no answer; whatever happens is logged
            _log.error("ipc.notice-failed", method=call.method, error=repr(error))
            return
        if inspect.iscoroutine(outcome):
            task = asyncio.get_running_loop().create_task(outcome, name=f"ipc-notice-{call.method}")
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _answer(self, handler: Handler | None, call: IpcCall, number: int) -> None:
        async def send(key: str, value: Any) -> None:
            reply = value if isinstance(value, Reply) else Reply(value)
            try:
                await call.peer.send({"id": number, key: reply.result}, reply.attachments)
            except OSError as error:
                raise _NobodyListens from error

        try:
            try:
                if handler is None:
                    raise UnknownMethod(f"there is no method {call.method!r}", methods=sorted(self._handlers))
                outcome = handler(call)
                if isinstance(outcome, AsyncIterator):
                    async with _closed_at_once(outcome) as events:
                        async for event in events:
                            await send("event", event)
                    await send("end", True)
                else:
                    await send("result", await outcome if inspect.isawaitable(outcome) else outcome)
            except IsoalignError as error:
                await send("error", error_to_wire(error))
            except _NobodyListens:
                raise
            except Exception as error:  # noqa: BLE001 - a defect of one handler must not end the process
                _log.exception("ipc.handler-failed", method=call.method)
                failed = InternalError(f"{call.method} failed unexpectedly: {type(error).__name__}: {error}")
                await send("error", error_to_wire(failed))
        except _NobodyListens:
            _log.info("ipc.answer-not-delivered", method=call.method, peer=call.peer.number)


class _NobodyListens(Exception):
    """The client of a call is gone; there is nobody to tell."""


@contextlib.asynccontextmanager
async def _closed_at_once(events: AsyncIterator[Any]) -> AsyncIterator[AsyncIterator[Any]]:
    try:
        yield events
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
