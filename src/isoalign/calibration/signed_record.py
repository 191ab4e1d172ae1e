"""Calibration records, signed with the room's key, so that who wrote one is proved and nothing in it can be changed.

A record on disk is JSON with ``content`` and a signature (Ed25519) over its canonical form: UTF-8, keys sorted, no
white space, every number in the shortest form that reads back the same, no NaN. The key stays outside of the record:
whoever calibrates has the private half in a file of the room, whoever uses a record needs the public half only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from isoalign.calibration.errors import (
    GateFailed,
    InvalidCalibrationRecord,
    InvalidRoomKey,
    RecordExpired,
    RecordForeign,
    RecordTampered,
)

FORMAT = "isoalign calibration record"
FORMAT_VERSION = 1
ALGORITHM = "Ed25519"
CLOCK_SLACK = timedelta(minutes=5)
"""A record may be this much younger than the clock of whoever reads it says."""


@dataclass(frozen=True, slots=True)
class CalibrationRecord:
    """What a calibration has found, and everything that is needed to judge it later.

    Attributes
    ----------
    kind : str
        Which procedure, e.g. "couch walk-out".
    version : int
        Of the layout of ``result``.
    method : str
        How it was found.
    measured_at, valid_until : datetime
        Aware.
    devices : dict of str to str
        Serial number of every device that the result belongs to.
    inputs_sha256 : str
        Of the measurements.
    result : dict
        What was found, JSON types.
    residuals : dict
        What the fit leaves, JSON types.
    covariance : list of lists, optional
        Of the parameters that ``result`` names.
    gates : dict
        Every gate with its limit and what was reached.
    failures : tuple of str
        Gates that did not hold; such a record can be looked at, never used.
    notes : dict
        Operator, phantom and whatever else helps.
    """

    kind: str
    version: int
    method: str
    measured_at: datetime
    valid_until: datetime
    devices: dict[str, str]
    inputs_sha256: str
    result: dict[str, Any]
    residuals: dict[str, Any]
    covariance: list[list[float]] | None = None
    gates: dict[str, Any] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("measured_at", "valid_until"):
            if getattr(self, name).tzinfo is None:
                raise InvalidCalibrationRecord(f"{name} has no time zone")
        if self.valid_until <= self.measured_at:
            raise InvalidCalibrationRecord("the record would end before it begins")

    def to_content(self) -> dict[str, Any]:
        """As JSON types."""
        moments = {name: getattr(self, name).isoformat() for name in ("measured_at", "valid_until")}
        return asdict(self) | moments | {"failures": list(self.failures)}

    @classmethod
    def from_content(cls, content: Any) -> Self:
        """The inverse of :meth:`to_content`; raises InvalidCalibrationRecord."""
        try:
            known = {one.name for one in fields(cls)}
            unknown = sorted(set(content) - known)
            if unknown:
                raise InvalidCalibrationRecord(f"the record has a key that is not known here: {unknown[0]}")
            moments = {name: datetime.fromisoformat(content[name]) for name in ("measured_at", "valid_until")}
            return cls(**(content | moments | {"failures": tuple(content["failures"])}))
        except (LookupError, TypeError, ValueError) as error:
            raise InvalidCalibrationRecord(f"the record is incomplete or damaged: {error}") from error


@dataclass(frozen=True, slots=True)
class RoomSeal:
    """The public half of a room's key: proves who signed a record."""

    public: Ed25519PublicKey

    @property
    def key_id(self) -> str:
        """Sixteen hexadecimal digits that name the key."""
        return hashlib.sha256(self.public.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """From a PEM file; raises InvalidRoomKey."""
        try:
            key = load_pem_public_key(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            raise InvalidRoomKey(f"{path} is not the public half of a room's key: {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise InvalidRoomKey(f"{path} holds a key of another kind than {ALGORITHM}")
        return cls(key)


@dataclass(frozen=True, slots=True)
class RoomKey:
    """The private half of a room's key: signs records."""

    private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A new key, from the system's random numbers."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """From a PEM file; raises InvalidRoomKey."""
        try:
            key = load_pem_private_key(Path(path).read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise InvalidRoomKey(f"{path} is not a room's key: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidRoomKey(f"{path} holds a key of another kind than {ALGORITHM}")
        return cls(key)

    @property
    def seal(self) -> RoomSeal:
        """The public half."""
        return RoomSeal(self.private.public_key())

    def save(self, path: str | Path) -> tuple[Path, Path]:
        """Write both halves as PEM: ``path`` for this user alone, and ``path`` with ``.pub`` for everybody.

        Raises
        ------
        InvalidRoomKey
            When a key is there already: it is never overwritten, since old records could not be proved any more.
        """
        file = Path(path)
        public = file.with_name(file.name + ".pub")
        private_pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public_pem = self.seal.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        try:
            for target, content, mode in ((file, private_pem, 0o600), (public, public_pem, 0o644)):
                with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
                    stream.write(content)
        except OSError as error:
            raise InvalidRoomKey(f"the room's key cannot be written: {error}") from error
        return file, public


def sign_record(record: CalibrationRecord, key: RoomKey) -> dict[str, Any]:
    """A record with its signature, as JSON types.

    Raises
    ------
    GateFailed
        A record whose gates did not hold is not signed.
    """
    if record.failures:
        raise GateFailed(f"not signed: {'; '.join(record.failures)}")
    content = record.to_content()
    value = base64.b64encode(key.private.sign(_canonical(content))).decode()
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "content": content,
        "signature": {"algorithm": ALGORITHM, "key_id": key.seal.key_id, "value": value},
    }


def open_record(
    signed: Any, seal: RoomSeal, *, now: datetime, kind: str | None = None, devices: Mapping[str, str] | None = None
) -> CalibrationRecord:
    """The record in ``signed``, if this room may use it.

    Parameters
    ----------
    signed : JSON types
        As :func:`sign_record` gives them.
    seal : RoomSeal
        Of this room.
    now : datetime
        Aware.
    kind : str, optional
        What the record must be; any kind without it.
    devices : mapping of str to str, optional
        Serial numbers of the devices that it is wanted for; the record must name each of them.

    Raises
    ------
    InvalidCalibrationRecord, RecordTampered, RecordForeign, RecordExpired
    """
    try:
        if (signed["format"], signed["version"]) != (FORMAT, FORMAT_VERSION):
            raise InvalidCalibrationRecord(f"this is {signed['format']!r} version {signed['version']!r}")
        content, signature = signed["content"], signed["signature"]
        key_id, value = signature["key_id"], base64.b64decode(signature["value"], validate=True)
    except (LookupError, TypeError, ValueError) as error:
        raise InvalidCalibrationRecord(f"this is not a signed calibration record: {error}") from error
    if key_id != seal.key_id:
        raise RecordForeign(f"the record was signed with the key {key_id}, not with this room's key {seal.key_id}")
    try:
        seal.public.verify(value, _canonical(content))
    except (InvalidSignature, ValueError) as error:
        raise RecordTampered("the record does not fit its signature: it was changed after it was signed") from error
    record = CalibrationRecord.from_content(content)
    if kind is not None and record.kind != kind:
        raise InvalidCalibrationRecord(f"this is a record of {record.kind}, not of {kind}")
    for role, serial in (devices or {}).items():
        if record.devices.get(role) != serial:
            raise RecordForeign(
                f"the record belongs to {role} {record.devices.get(role, 'of no number')}, not to {role} {serial}"
            )
    if not record.measured_at - CLOCK_SLACK <= now <= record.valid_until:
        raise RecordExpired(
            f"the record of {record.kind} is valid from {record.measured_at:%Y-%m-%d %H:%M} "
            f"to {record.valid_until:%Y-%m-%d %H:%M %Z}, and it is {now:%Y-%m-%d %H:%M %Z} now"
        )
    return record


def write_record(record: CalibrationRecord, path: str | Path, key: RoomKey) -> Path:
    """Sign a record and write it, whole or not at all; raises GateFailed, InvalidCalibrationRecord."""
    file = Path(path)
    text = json.dumps(sign_record(record, key), indent=1, allow_nan=False) + "\n"
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, delete=False) as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(stream.name).replace(file)
    except OSError as error:
        raise InvalidCalibrationRecord(f"the record cannot be written to {file}: {error}") from error
    return file


def read_record(
    path: str | Path,
    seal: RoomSeal,
    *,
    now: datetime,
    kind: str | None = None,
    devices: Mapping[str, str] | None = None,
) -> CalibrationRecord:
    """The record in a file, if this room may use it; parameters and errors of :func:`open_record`."""
    return open_record(_read(path), seal, kind=kind, now=now, devices=devices)


def read_record_of_any_time(path: str | Path, seal: RoomSeal) -> CalibrationRecord:
    """The record in a file, to be looked at and not to be used: proved like any other, but it may have expired.

    Raises
    ------
    InvalidCalibrationRecord, RecordTampered, RecordForeign
    """
    signed = _read(path)
    try:
        measured_at = datetime.fromisoformat(signed["content"]["measured_at"])
    except (LookupError, TypeError, ValueError) as error:
        raise InvalidCalibrationRecord(f"{Path(path).name} is not a signed calibration record: {error}") from error
    return open_record(signed, seal, now=measured_at)


def _read(path: str | Path) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidCalibrationRecord(f"{Path(path).name} cannot be read: {error}") from error


def _canonical(content: Any) -> bytes:
    """The bytes that are signed; raises InvalidCalibrationRecord for what is not JSON."""
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidCalibrationRecord(f"the record is not JSON: {error}") from error
    return text.encode()
