"""A defect in the daemon itself: the devices are stopped first, then the process ends with an error."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from unittest import mock

from isoalign.devices import daemon as daemon_module
from isoalign.devices.config import DaemonConfig
from isoalign.devices.daemon import DeviceDaemon, serve
from isoalign.devices.ipc import IpcClient


async def test_defect_stops_everything_and_ends_the_process(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    with mock.patch.object(daemon_module.gc, "freeze"), mock.patch.object(DeviceDaemon, "emergency") as emergency:
        serving = asyncio.create_task(serve(DaemonConfig(socket=tmp_path / "d"), stay=True))
        async with asyncio.timeout(10):
            while not (tmp_path / "d").exists():
                await asyncio.sleep(0.001)
        async with await IpcClient.connect(tmp_path / "d") as client:
            assert (await client.call("status"))["activity"] == "idle"
            loop.call_soon(lambda: 1 / 0)
            assert await asyncio.wait_for(serving, 10) == 1
        emergency.assert_called_once_with()
    assert not (tmp_path / "d").exists()
    loop.set_exception_handler(None)
    gc.collect()
