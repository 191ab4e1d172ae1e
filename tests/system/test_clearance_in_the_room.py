"""A room with something in the way: the session's motion is refused, and by the couch's own truth nothing has moved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isoalign.devices.client import DeviceClient
from isoalign.errors import RemoteError
from isoalign.records import Outcome
from isoalign.room.settings import ClearanceSettings

pytestmark = [pytest.mark.system, pytest.mark.timeless, pytest.mark.timeout(300)]

# The set-up position is 0 / 700 / -120: the table top's head end lies at Y = 700, its surface at Z = -120. The skin of
# the phantom reaches from -98 to 68 in X, to 93 in Y and to 110 in Z.
TABLE_TOP = {"name": "table top", "frame": "table_top", "low": (-265, -2000, -50), "high": (265, 0, 0)}
WALL = {"name": "wall", "frame": "fixed", "low": (-300, 720, -400), "high": (300, 800, 400)}
NEAR_THE_HEAD = {"name": "lamp", "frame": "fixed", "low": (-60, 120, 0), "high": (60, 200, 300)}
FAR_AWAY = {"name": "post", "frame": "fixed", "low": (700, -300, -400), "high": (750, -200, 400)}


def body(name: str, frame: str, low: tuple[float, ...], high: tuple[float, ...]) -> dict[str, Any]:
    corners = [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    return {"name": name, "frame": frame, "vertices_mm": corners}


@pytest.fixture
def room_with(simulated_room: Callable[..., Any], start_room: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """A started room whose model has the table top and one more body, with its patient loaded."""

    async def begin(obstacle: dict[str, Any]) -> Any:
        path = tmp_path / "model.json"
        path.write_text(json.dumps({"parts": [body(**TABLE_TOP), body(**obstacle)], "uncertainty_mm": 0.0}))
        clearance = ClearanceSettings(model=str(path), required_mm=20.0)
        running = await start_room(simulated_room(clearance=clearance))
        await running.load()
        return running

    return begin


async def refused(running: Any) -> RemoteError:
    """The motion to the set-up position is refused; by the couch's own truth nothing has moved."""
    before = running.truth()
    with pytest.raises(RemoteError) as caught:
        await running.move_to_setup()
    after = running.truth()
    assert after["standstill"]
    assert after["position"] == pytest.approx(before["position"], abs=0.02)
    return caught.value


async def test_something_in_the_way_of_the_table_top(room_with: Callable[..., Any]) -> None:
    running = await room_with(WALL)
    error = await refused(running)
    assert error.remote_code == "device.clearance-too-small"
    assert "table top and wall keep only" in error.message
    assert "table top stands at lateral" in error.message
    assert error.hint
    record = await running.client.record()
    assert record.outcome is Outcome.HELD
    assert record.message == error.message
    assert record.motions[-1].refusal == error.message
    assert record.arrived is None


async def test_something_in_the_way_of_the_patient_alone(room_with: Callable[..., Any]) -> None:
    running = await room_with(NEAR_THE_HEAD)
    error = await refused(running)
    assert error.remote_code == "device.clearance-too-small"
    assert error.facts["parts"][0].startswith("patient")
    assert error.facts["parts"][1] == "lamp"


async def test_planted_fault_the_hull_is_not_placed(room_with: Callable[..., Any]) -> None:
    """Whoever forgets the patient finds the same way clear: the test above can fail, and the room sees it."""
    running = await room_with(NEAR_THE_HEAD)
    async with await DeviceClient.connect(running.room.daemon_socket, client="fault") as other:
        await other.place_patient([])
        setup = running.room.settings.session_settings().default_setup
        plan = await other.prepare(setup)
        assert plan.clearance is not None, "without the hull nothing is in the way"
        assert plan.clearance.unchecked == (("patient", "lamp"),)
    error = await refused(running)
    assert error.remote_code == "room.patient-not-checked"


async def test_a_clear_way_is_gone_and_the_record_tells_how_near_it_came(room_with: Callable[..., Any]) -> None:
    running = await room_with(FAR_AWAY)
    await running.move_to_setup()
    setup = running.room.settings.session_settings().default_setup
    assert running.truth()["position"] == pytest.approx(list(setup.values), abs=0.1)
    record = await running.client.record()
    [motion] = record.motions
    assert motion.clearance is not None
    assert motion.clearance.parts == ("table top", "post")
    # the plate's edge at X = 265 is 435 mm from the post all the way
    assert motion.clearance.least_mm == pytest.approx(435.0, abs=2.0)
    assert "immobilisation" in motion.not_checked


async def test_reloading_places_the_patient_anew(room_with: Callable[..., Any]) -> None:
    running = await room_with(NEAR_THE_HEAD)
    async with await DeviceClient.connect(running.room.daemon_socket, client="fault") as other:
        await other.place_patient([])
    await running.load()
    assert (await refused(running)).remote_code == "device.clearance-too-small"
