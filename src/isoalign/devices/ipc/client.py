"""The asking side of the room's remote calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from isoalign.devices.errors import IpcProtocolError, PeerGone, StreamOverrun
from isoalign.devices.ipc.wire import LINE_LIMIT_BYTES, JsonObject, Message, Reply, read_message, write_message
from isoalign.errors import IsoalignError, error_from_wire

EVENT_LIMIT = 4096
"""Events of one stream that may wait for their consumer."""


class IpcClient:
    """One connection to an :class:`~isoalign.devices.ipc.IpcServer`; any number of calls may be in flight.

    Make one with :meth:`connect`, close it with :meth:`close` or use it as an asynchronous context manager.
    """

    def __init__(self, path: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.path = path
        self._reader = reader
        self._writer = writer
        self._answers: dict[int, asyncio.Queue[Message]] = {}
        self._failure: IsoalignError | None = None
        self._number = 0
        self._gone = asyncio.Event()
        self._listening = asyncio.get_running_loop().create_task(self._listen(), name=f"ipc-client-{path.name}")

    @classmethod
    async def connect(cls, path: Path | str, *, timeout_s: float = 5.0) -> IpcClient:
        """Connect to the server at ``path``.

        Raises
        ------
        PeerGone
            When nobody listens there, or it does not accept within ``timeout_s``.
        """
        path = Path(path)
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_unix_connection(path, limit=LINE_LIMIT_BYTES)
        except (OSError, TimeoutError) as error:
            raise PeerGone(f"nobody answers at {path}: {type(error).__name__} {error}".rstrip()) from error
        return cls(path, reader, writer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def is_connected(self) -> bool:
        """Whether the server has not been seen to go."""
        return not self._gone.is_set()

    async def wait_gone(self) -> None:
        """Wait until the server is gone or the connection is closed."""
        await self._gone.wait()

    async def close(self) -> None:
        """Close the connection; the server cancels what still runs for this client."""
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def call(self, method: str, **params: Any) -> Any:
        """The result of ``method``; see :meth:`call_with_attachments`."""
        return (await self.call_with_attachments(method, params)).result

    async def call_with_attachments(
        self, method: str, params: JsonObject, attachments: Sequence[bytes | bytearray | memoryview] = ()
    ) -> Reply:
        """Call ``method`` and wait for its one result.

        A caller that is cancelled cancels the handler, too.

        Raises
        ------
        RemoteError
            Whatever the handler raised, with its code, hint and facts.
        PeerGone
            When the server goes before it has answered.
        """
        async with self._request(method, params, attachments) as answers:
            message = await answers.get()
            self._raise_failure(message)
            if "result" not in message.body:
                raise IpcProtocolError(f"{method} answered with a stream where one result was expected")
            return Reply(message.body["result"], message.attachments)

    async def stream(self, method: str, **params: Any) -> AsyncGenerator[Any, None]:
        """The events of ``method``, in order, until it ends; raises as :meth:`call_with_attachments`.

        Close the iterator (``contextlib.aclosing``) when it is left early: that cancels the handler.
        """
        async with self._request(method, params, ()) as answers:
            while True:
                message = await answers.get()
                self._raise_failure(message)
                if "end" in message.body:
                    return
                if "event" not in message.body:
                    raise IpcProtocolError(f"{method} answered with one result where a stream was expected")
                event = message.body["event"]
                yield Reply(event, message.attachments) if message.attachments else event

    async def notify(self, method: str, **params: Any) -> None:
        """Send ``method`` without asking for an answer; raises PeerGone when the server is gone."""
        await self._write({"method": method, "params": params}, ())

    async def _write(self, body: JsonObject, attachments: Sequence[bytes | bytearray | memoryview]) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            await write_message(self._writer, body, attachments)
        except OSError as error:
            raise PeerGone(f"the process that serves {self.path} is gone") from error

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, params: JsonObject, attachments: Sequence[bytes | bytearray | memoryview]
    ) -> AsyncIterator[asyncio.Queue[Message]]:
        self._number += 1
        number = self._number
        answers: asyncio.Queue[Message] = asyncio.Queue(EVENT_LIMIT)
        self._answers[number] = answers
        ended = False
        try:
            await self._write({"id": number, "method": method, "params": params}, attachments)
            yield answers
            ended = True
        except IsoalignError:
            ended = True
            raise
        finally:
            self._answers.pop(number, None)
            if not ended and self.is_connected:
                with contextlib.suppress(OSError):
                    self._writer.write(b'{"cancel":%d}\n' % number)

    def _raise_failure(self, message: Message) -> None:
        if "error" in message.body:
            raise error_from_wire(message.body["error"])
        if "failure" in message.body:
            raise message.body["failure"]

    async def _listen(self) -> None:
        failure: IsoalignError = PeerGone(f"the process that serves {self.path} is gone")
        try:
            while (message := await read_message(self._reader)) is not None:
                self._deliver(message)
        except IsoalignError as error:
            failure = error
        except OSError as error:
            failure = PeerGone(f"the connection to {self.path} broke: {error}")
        finally:
            self._failure = failure
            self._gone.set()
            self._writer.close()
            for answers in self._answers.values():
                _put_last(answers, Message({"failure": failure}))

    def _deliver(self, message: Message) -> None:
        number = message.body.get("id")
        if number is None:
            error = message.body.get("error")
            raise error_from_wire(error) if isinstance(error, dict) else IpcProtocolError("an answer without number")
        answers = self._answers.get(number)
        if answers is None:
            return  # left early; the rest of its events are not wanted any more
        if answers.qsize() >= EVENT_LIMIT - 1:
            overrun = StreamOverrun(f"more than {EVENT_LIMIT} events of call {number} were not consumed")
            _put_last(answers, Message({"failure": overrun}))
            del self._answers[number]
            with contextlib.suppress(OSError):
                self._writer.write(b'{"cancel":%d}\n' % number)
            return
        answers.put_nowait(message)


def _put_last(answers: asyncio.Queue[Message], message: Message) -> None:
    while answers.full():
        answers.get_nowait()
    answers.put_nowait(message)
