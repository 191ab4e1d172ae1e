"""Structured logs: one JSON object a line on standard error, no patient names."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

FORBIDDEN_KEYS = frozenset({"patient_name", "name_of_patient", "birth_date", "patient_id"})


def configure_logging(level: int = logging.INFO) -> None:
    """Send structured logs of this process to standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_identity,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


@contextmanager
def logs_on_stderr(level: int = logging.WARNING) -> Iterator[None]:
    """Inside the block logs go to standard error, for a command whose standard output is its result."""
    before = structlog.get_config()
    configure_logging(level)
    structlog.configure(cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)


def pseudonym(patient_id: str) -> str:
    """A short label that stands for a patient in logs and reports; the same for the same patient ID."""
    return "patient-" + hashlib.sha256(patient_id.encode()).hexdigest()[:8]


def _without_identity(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: ("(withheld)" if key in FORBIDDEN_KEYS else value) for key, value in event.items()}
