"""Generator and panel as simulators of their own, joined by the way of the X-rays: one image, or none without them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from isoalign.errors import RemoteError
from isoalign.records import Technique

pytestmark = pytest.mark.system

TECHNIQUE = Technique(100.0, 80.0, 40.0)
SIZE = ("--rows", "60", "--columns", "40")


@pytest.fixture
def start(bare_room: Any) -> Callable[..., Awaitable[Any]]:
    """Panel and generator, with or without a way for the X-rays, and a daemon that knows only their addresses."""

    async def begin(*, beam: bool = True) -> Any:
        room = bare_room
        room.panel = await room.start("isoalign.simulators", "panel", "--name", "A", *SIZE)
        truth = room.panel.ready["truth"]
        way = ("--beam", f"{truth['host']}:{truth['port']}") if beam else ()
        room.generator = await room.start("isoalign.simulators", "generator", "--name", "A", *way)
        address = {"generator": room.generator.ready["generator"], "panel": room.panel.ready["panel"]}
        await room.start_daemon(
            imagers=[{"name": "A", **address, "image": room.panel.ready["image"]}], exposure_limit_s=3.0
        )
        return room

    return begin


async def test_two_processes_make_one_image(start: Callable[..., Awaitable[Any]]) -> None:
    room = await start()
    async with await room.connect() as client:
        images = [(await client.expose(["A"], TECHNIQUE))[0] for _ in range(2)]
    assert images[0].pixels.shape == (60, 40)
    assert not np.array_equal(images[0].pixels, images[1].pixels)
    assert images[0].technique.tube_current_ma == pytest.approx(80.0, rel=0.02)
    panel, generator = await room.panel.ask(do="truth"), await room.generator.ask(do="truth")
    assert panel["exposures"] == 2
    assert ("generator" in panel, "panel" in generator) == (False, False)
    # each plays its own faults and no other's
    await room.generator.ask(do="fault", name="door_open")
    with pytest.raises(AssertionError, match="generator cannot play"):
        await room.generator.ask(do="fault", name="panel_hot")
    with pytest.raises(AssertionError, match="panel cannot play"):
        await room.panel.ask(do="fault", name="no_ready")


async def test_without_a_way_for_the_x_rays_there_is_no_image(start: Callable[..., Awaitable[Any]]) -> None:
    room = await start(beam=False)
    async with await room.connect() as client:
        with pytest.raises(RemoteError) as caught:
            await client.expose(["A"], TECHNIQUE)
    assert caught.value.remote_code in {"device.exposure-failed", "device.imager-silent"}
    assert (await room.panel.ask(do="truth"))["exposures"] == 0
    # half an exposure is none
    with pytest.raises(AssertionError, match="no exposure"):
        await room.panel.ask(do="beam", on=False, kv=100)
