"""Configurations of real archives that can take the place of the embedded one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MOVE_ASSOCIATIONS = 10
PDU_BYTES = 131_072


def orthanc_configuration(
    ae_title: str, port: int, store: Path, destinations: dict[str, tuple[str, int]]
) -> dict[str, Any]:
    """The configuration of an Orthanc without HTTP and plugins, to be written as JSON.

    Parameters
    ----------
    destinations : dict
        AE title to (host, port) of every peer that may store, and that C-MOVE may send to.
    """
    return {
        "Name": "isoalign archive",
        "StorageDirectory": str(store),
        "IndexDirectory": str(store),
        "HttpServerEnabled": False,
        "RemoteAccessAllowed": False,
        "DicomAet": ae_title,
        "DicomPort": port,
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowEcho": True,
        "DicomModalities": {
            f"peer{number}": {
                "AET": title,
                "Host": host,
                "Port": peer_port,
                "AllowMove": True,
                "AllowStore": True,
                "AllowEcho": True,
            }
            for number, (title, (host, peer_port)) in enumerate(destinations.items(), start=1)
        },
        "SynchronousCMove": True,
        "TranscodeDicomProtocol": False,
        "MaximumPduLength": PDU_BYTES,
        "SaveJobs": False,
        "Plugins": [],
    }


def dcmqrscp_configuration(ae_title: str, port: int, store: Path, destinations: dict[str, tuple[str, int]]) -> str:
    """The configuration file of DCMTK's dcmqrscp; arguments as in :func:`orthanc_configuration`.

    Start with ``TCP_NODELAY=1`` in the environment; without it dcmqrscp waits 40 ms per object.
    """
    hosts = "\n".join(
        f"peer{number} = ({title}, {host}, {peer_port})"
        for number, (title, (host, peer_port)) in enumerate(destinations.items(), start=1)
    )
    return f"""NetworkTCPPort = {port}
MaxPDUSize = {PDU_BYTES}
MaxAssociations = {MOVE_ASSOCIATIONS}

HostTable BEGIN
{hosts}
HostTable END

VendorTable BEGIN
VendorTable END

AETable BEGIN
{ae_title} {store} RW (10000, 4096mb) ANY
AETable END
"""
