"""The way of the X-rays from a generator simulator to a panel simulator that is another process.

A real panel senses the radiation, or is told by a trigger line from the generator; the host has no part in it. Here it
is one TCP connection from the generator to the panel's truth connection, with a line when X-rays begin and one when
they end. A panel that is not there is one that is not hit: the generator does not notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import asdict
from typing import Any

import structlog

from isoalign.protocol.messages import ExposureOutcome
from isoalign.simulators.errors import InvalidTruthRequest
from isoalign.simulators.generator_firmware import MeasuredExposure
from isoalign.simulators.process import Request

_log = structlog.get_logger("isoalign.simulators.beam")


def beam_on() -> Request:
    """The line that says that X-rays have begun."""
    return {"do": "beam", "on": True}


def beam_over(measured: MeasuredExposure) -> Request:
    """The line that says that they have ended, and what they were."""
    return {"do": "beam", "on": False, **asdict(measured), "outcome": measured.outcome.name}


def beam_from(request: Request) -> MeasuredExposure | None:
    """What such a line says: None while X-rays are on, afterwards what they were.

    Raises
    ------
    InvalidTruthRequest
    """
    given = {key: value for key, value in request.items() if key not in {"do", "on"}}
    if request.get("on") is True and not given:
        return None
    try:
        values: dict[str, Any] = {name: int(value) for name, value in given.items() if name != "outcome"}
        if request.get("on") is False:
            return MeasuredExposure(outcome=ExposureOutcome[given["outcome"]], **values)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidTruthRequest(f"no exposure: {error}", hint="on, or off with what the exposure was.") from error
    raise InvalidTruthRequest("a beam is on, or off with what the exposure was")


class BeamSender:
    """The generator's end: hands lines on in their order, over one connection that is opened when it is needed.

    Parameters
    ----------
    address : str
        HOST:PORT of the panel's truth connection.
    """

    def __init__(self, address: str) -> None:
        host, separator, port = address.rpartition(":")
        if not separator or not host or not port.isdigit():
            raise InvalidTruthRequest(
                f"{address!r} is not HOST:PORT", hint="Use the truth address that the panel prints."
            )
        self._host, self._port = host, int(port)
        self._lines: asyncio.Queue[Request] = asyncio.Queue()
        self._task = asyncio.create_task(self._send(), name="beam")

    def send(self, line: Request) -> None:
        """Put a line on its way; returns at once."""
        self._lines.put_nowait(line)

    async def close(self) -> None:
        """End the connection."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _send(self) -> None:
        writer: asyncio.StreamWriter | None = None
        try:
            while True:
                line = await self._lines.get()
                try:
                    if writer is None:
                        reader, writer = await asyncio.open_connection(self._host, self._port)
                    writer.write(json.dumps(line).encode() + b"\n")
                    await writer.drain()
                    if not await reader.readline():
                        raise ConnectionResetError("the panel has gone")
                except OSError as error:
                    _log.warning("beam.no-panel", host=self._host, port=self._port, error=str(error))
                    writer = None
        finally:
            if writer is not None:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
