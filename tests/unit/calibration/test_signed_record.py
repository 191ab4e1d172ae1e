"""Signed records: what a room takes, and everything that it must not take."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from isoalign.calibration.errors import (
    GateFailed,
    InvalidCalibrationRecord,
    InvalidRoomKey,
    RecordExpired,
    RecordForeign,
    RecordTampered,
)
from isoalign.calibration.signed_record import (
    CalibrationRecord,
    RoomKey,
    RoomSeal,
    open_record,
    read_record,
    sign_record,
    write_record,
)

MEASURED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
NOW = MEASURED + timedelta(days=3)
KEY = RoomKey.generate()
RECORD = CalibrationRecord(
    kind="couch walk-out",
    version=1,
    method="known-angle rigid fit",
    measured_at=MEASURED,
    valid_until=MEASURED + timedelta(days=30),
    devices={"couch": "C-7", "imager A": "P-1"},
    inputs_sha256=hashlib.sha256(b"inputs").hexdigest(),
    result={"axis_mm": [0.1, -0.25], "tilt_deg": None},
    residuals={"rms_mm": 0.07},
    covariance=[[0.01, 0.0], [0.0, 0.012]],
    gates={"residual_mm": {"limit": 0.2, "reached": 0.07}},
    notes={"operator": "ÄÖ"},
)


def open_(signed: Any, **changes: Any) -> CalibrationRecord:
    return open_record(signed, **({"seal": KEY.seal, "kind": RECORD.kind, "now": NOW} | changes))


def signed() -> dict[str, Any]:
    """As it comes back from a file."""
    return dict(json.loads(json.dumps(sign_record(RECORD, KEY))))


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    path = write_record(RECORD, tmp_path / "record.json", KEY)
    devices = {"couch": "C-7"}
    assert read_record(path, KEY.seal, kind=RECORD.kind, now=NOW, devices=devices) == RECORD
    assert [one.name for one in tmp_path.iterdir()] == ["record.json"]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        return [one for key, inner in value.items() for one in leaves(inner, (*path, key))]
    if isinstance(value, list) and value:
        return [one for index, inner in enumerate(value) for one in leaves(inner, (*path, index))]
    return [path]


@pytest.mark.parametrize("path", leaves(RECORD.to_content()), ids=lambda path: ".".join(map(str, path)))
def test_any_change_is_noticed_also_with_its_hash_made_anew(path: tuple[Any, ...]) -> None:
    changed = signed()
    where = changed["content"]
    for key in path[:-1]:
        where = where[key]
    old = where[path[-1]]
    where[path[-1]] = old + 1 if isinstance(old, int | float) else "2027-01-01T00:00:00+00:00"
    content = json.dumps(changed["content"], sort_keys=True).encode()
    changed["sha256"] = hashlib.sha256(content).hexdigest()
    with pytest.raises(RecordTampered):
        open_(changed)


def test_what_is_left_out_or_added_is_noticed() -> None:
    for act in (lambda content: content.pop("covariance"), lambda content: content.update(more=1)):
        changed = signed()
        act(changed["content"])
        with pytest.raises(RecordTampered):
            open_(changed)


def test_a_record_of_another_room_is_refused() -> None:
    stranger = RoomKey.generate()
    foreign = sign_record(RECORD, stranger)
    with pytest.raises(RecordForeign, match=stranger.seal.key_id):
        open_(foreign)
    foreign["signature"]["key_id"] = KEY.seal.key_id  # claims to be ours
    with pytest.raises(RecordTampered):
        open_(foreign)


def test_a_record_of_another_device_is_refused() -> None:
    assert open_(signed(), devices={"imager A": "P-1", "couch": "C-7"}) == RECORD
    with pytest.raises(RecordForeign, match="C-7, not to couch C-8"):
        open_(signed(), devices={"couch": "C-8"})
    with pytest.raises(RecordForeign, match="imager B"):
        open_(signed(), devices={"imager B": "P-2"})


@pytest.mark.parametrize(
    ("now", "good"),
    [
        (MEASURED - timedelta(minutes=6), False),
        (MEASURED - timedelta(minutes=4), True),
        (MEASURED, True),
        (RECORD.valid_until, True),
        (RECORD.valid_until + timedelta(seconds=1), False),
    ],
)
def test_validity(now: datetime, good: bool) -> None:
    if good:
        assert open_(signed(), now=now) == RECORD
    else:
        with pytest.raises(RecordExpired, match="2026-03-01"):
            open_(signed(), now=now)


def test_a_record_of_another_procedure_is_refused() -> None:
    with pytest.raises(InvalidCalibrationRecord, match="couch walk-out, not of detector"):
        open_(signed(), kind="detector")


def test_a_record_whose_gates_failed_is_not_signed() -> None:
    with pytest.raises(GateFailed, match="too large"):
        sign_record(replace(RECORD, failures=("residual too large",)), KEY)


@pytest.mark.parametrize(
    "what", [None, [], {}, {"format": "x", "version": 1}, {"format": "isoalign calibration record"}]
)
def test_what_is_no_record_is_refused(what: Any) -> None:
    with pytest.raises(InvalidCalibrationRecord):
        open_(what)


@pytest.mark.parametrize("value", ["", "not base64!", "AAAA"])
def test_a_damaged_signature_is_refused(value: str) -> None:
    changed = copy.deepcopy(signed())
    changed["signature"]["value"] = value
    with pytest.raises((InvalidCalibrationRecord, RecordTampered)):
        open_(changed)


def test_numbers_that_are_none_are_not_signed() -> None:
    with pytest.raises(InvalidCalibrationRecord):
        sign_record(replace(RECORD, result={"axis_mm": [float("nan")]}), KEY)


def test_moments_need_a_time_zone_and_an_order() -> None:
    with pytest.raises(InvalidCalibrationRecord, match="time zone"):
        replace(RECORD, measured_at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
    with pytest.raises(InvalidCalibrationRecord, match="end before"):
        replace(RECORD, valid_until=MEASURED)


def test_file_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidCalibrationRecord, match=r"none\.json"):
        read_record(tmp_path / "none.json", KEY.seal, kind=RECORD.kind, now=NOW)
    with pytest.raises(InvalidCalibrationRecord, match="cannot be written"):
        write_record(RECORD, tmp_path / "no folder" / "record.json", KEY)


def test_key_files(tmp_path: Path) -> None:
    private, public = KEY.save(tmp_path / "room.key")
    assert private.stat().st_mode & 0o777 == 0o600
    assert RoomSeal.load(public).key_id == RoomKey.load(private).seal.key_id == KEY.seal.key_id
    with pytest.raises(InvalidRoomKey, match="cannot be written"):
        RoomKey.generate().save(private)
    assert RoomKey.load(private).seal.key_id == KEY.seal.key_id
    for wrong in (public, tmp_path / "none"):
        with pytest.raises(InvalidRoomKey):
            RoomKey.load(wrong)
    with pytest.raises(InvalidRoomKey):
        RoomSeal.load(private)


def test_key_of_another_kind(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1())
    (tmp_path / "k").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "k.pub").write_bytes(public)
    with pytest.raises(InvalidRoomKey, match="another kind"):
        RoomKey.load(tmp_path / "k")
    with pytest.raises(InvalidRoomKey, match="another kind"):
        RoomSeal.load(tmp_path / "k.pub")
    assert "PRIVATE" not in repr(KEY)


def test_a_record_can_be_read_by_who_uses_it(tmp_path: Path) -> None:
    """Regression: records were readable by whoever had calibrated, and by nobody else."""
    before = os.umask(0o022)
    try:
        path = write_record(RECORD, tmp_path / "record.json", KEY)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
