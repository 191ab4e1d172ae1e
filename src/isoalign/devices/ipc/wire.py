"""The message format: one line of JSON, then the announced attachments."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoalign.devices.errors import IpcProtocolError

JsonObject = dict[str, Any]

ANSWER_S = 2.0
LINE_LIMIT_BYTES = 1 << 20
ATTACHMENT_LIMIT_BYTES = 256 << 20
"""The most that one message may announce in all its attachments."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A result with binary attachments. A handler returns it, and ``IpcClient.call_with_attachments`` gives it.

    Attributes
    ----------
    result : JSON types
    attachments : tuple of bytes-like
        Raw bytes, in order.
    """

    result: Any
    attachments: tuple[bytes | bytearray | memoryview, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One message as read."""

    body: JsonObject
    attachments: tuple[bytes, ...] = ()


def encode(body: JsonObject, attachments: Sequence[bytes | bytearray | memoryview] = ()) -> bytes:
    """The line of a message; the attachments themselves are written after it.

    Raises
    ------
    IpcProtocolError
        When the body is not JSON, or too long.
    """
    announced = {**body, "attachments": [memoryview(a).nbytes for a in attachments]} if attachments else body
    try:
        line = json.dumps(announced, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise IpcProtocolError(f"a message cannot be written as JSON: {error}") from error
    if len(line) > LINE_LIMIT_BYTES:
        raise IpcProtocolError(f"a message of {len(line)} bytes is longer than {LINE_LIMIT_BYTES}; use an attachment")
    return line


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """The next message, or None when the peer has closed the connection.

    Raises
    ------
    IpcProtocolError
        After which the connection cannot be used any more.
    """
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise IpcProtocolError(f"a line is longer than {LINE_LIMIT_BYTES} bytes") from error
    try:
        body = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise IpcProtocolError(f"a line is not JSON: {line[:60]!r}") from error
    if not isinstance(body, dict):
        raise IpcProtocolError(f"a line is not a JSON object: {line[:60]!r}")
    sizes = body.pop("attachments", [])
    if not isinstance(sizes, list) or not all(type(n) is int and n >= 0 for n in sizes):
        raise IpcProtocolError("attachments must be a list of sizes")
    if sum(sizes) > ATTACHMENT_LIMIT_BYTES:
        raise IpcProtocolError(f"attachments of {sum(sizes)} bytes are more than {ATTACHMENT_LIMIT_BYTES}")
    attachments = []
    for size in sizes:
        try:
            attachments.append(await reader.readexactly(size))
        except asyncio.IncompleteReadError:
            return None
    return Message(body, tuple(attachments))


async def write_message(
    writer: asyncio.StreamWriter, body: JsonObject, attachments: Sequence[bytes | bytearray | memoryview] = ()
) -> None:
    """Write one message and wait until the peer keeps up.

    The whole message is handed over without a suspension point, so that writers in several tasks do not mix.

    Raises
    ------
    IpcProtocolError, OSError
    """
    line = encode(body, attachments)
    if writer.is_closing():
        raise ConnectionResetError("the connection is closed")
    writer.write(line)
    for attachment in attachments:
        writer.write(attachment)
    await writer.drain()


def answers(path: Path) -> bool:
    """Whether somebody listens at a socket; one that a killed daemon has left behind has nobody."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_S)
            connection.connect(str(path))
    except OSError:
        return False
    return True
