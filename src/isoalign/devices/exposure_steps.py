"""What the drivers of generator and panel share: one step of an exposure, and the errors that it may end with."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from isoalign.devices.config import TcpAddress
from isoalign.devices.errors import DeviceRefused, ExposureFailed, ImageIncomplete, ImagerSilent, LinkLost
from isoalign.devices.link import DeviceLink
from isoalign.devices.transport import TcpTransport, Transport
from isoalign.protocol.errors import FrameError
from isoalign.protocol.messages import DeviceKind, GeneratorFault, PanelFault


@contextlib.asynccontextmanager
async def exposure_step(imager: str, doing: str, link: DeviceLink) -> AsyncIterator[None]:
    """Turns what goes wrong in one step into an error that names imager, device and step.

    Raises
    ------
    ImagerSilent, ImageIncomplete, ExposureFailed
    """
    where = {"imager": imager, "device": link.name, "step": doing}
    try:
        yield
    except TimeoutError as error:
        raise ImagerSilent(f"{link.name} did not finish {doing} in time", **where) from error
    except LinkLost as error:
        raise ImagerSilent(f"{link.name} fell silent while {doing}: {error.message}", **where) from error
    except FrameError as error:
        raise ImageIncomplete(f"{link.name}: {error.message}", **where) from error
    except DeviceRefused as error:
        fault = _fault_name(link, int(error.facts.get("detail", 0)))
        raise ExposureFailed(f"{error.message}{fault} while {doing}", **where) from error


def opener(address: TcpAddress, name: str) -> Callable[[], Awaitable[Transport]]:
    """Opens the TCP connection of a device."""

    async def open_line() -> Transport:
        return await TcpTransport.open(address.host, address.port, name=name)

    return open_line


def _fault_name(link: DeviceLink, detail: int) -> str:
    faults = GeneratorFault if link.session.kind is DeviceKind.GENERATOR else PanelFault
    with contextlib.suppress(ValueError):
        fault = faults(detail)
        return "" if fault == 0 else f" ({fault.name})"
    return ""
