"""Structured logs of the daemon: one JSON object per line on stderr, written by a thread of its own.

A reader of stderr that is slow or gone, or a full disk, must never hold up the event loop, so lines go through a
bounded queue and are counted, not waited for. The count is part of the daemon's status, and stands in the log as soon
as it can be written again. There is no patient data in this process.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import threading
import time
from typing import Final

import structlog

QUEUE_LINES: Final = 4096
DRAIN_S: Final = 0.5
STDERR: Final = 2


_STREAMS: list[_QueuedStream] = []


def lines_lost() -> int:
    """Lines that this process could not write since it started: its reader is slow or gone, or the disk is full."""
    return sum(stream.dropped for stream in _STREAMS)


class _QueuedStream:
    """What structlog writes to: hands lines to the writing thread, or drops them."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str] = queue.Queue(QUEUE_LINES)
        self.dropped = 0
        self._told = 0
        threading.Thread(target=self._write_on, name="log", daemon=True).start()

    def write(self, text: str) -> int:
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self.dropped += 1
        return len(text)

    def flush(self) -> None:
        """Nothing to do: the thread flushes."""

    def drain(self) -> None:
        """Give the thread a moment to write what is left; for the end of the process."""
        until_s = time.monotonic() + DRAIN_S
        while not self._lines.empty() and time.monotonic() < until_s:
            time.sleep(0.005)

    def _write_on(self) -> None:
        while True:
            line = self._lines.get()
            try:
                _write_all((line + self._loss()).encode())
            except OSError:
                self.dropped += 1
            else:
                self._told = self.dropped

    def _loss(self) -> str:
        """A line about lines that are missing; nothing when none is since the last such line."""
        missing = self.dropped - self._told
        return json.dumps({"event": "log.lines-lost", "level": "error", "lines": missing}) + "\n" if missing else ""


def _write_all(data: bytes) -> None:
    """Write to stderr past Python's buffers, so that a line is either written or known to be lost."""
    while data:
        data = data[os.write(STDERR, data) :]


class _Forwarder(logging.Handler):
    """What libraries log becomes a line like all others."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(
            record.levelno, "library.said", logger=record.name, text=record.getMessage()
        )


def configure_logging(process: str) -> None:
    """Send structured logs of this process to stderr, as JSON, with UTC time stamps; warnings of libraries, too."""
    logging.basicConfig(handlers=[_Forwarder()], level=logging.WARNING, force=True)
    stream = _QueuedStream()
    _STREAMS.append(stream)
    atexit.register(stream.drain)
    structlog.contextvars.bind_contextvars(process=process)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(stream),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
