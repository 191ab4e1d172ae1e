"""Opening associations, with every way to fail told apart."""

from __future__ import annotations

import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.presentation import PresentationContext, build_context

from isoalign.dicom import identity
from isoalign.dicom.errors import (
    AssociationAborted,
    AssociationRefused,
    EchoFailed,
    NoFreeAssociation,
    PeerTimeout,
    PeerUnreachable,
    RetrieveCancelled,
    TlsUnusable,
)
from isoalign.dicom.node.adaptation import ParkingEntity, finish
from isoalign.dicom.node.settings import NodeSettings, Peer
from isoalign.dicom.node.tls import has_certificate_of

REJECT_REASONS = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given (protocol)",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}
"""(source, reason) of A-ASSOCIATE-RJ; DICOM PS3.8 table 9-21."""


RELEASE_TIMEOUT_S = 2.0
"""For the answer to a release request after a time-out or a cancelled retrieval: the peer may be past answering."""


class _Slots:
    """Counts the associations that this process has open under each AE title."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def one(self, settings: NodeSettings) -> Iterator[None]:
        """Wait for a free slot and hold it."""
        title, most = settings.ae_title, settings.maximum_associations
        with self._changed:
            if not self._changed.wait_for(lambda: self._open[title] < most, settings.association_timeout_s):
                waited_s = settings.association_timeout_s
                raise NoFreeAssociation(
                    f"{most} associations of {title} are open, and none has ended for {waited_s:g} s", most=most
                )
            self._open[title] += 1
        try:
            yield
        finally:
            with self._changed:
                self._open[title] -= 1
                self._changed.notify_all()


_SLOTS = _Slots()


@contextmanager
def association(
    peer: Peer,
    settings: NodeSettings,
    contexts: list[PresentationContext],
    *,
    handlers: Sequence[EventHandlerType] = (),
    negotiation: Sequence[Any] = (),
) -> Iterator[Association]:
    """An established association; released at the end and after a time-out, aborted when the block raises.

    At most ``settings.maximum_associations`` are open at a time; others wait.

    Parameters
    ----------
    handlers
        Further pynetdicom handlers.
    negotiation
        Extended negotiation items (role selection).

    Raises
    ------
    PeerUnreachable, AssociationRefused, AssociationAborted, PeerTimeout, NoFreeAssociation, TlsUnusable
    """
    entity = ParkingEntity(
        settings.ae_title,
        settings.pdu_bytes,
        send_pdu_bytes=settings.send_pdu_bytes,
        pdu_timeout_s=settings.response_timeout_s,
    )
    entity.connection_timeout = settings.connect_timeout_s
    entity.acse_timeout = settings.association_timeout_s
    entity.dimse_timeout = settings.response_timeout_s
    entity.network_timeout = max(settings.response_timeout_s, settings.association_timeout_s)
    with _SLOTS.one(settings):
        established = _open(entity, peer, settings, contexts, handlers, negotiation)
        try:
            yield established
        except (PeerTimeout, RetrieveCancelled):
            established.acse_timeout = min(settings.association_timeout_s, RELEASE_TIMEOUT_S)
            raise
        except BaseException:
            established.abort()
            raise
        finally:
            finish(established)


def _open(
    entity: AE,
    peer: Peer,
    settings: NodeSettings,
    contexts: list[PresentationContext],
    handlers: Sequence[EventHandlerType],
    negotiation: Sequence[Any],
) -> Association:
    connected = False

    def note(_: Event) -> None:
        nonlocal connected
        connected = True

    started_s = time.monotonic()
    made = entity.associate(
        peer.host,
        peer.port,
        contexts=contexts,
        ae_title=peer.ae_title,
        max_pdu=settings.pdu_bytes,
        evt_handlers=[(evt.EVT_CONN_OPEN, note), *handlers],
        ext_neg=list(negotiation),
        tls_args=_tls(peer, settings),
    )
    if made.is_established:
        transport = made.dul.socket
        if not has_certificate_of(None if transport is None else transport.socket, peer.certificates):
            made.abort()
            finish(made)
            raise TlsUnusable(
                f"{peer} shows a certificate that is not one of those that its configuration names", peer=str(peer)
            )
        return made
    elapsed_s = time.monotonic() - started_s
    rejected, answer = made.is_rejected, made.acceptor.primitive
    finish(made)
    if not connected:
        hint = "Check the certificates of both sides too." if peer.tls else None
        raise PeerUnreachable(
            f"nothing answers for {peer}" + (" over TLS" if peer.tls else ""), hint=hint, peer=str(peer)
        )
    if rejected and answer is not None:
        key = (int(answer.result_source or 0), int(answer.diagnostic or 0))
        reason = REJECT_REASONS.get(key, f"source {key[0]}, reason {key[1]}")
        raise AssociationRefused(
            f"{peer} refuses the association of {settings.ae_title}: {reason}",
            peer=str(peer),
            calling_ae_title=settings.ae_title,
            reason=reason,
        )
    if answer is not None and answer.result == 0:
        names = ", ".join(str(getattr(context.abstract_syntax, "name", "?")) for context in contexts)
        raise AssociationRefused(
            f"{peer} accepts the association but none of the services asked for: {names}",
            hint="Enable these services in the peer.",
            peer=str(peer),
        )
    if elapsed_s >= settings.association_timeout_s:
        raise PeerTimeout(
            f"{peer} did not answer the association request within {settings.association_timeout_s:g} s",
            peer=str(peer),
            timeout_s=settings.association_timeout_s,
        )
    raise AssociationAborted(f"{peer} closed the connection instead of answering the association request")


def _tls(peer: Peer, settings: NodeSettings) -> tuple[ssl.SSLContext, str] | None:
    if not peer.tls:
        return None
    if settings.tls is None:
        raise TlsUnusable(f"{peer} is to be called over TLS, and this node has no certificate")
    return settings.tls.user_context(), peer.host


def no_answer(peer: Peer, what: str, settings: NodeSettings, waited_s: float) -> PeerTimeout | AssociationAborted:
    """The error for a DIMSE request that got no response: time-out or cut association."""
    if waited_s >= settings.response_timeout_s * 0.95:
        return PeerTimeout(
            f"{peer} did not answer {what} within {settings.response_timeout_s:g} s",
            peer=str(peer),
            timeout_s=settings.response_timeout_s,
        )
    return AssociationAborted(f"{peer} cut the association during {what}", peer=str(peer))


def echo(peer: Peer, settings: NodeSettings | None = None) -> float:
    """C-ECHO; returns the round trip in seconds.

    Raises
    ------
    PeerUnreachable, AssociationRefused, AssociationAborted, PeerTimeout, EchoFailed
    """
    settings = settings or NodeSettings()
    with association(peer, settings, [build_context(identity.VERIFICATION)]) as established:
        started_s = time.monotonic()
        status = established.send_c_echo()
        elapsed_s = time.monotonic() - started_s
        if "Status" not in status:
            raise no_answer(peer, "C-ECHO", settings, elapsed_s)
        if status.Status != 0x0000:
            raise EchoFailed(f"{peer} answers C-ECHO with status {status.Status:04X}", status=f"{status.Status:04X}")
        return elapsed_s
