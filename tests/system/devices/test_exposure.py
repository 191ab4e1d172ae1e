"""Images of the imager simulators through the daemon: whole and right, or a typed error that names device and step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from isoalign.devices.client import DeviceClient
from isoalign.devices.status import WAITING_FOR_ENABLE
from isoalign.errors import RemoteError
from isoalign.geometry import Representation, TableTopPosition
from isoalign.records import Technique
from isoalign.simulators.lockstep import clock_of_the_loop

pytestmark = [pytest.mark.system, pytest.mark.lockstep]

TECHNIQUE = Technique(100.0, 80.0, 40.0)
ROWS, COLUMNS = 200, 120


async def start_imagers(room: Any, names: str) -> dict[str, Any]:
    size = ("--rows", str(ROWS), "--columns", str(COLUMNS))
    return {name: await room.start("isoalign.simulators", "imager", "--name", name, *size) for name in names}


def addresses(imagers: dict[str, Any]) -> list[dict[str, Any]]:
    parts = ("generator", "panel", "image")
    return [{"name": name, **{part: child.ready[part] for part in parts}} for name, child in imagers.items()]


@pytest.fixture
async def imaging_room(bare_room: Any) -> AsyncIterator[tuple[Any, dict[str, Any], DeviceClient]]:
    """Two imagers and a daemon without couch and pendant, as an imager calibration uses it."""
    imagers = await start_imagers(bare_room, "AB")
    await bare_room.start_daemon(imagers=addresses(imagers), couch=None, pendant=None, exposure_limit_s=5.0)
    async with await bare_room.connect(clear=False) as client:
        yield bare_room, imagers, client


def flat_field() -> np.ndarray:
    """What the simulated panel shows without a scene: 12000 counts in the middle, a fifth less at each edge."""
    y = np.linspace(-1, 1, ROWS)[:, None]
    x = np.linspace(-1, 1, COLUMNS)[None, :]
    return 12000 * (1 - 0.2 * (x**2 + y**2))


async def failure_of(client: DeviceClient, names: str = "AB") -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        await asyncio.wait_for(client.expose(names, TECHNIQUE), 20)
    return caught.value


async def test_pair_of_images_is_whole_and_right(imaging_room: Any) -> None:
    _, _, client = imaging_room
    images = await client.expose(["B", "A"], TECHNIQUE)
    now = clock_of_the_loop().utc()
    assert [image.imager for image in images] == ["B", "A"]
    for image in images:
        assert image.pixels.shape == (ROWS, COLUMNS)
        assert image.pixels.dtype == np.uint16
        assert not image.pixels.flags.writeable
        noise = image.pixels - flat_field()
        assert abs(noise.mean()) < 2.0
        assert 35 < noise.std() < 45
        assert image.technique.tube_voltage_kv == pytest.approx(100, rel=0.03)
        assert image.technique.tube_current_ma == pytest.approx(80, rel=0.05)
        assert image.technique.exposure_time_ms == pytest.approx(40, rel=0.1)
        assert image.technique != TECHNIQUE  # measured, not what was asked for
        assert image.table_top is None
        assert timedelta(0) <= now - image.acquired_at < timedelta(seconds=5)
    (again,) = await client.expose(["A"], TECHNIQUE)
    assert again.exposure_id > max(image.exposure_id for image in images)
    assert not np.array_equal(again.pixels, images[1].pixels)


async def test_lost_and_damaged_parts_are_asked_for_again(imaging_room: Any) -> None:
    _, imagers, client = imaging_room
    await imagers["A"].ask(do="fault", name="drop_chunk", count=2)
    await imagers["B"].ask(do="fault", name="corrupt_chunk", count=1)
    for image in await client.expose("AB", TECHNIQUE):
        assert (image.pixels - flat_field()).std() < 45


async def test_image_that_never_becomes_whole_is_not_delivered(imaging_room: Any) -> None:
    _, imagers, client = imaging_room
    await imagers["A"].ask(do="fault", name="drop_chunk", count=10_000)
    error = await failure_of(client, "A")
    assert error.remote_code in {"device.image-incomplete", "device.imager-silent"}
    await imagers["A"].ask(do="clear", name="drop_chunk")
    assert len(await client.expose("A", TECHNIQUE)) == 1


@pytest.mark.parametrize(
    ("fault", "code", "device", "step"),
    [
        ({"name": "silent", "device": "panel"}, "device.imager-silent", "panel A", "arming"),
        ({"name": "silent", "device": "generator"}, "device.imager-silent", "generator A", "preparing"),
        ({"name": "no_ready"}, "device.exposure-failed", "generator A", "preparing"),
        ({"name": "expose_fails"}, "device.exposure-failed", "generator A", "exposing"),
        ({"name": "no_frame"}, "device.exposure-failed", "panel A", "reading out"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else None,
)
async def test_failure_names_device_and_step(
    imaging_room: Any, fault: dict[str, str], code: str, device: str, step: str
) -> None:
    _, imagers, client = imaging_room
    await imagers["A"].ask(do="fault", **fault)
    error = await failure_of(client)
    assert error.remote_code == code
    assert device in error.message
    assert step in error.message
    assert error.hint
    status = await client.status()
    assert status.activity == "idle"
    # once the device works again, so does the room: no restart
    await imagers["A"].ask(do="clear", **fault)
    async with asyncio.timeout(10):
        while set((await client.status()).links.values()) != {"up"}:
            await asyncio.sleep(0.01)
    assert len(await client.expose("AB", TECHNIQUE)) == 2


async def test_imager_goes_away(imaging_room: Any) -> None:
    room, imagers, client = imaging_room
    await room.end(imagers["B"])
    error = await failure_of(client)
    assert error.remote_code == "device.imager-silent"
    assert " B" in error.message


@pytest.mark.parametrize("names", ["C", "", "AA"])
async def test_unknown_imager(imaging_room: Any, names: str) -> None:
    _, _, client = imaging_room
    error = await failure_of(client, names)
    assert error.remote_code == "device.unknown-imager"


async def test_no_motion_without_a_couch(imaging_room: Any) -> None:
    _, _, client = imaging_room
    with pytest.raises(RemoteError) as caught:
        await client.prepare(TableTopPosition(Representation.IEC_61217, 0, 0, 0))
    assert caught.value.remote_code == "device.not-present"
    assert (await client.status()).mode == "ABSENT"


async def test_motion_and_exposure_exclude_each_other(
    bare_room: Any, start_machines: Callable[[Any], Awaitable[None]]
) -> None:
    await start_machines(bare_room)
    imagers = await start_imagers(bare_room, "A")
    await bare_room.start_daemon(imagers=addresses(imagers))
    target = TableTopPosition(Representation.IEC_61217, 50.0, 800.0, -100.0)
    async with await bare_room.connect() as client:
        plan = await client.prepare(target)
        exposing = asyncio.create_task(client.expose("A", TECHNIQUE))
        async with asyncio.timeout(10):
            while (await client.status()).activity != "exposure":
                await asyncio.sleep(0.001)
        with pytest.raises(RemoteError) as caught:
            await anext(client.execute(plan))
        assert caught.value.remote_code == "device.busy"
        (image,) = await exposing
        assert image.table_top is not None
        assert image.table_top.values == pytest.approx((0, 700, -120, 0, 0, 0), abs=0.05)
        moving = client.execute(await client.prepare(target))
        assert (await anext(moving)).phase == WAITING_FOR_ENABLE
        assert (await failure_of(client, "A")).remote_code == "device.busy"
        await bare_room.press_anew()
        await bare_room.until_fast()
        assert (await failure_of(client, "A")).remote_code == "device.busy"
        await moving.aclose()


async def test_hold_ends_an_exposure(imaging_room: Any) -> None:
    _, _, client = imaging_room
    exposing = asyncio.create_task(failure_of(client, "A"))
    async with asyncio.timeout(10):
        while (await client.status()).activity != "exposure":
            await asyncio.sleep(0.001)
    await client.hold("somebody came in")
    error = await exposing
    assert error.remote_code == "device.interlock-open"
    assert "somebody came in" in error.message
    assert (await failure_of(client, "A")).remote_code == "device.interlock-open"
    assert await client.clear("nobody is inside", "Test") == ("start-up", "hold")
    assert len(await client.expose("A", TECHNIQUE)) == 1


async def test_dark_frames_come_without_xrays(imaging_room: Any) -> None:
    """180 counts and the noise of the electronics; under numbers of their own, and none of them is an exposure."""
    _, imagers, client = imaging_room
    first = await client.read_dark(["B", "A"])
    second = await client.read_dark(["A"])
    assert [one.imager for one in first] == ["B", "A"]
    for one in (*first, *second):
        assert one.pixels.shape == (ROWS, COLUMNS)
        assert abs(float(one.pixels.mean()) - 180.0) < 1.0
        assert 2.0 < float(one.pixels.std()) < 4.0
    assert len({one.frame_number for one in (*first, *second)}) == 3
    assert second[0].read_at >= first[1].read_at
    for child in imagers.values():
        assert (await child.ask(do="truth"))["exposures"] == 0
    [image] = await client.expose(["A"], TECHNIQUE)
    assert image.read_at is not None
    assert image.read_at >= image.acquired_at


async def test_a_panel_that_cannot_read_a_dark_frame_is_named(imaging_room: Any) -> None:
    _, imagers, client = imaging_room
    await imagers["B"].ask(do="fault", name="no_frame")
    with pytest.raises(RemoteError) as caught:
        await asyncio.wait_for(client.read_dark("AB"), 20)
    assert caught.value.remote_code == "device.exposure-failed"
    assert "panel B" in str(caught.value)
    await imagers["B"].ask(do="clear", name="no_frame")
    assert len(await asyncio.wait_for(client.read_dark("AB"), 20)) == 2
