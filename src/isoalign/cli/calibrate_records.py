"""``isoalign calibrate new-key`` and ``verify``: the room's key, and records that are there already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

AsJson = Annotated[bool, Parameter(name="--json", negative="")]


def new_key(path: Path, /, *, as_json: AsJson = False) -> int:
    """Make the key with which a room signs its calibration records; done once per room.

    The private half is written for this user alone and stays with whoever calibrates. The public half, FILE.pub, is
    what the controller and everybody who verifies a record need. A key that is there is never overwritten.

    Parameters
    ----------
    path
        File of the private half.
    as_json
        Print one JSON document.
    """
    from isoalign.calibration import RoomKey

    key = RoomKey.generate()
    private, public = key.save(path)
    if as_json:
        facts = {"schema": "isoalign.room-key/1", "private": str(private), "public": str(public)}
        print(json.dumps({**facts, "key_id": key.seal.key_id}, indent=2))
    else:
        print(
            f"key {key.seal.key_id}\nprivate half: {private} (keep it with whoever calibrates)\npublic half:  {public}"
        )
    return 0


def verify(
    path: Path,
    /,
    *,
    seal: Path,
    device: tuple[str, ...] = (),
    as_json: AsJson = False,
) -> int:
    """Prove a record: that this room signed it, that nothing in it was changed, and that it is valid now.

    Parameters
    ----------
    path
        File of the record.
    seal
        Public half of the room's key.
    device
        ROLE=SERIAL of a device that the record must belong to; several times.
    as_json
        Print one JSON document.
    """
    from isoalign.calibration import RoomSeal, read_record
    from isoalign.cli.calibrate_outputs import Outputs
    from isoalign.clock import SystemClock

    serials = Outputs(device=device).serial_numbers()
    record = read_record(path, RoomSeal.load(seal), now=SystemClock().utc(), devices=serials)
    if as_json:
        print(json.dumps({"schema": "isoalign.calibration-verified/1", "record": record.to_content()}, indent=2))
        return 0
    print(f"✓ {record.kind}, measured {record.measured_at:%Y-%m-%d %H:%M %Z}, valid to {record.valid_until:%Y-%m-%d}")
    for role, serial in record.devices.items():
        print(f"  {role} {serial}{' (asked for)' if role in serials else ''}")
    return 0
