"""The asking side of the room process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from isoalign.devices.ipc import IpcClient
from isoalign.records import SessionRecord
from isoalign.room.record_codec import UnreadableRecord, unpack

Progress = Callable[[str, str, float | None], None]


class RoomClient:
    """One connection to the room process; errors that the room reports arrive as :class:`~isoalign.errors.RemoteError`.

    Closing it, or dying, while the couch moves holds the couch.
    """

    def __init__(self, ipc: IpcClient) -> None:
        self._ipc = ipc

    @classmethod
    async def connect(cls, socket: Path, *, timeout_s: float = 5.0) -> Self:
        """Connect to the room process at ``socket``; raises PeerGone."""
        return cls(await IpcClient.connect(socket, timeout_s=timeout_s))

    async def act(self, name: str, progress: Progress | None = None, /, **parameters: Any) -> dict[str, Any]:
        """Perform one act (``load``, ``move_to_setup``, ``image_and_match``, ``scan_and_match``, ``approve``, ``move``,
        ``export``, ``close``).

        Parameters
        ----------
        progress : callable, optional
            Called as ``progress(step, text, fraction)``.
        **parameters
            Of the act; ``image_and_match`` takes ``match``: "2d3d", "markers" or "2d2d" for this pair.
        """
        async with aclosing(self._ipc.stream(name, **parameters)) as events:
            async for event in events:
                if "result" in event:
                    return dict(event["result"])
                if progress is not None:
                    progress(event["step"], event["text"], event["fraction"])
        raise UnreadableRecord(f"the room ended {name!r} without a result")

    async def hold(self, reason: str) -> dict[str, Any]:
        """Stop all motion."""
        return dict(await self._ipc.call("hold", reason=reason))

    async def clear(self, reason: str, user: str) -> dict[str, Any]:
        """Clear a hold; motion then needs a new press of the enable bar."""
        return dict(await self._ipc.call("clear", reason=reason, user=user))

    async def status(self) -> dict[str, Any]:
        """Where the session stands."""
        return dict(await self._ipc.call("status"))

    async def record(self) -> SessionRecord:
        """The record of the session so far."""
        reply = await self._ipc.call_with_attachments("record", {})
        record = unpack(reply.result, [bytes(raw) for raw in reply.attachments])
        if not isinstance(record, SessionRecord):
            raise UnreadableRecord(f"the room sent a {type(record).__name__} instead of a session record")
        return record

    async def close(self) -> None:
        """Close the connection."""
        await self._ipc.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
