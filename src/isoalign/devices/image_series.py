"""Receiving a series of frames from a panel, as in fluoroscopy, asking again for what was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import structlog

from isoalign.devices.config import TcpAddress
from isoalign.devices.errors import ImageIncomplete, LinkLost
from isoalign.devices.transport import TcpTransport
from isoalign.protocol.errors import FrameError
from isoalign.protocol.image_series import SeriesAssembler
from isoalign.protocol.images import ImageFrame, RecordReader, encode_record
from isoalign.protocol.messages import ImageRelease

_log = structlog.get_logger("isoalign.devices.imager")

PAUSE_S = 0.1
SILENCE_S = 2.0
"""A series from which no whole frame comes for this long has failed."""


async def receive_series(
    address: TcpAddress, assembler: SeriesAssembler, *, name: str
) -> AsyncGenerator[ImageFrame, None]:
    """The frames of a series, each whole, with the right checksum, and newer than the one before.

    Goes on until the consumer closes it. A connection that breaks is made anew; frames of the meantime are missing.

    Raises
    ------
    ImageIncomplete
        When no whole frame has come for ``SILENCE_S``.
    LinkLost
        When the panel does not accept the connection.
    """
    loop = asyncio.get_running_loop()
    latest_s = loop.time()
    while True:
        line = await TcpTransport.open(address.host, address.port, name=name)
        reader = RecordReader()
        try:
            while True:
                for frame in await _receive(line, reader, assembler):
                    latest_s = loop.time()
                    yield frame
                if loop.time() - latest_s > SILENCE_S:
                    raise ImageIncomplete(f"{name}: no whole frame of the series came for {SILENCE_S:g} s")
        except (FrameError, LinkLost) as error:
            _log.warning("series.connect-again", line=name, error=error.message)
        finally:
            line.close()


async def _receive(line: TcpTransport, reader: RecordReader, assembler: SeriesAssembler) -> list[ImageFrame]:
    """What the next bytes complete; what is missing is asked for, what is there is released."""
    paused = False
    try:
        async with asyncio.timeout(PAUSE_S):
            data = await line.receive()
    except TimeoutError:
        paused = True
    else:
        for record in reader.feed(data):
            assembler.take(record)
    for request in assembler.requests(paused=paused):
        line.send(encode_record(request))
    frames = assembler.deliver()
    for frame in frames:
        line.send(encode_record(ImageRelease(frame_id=frame.frame_id)))
    return frames
