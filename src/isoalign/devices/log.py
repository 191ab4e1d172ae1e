"""Structured logs of the daemon: one JSON object per line on stderr, written by a thread of its own.

A reader of stderr that is slow or gone must never hold up the event loop, so lines go through a bounded queue and
are counted, not waited for, when it is full. There is no patient data in this process.
"""

from __future__ import annotations

import atexit
import logging
import queue
import sys
import threading
import time
from typing import Final

import structlog

QUEUE_LINES: Final = 4096
DRAIN_S: Final = 0.5


_STREAMS: list[_QueuedStream] = []


def lines_lost() -> int:
    """Lines that this process could not write since it started: its reader is slow or gone, or the disk is full."""
    return sum(stream.dropped for stream in _STREAMS)


class _QueuedStream:
    """What structlog writes to: hands lines to the writing thread, or drops them."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str] = queue.Queue(QUEUE_LINES)
        self.dropped = 0
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
            try:
                sys.stderr.write(self._lines.get())
                if self._lines.empty():
                    sys.stderr.flush()
            except (OSError, ValueError):
                self.dropped += 1


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
