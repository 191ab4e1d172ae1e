"""The settings of the DICOM node, as ``room.toml`` states them."""

from __future__ import annotations

import socket
from dataclasses import replace

from isoalign.dicom.node import Caller, Elsewhere, NodeSettings, Peer, ReceiverSettings, TlsSettings
from isoalign.room.errors import SettingsInvalid
from isoalign.room.settings import DicomSettings, InRoomCtSettings, PeerSettings


def peer(settings: PeerSettings) -> Peer:
    """A peer as the node wants it."""
    return Peer(settings.ae_title, settings.host, settings.port, settings.tls, settings.certificates)


def tls(settings: DicomSettings) -> TlsSettings | None:
    """Our certificates, when there are any."""
    files = settings.tls
    return None if files is None else TlsSettings(files.certificate, files.key, files.trusted, files.check_host_name)


def user(settings: DicomSettings) -> NodeSettings:
    """How the room opens associations."""
    return NodeSettings(
        ae_title=settings.ae_title,
        association_timeout_s=settings.association_timeout_s,
        response_timeout_s=settings.response_timeout_s,
        pdu_bytes=settings.receive_pdu_bytes,
        send_pdu_bytes=settings.send_pdu_bytes,
        maximum_associations=settings.maximum_associations,
        tls=tls(settings),
    )


def provider(settings: DicomSettings) -> ReceiverSettings:
    """How the room listens: only the archive may call, and only from its own addresses."""
    addresses = settings.addresses or addresses_of(settings.archive)
    return ReceiverSettings(
        ae_title=settings.ae_title,
        host=settings.host,
        port=settings.port,
        callers=(Caller(settings.archive.ae_title, addresses, settings.archive.certificates),),
        accept_any=settings.accept == "any",
        pdu_bytes=settings.receive_pdu_bytes,
        tls=tls(settings),
    )


def in_room_ct(settings: DicomSettings, scanner: InRoomCtSettings) -> tuple[ReceiverSettings, Elsewhere | None]:
    """How the provider for the in-room CT listens, and where results go when the scanner has left (None: nowhere)."""
    receiving = ReceiverSettings(
        ae_title=scanner.ae_title,
        host=settings.host,
        port=scanner.port,
        callers=(Caller(scanner.scanner.ae_title, addresses_of(scanner.scanner), scanner.scanner.certificates),),
        pdu_bytes=settings.receive_pdu_bytes,
        tls=tls(settings),
    )
    if not scanner.commitment_over_new_association:
        return receiving, None
    return receiving, Elsewhere(peer(scanner.scanner), replace(user(settings), ae_title=scanner.ae_title))


def addresses_of(settings: PeerSettings) -> tuple[str, ...]:
    """The IP addresses of a peer's host.

    Raises
    ------
    SettingsInvalid
        When the name is not known.
    """
    try:
        found = socket.getaddrinfo(settings.host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SettingsInvalid(
            f"the host {settings.host} of the DICOM peer {settings.ae_title} has no address: {error.strerror or error}",
            hint="Correct the name, or state the addresses in dicom.addresses.",
        ) from error
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))
