"""Fetching one frame from a panel: over a connection of its own, asking again for what was lost."""

from __future__ import annotations

import asyncio

import structlog

from isoalign.devices.config import TcpAddress
from isoalign.devices.errors import ImageIncomplete, LinkLost
from isoalign.devices.image_log import SILENT, ImageTap
from isoalign.devices.transport import TcpTransport
from isoalign.protocol.errors import FrameError
from isoalign.protocol.images import ImageAssembler, ImageFrame, RecordReader
from isoalign.protocol.messages import FrameReady, ImageRelease

_log = structlog.get_logger("isoalign.devices.imager")

PAUSE_S = 0.5
"""A frame whose next part does not come for this long is asked for again."""
ATTEMPTS = 6


async def fetch_frame(address: TcpAddress, ready: FrameReady, *, name: str, tap: ImageTap = SILENT) -> ImageFrame:
    """The frame that a panel has announced, whole and with the right checksum.

    The panel sends a frame that was not released to whoever connects, so a connection that breaks is made anew.
    The caller sets the deadline (``asyncio.timeout``).

    Raises
    ------
    ImageIncomplete
        When rows are still missing after all attempts.
    LinkLost
        When the panel does not accept the connection.
    """
    assembler = ImageAssembler()
    assembler.expect(ready.exposure_id, ready.rows, ready.columns)
    attempts = ATTEMPTS
    while attempts > 0:
        line = await TcpTransport.open(address.host, address.port, name=name)
        tap.opened()
        reason = ""
        try:
            reader = RecordReader(observer=tap.record)
            while attempts > 0:
                frame = await _receive_until_pause(line, reader, assembler, tap)
                if frame is not None:
                    if (frame.frame_id, frame.pixels_crc) != (ready.frame_id, ready.pixels_crc):
                        raise ImageIncomplete(f"{name}: the frame that came is not the one that was announced")
                    line.send(tap.sent(ImageRelease(frame_id=frame.frame_id)))
                    return frame
                attempts -= 1
                _log.warning("image.ask-again", line=name, rows_received=assembler.rows_received, rows=ready.rows)
                for request in assembler.requests():
                    line.send(tap.sent(request))
        except (FrameError, LinkLost) as error:
            attempts -= 1
            reason = error.message
            _log.warning("image.connect-again", line=name, error=error.message)
        finally:
            line.close()
            tap.closed(reason)
    raise ImageIncomplete(
        f"{name}: only {assembler.rows_received} of {ready.rows} rows arrived",
        rows_received=assembler.rows_received,
        exposure_id=ready.exposure_id,
    )


async def _receive_until_pause(
    line: TcpTransport, reader: RecordReader, assembler: ImageAssembler, tap: ImageTap
) -> ImageFrame | None:
    """The frame, or None when the panel has sent all it meant to send, or nothing for a while."""
    while True:
        try:
            async with asyncio.timeout(PAUSE_S):
                data = await line.receive()
        except TimeoutError:
            return None
        tap.received(data)
        for record in reader.feed(data):
            frame = assembler.take(record)
            if frame is not None:
                return frame
        if assembler.has_ended:
            return None
