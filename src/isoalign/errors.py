"""Typed errors: one way to fail, with a stable code, the facts and a hint of what to do.

Every error that can cross a room's border derives from :class:`IsoalignError`. A concrete class fixes
``code`` (stable, listed in the documentation) and belongs to a family that fixes ``exit_code``. Concrete
classes live in the ``errors.py`` of the room that raises them.
"""

from __future__ import annotations

from typing import Any, ClassVar


class IsoalignError(Exception):
    """Base of all errors of this package.

    Parameters
    ----------
    message : str
        What went wrong and where, in one sentence a user can read.
    hint : str
        What to do next.
    **facts
        Machine-readable facts (JSON types), for logs and ``--json``. Never a patient's name.
    """

    code: ClassVar[str] = "isoalign.error"
    exit_code: ClassVar[int] = 1
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.facts = facts

    def __str__(self) -> str:
        return self.message

    def to_dict(self) -> dict[str, Any]:
        """The error as JSON types: ``code``, ``message``, ``hint``, ``facts``."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "facts": self.facts}


class ConfigurationError(IsoalignError):
    """A configuration file or a command-line value cannot be used."""

    code = "config.error"
    exit_code = 2


class GeometryError(IsoalignError):
    """A pose, position or geometry makes no sense or does not fit another."""

    code = "geometry.error"
    exit_code = 3


class InputDataError(IsoalignError):
    """Plan, structure set, CT or image data cannot be used."""

    code = "data.error"
    exit_code = 3


class DicomNetworkError(IsoalignError):
    """A DICOM peer does not answer, refuses, or answers with a failure."""

    code = "dicom.network"
    exit_code = 4


class DeviceError(IsoalignError):
    """A device is silent, refuses, or reports a fault."""

    code = "device.error"
    exit_code = 5


class MatchError(IsoalignError):
    """No trustworthy match could be found; the couch is not moved."""

    code = "match.error"
    exit_code = 6


class PositioningError(IsoalignError):
    """The positioning session refuses an act, or its result is out of tolerance."""

    code = "positioning.error"
    exit_code = 7


class StorageError(IsoalignError):
    """The local database or object store cannot be read or written."""

    code = "storage.error"
    exit_code = 8


class CalibrationError(IsoalignError):
    """A calibration cannot be determined or does not meet its gates."""

    code = "calibration.error"
    exit_code = 9


class RemoteError(IsoalignError):
    """An error that another process of the room reported; keeps that process's code and exit code."""

    code = "remote.error"

    def __init__(
        self, message: str, *, hint: str = "", remote_code: str, remote_exit_code: int = 1, **facts: Any
    ) -> None:
        super().__init__(message, hint=hint, **facts)
        self.remote_code = remote_code
        self.remote_exit_code = remote_exit_code

    def to_dict(self) -> dict[str, Any]:
        """As :meth:`IsoalignError.to_dict`, with the code of the process that failed."""
        return {"code": self.remote_code, "message": self.message, "hint": self.hint, "facts": self.facts}


def exit_code_of(error: IsoalignError) -> int:
    """The process exit code that goes with ``error``, also when another process reported it."""
    return error.remote_exit_code if isinstance(error, RemoteError) else error.exit_code


def error_to_wire(error: IsoalignError) -> dict[str, Any]:
    """``error`` as JSON types for another process; :func:`error_from_wire` is the inverse."""
    return {**error.to_dict(), "exit_code": exit_code_of(error)}


def error_from_wire(wire: dict[str, Any]) -> RemoteError:
    """The error that another process wrote with :func:`error_to_wire`."""
    return RemoteError(
        str(wire["message"]),
        hint=str(wire.get("hint", "")),
        remote_code=str(wire["code"]),
        remote_exit_code=int(wire.get("exit_code", 1)),
        **wire.get("facts", {}),
    )
