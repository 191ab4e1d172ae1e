"""Results are never lost: an archive that is away gets them when it is back, and gets them once."""

from __future__ import annotations

import pytest

from isoalign.errors import RemoteError
from isoalign.room.archives import start_archive
from isoalign.storage import Database, OutboxState

pytestmark = [pytest.mark.system, pytest.mark.timeless]


def queued_states(room) -> list[OutboxState]:
    with Database(room.settings.storage.folder / "isoalign.db", owner=False) as database:
        return [entry.state for entry in database.outbox.entries()]


async def test_archive_that_is_away_when_the_results_are_sent(running_room) -> None:
    room, client = running_room.room, running_room.client
    await running_room.load()
    await running_room.move_to_setup()
    await client.act("image_and_match")
    address = room.settings.dicom.archive
    room.processes["archive"].kill()
    with pytest.raises(RemoteError) as caught:
        await client.act("export")
    assert caught.value.remote_code == "dicom.peer-unreachable"
    assert queued_states(room) == [OutboxState.QUEUED] * 3

    back = start_archive(
        room.archive_kind, room.processes, room.output / "second", room.settings.dicom, port=address.port
    )
    assert back.port == address.port
    sent = await client.act("export")
    assert [item["status"] for item in sent["objects"]] == ["stored"] * 3
    assert queued_states(room) == [OutboxState.SENT] * 3
    stored = list((room.output / "second" / "archive").rglob("*.dcm"))
    assert sorted(path.stem for path in stored) == sorted(item["sop_instance_uid"] for item in sent["objects"])
