"""Settings of the DICOM node. Times in seconds, sizes in bytes.

Defaults: tables 17 and 18 of the conformance statement, but for the largest PDU that is received.
"""

from __future__ import annotations

from dataclasses import dataclass

from isoalign.dicom.node.tls import TlsSettings, has_certificate_of, require_certificate_terms
from isoalign.errors import ConfigurationError

DEFAULT_AE_TITLE = "PTImageClient"
DEFAULT_PORT = 51_700
LEAST_PDU_BYTES = 4_096
LARGEST_PDU_BYTES = 16 * 1024 * 1024
"""Hard cap on the length of a PDU, also where none is announced (``pdu_bytes`` 0)."""


def _require_ae_title(ae_title: str) -> None:
    printable = ae_title.isascii() and ae_title.isprintable() and "\\" not in ae_title
    if not (printable and ae_title.strip() and len(ae_title) <= 16):
        raise ConfigurationError(
            f"{ae_title!r} is not an AE title", hint="Use 1 to 16 printable ASCII characters without backslash."
        )


def _require_pdu_bytes(name: str, value: int, *, unlimited: bool) -> None:
    if not (LEAST_PDU_BYTES <= value <= LARGEST_PDU_BYTES or (unlimited and value == 0)):
        allowed = f"{LEAST_PDU_BYTES} to {LARGEST_PDU_BYTES}" + (", or 0 for no announced limit" if unlimited else "")
        raise ConfigurationError(f"{name} {value} is out of range", hint=f"Use {allowed}.")


@dataclass(frozen=True, slots=True)
class Peer:
    """A DICOM application that this node talks to.

    Attributes
    ----------
    tls : bool
        Whether it is called over TLS.
    certificates : tuple of str
        Those that it may show, as in :class:`Caller`.
    """

    ae_title: str
    host: str
    port: int
    tls: bool = False
    certificates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require_ae_title(self.ae_title)
        require_certificate_terms(self.ae_title, self.certificates)

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who may associate with a provider.

    Attributes
    ----------
    ae_title : str
        Calling AE title.
    addresses : tuple of str
        IP addresses that it may come from; empty: any.
    certificates : tuple of str
        Certificates that go with the title: ``sha256:`` and a fingerprint, or a DNS name or common name. Empty: any
        that is trusted.
    """

    ae_title: str
    addresses: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require_ae_title(self.ae_title)
        require_certificate_terms(self.ae_title, self.certificates)


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """How this node opens associations.

    Attributes
    ----------
    ae_title : str
        Calling AE title, and the move destination of C-MOVE.
    connect_timeout_s : float
        For the TCP connection, with TLS for the handshake too.
    association_timeout_s : float
        For the answer to an association or release request.
    response_timeout_s : float
        For each response to a DIMSE request.
    pdu_bytes : int
        Largest PDU that this node offers to receive, and the most that it accepts; 0 announces no limit, and
        ``LARGEST_PDU_BYTES`` is accepted.
    send_pdu_bytes : int
        Largest PDU that is sent, also to a peer that takes more.
    maximum_associations : int
        Most associations that this process has open at a time under one AE title; others wait.
    move_batch : int
        Most instances that one C-MOVE asks for.
    arrival_grace_s : float
        How long to wait after the final C-MOVE response for instances that are still on their way.
    tls : TlsSettings, optional
        For peers that are called over TLS.
    """

    ae_title: str = DEFAULT_AE_TITLE
    connect_timeout_s: float = 5.0
    association_timeout_s: float = 300.0
    response_timeout_s: float = 300.0
    pdu_bytes: int = 131_072
    send_pdu_bytes: int = 32_768
    maximum_associations: int = 3
    move_batch: int = 250
    arrival_grace_s: float = 2.0
    tls: TlsSettings | None = None

    def __post_init__(self) -> None:
        _require_ae_title(self.ae_title)
        _require_pdu_bytes("pdu_bytes", self.pdu_bytes, unlimited=True)
        _require_pdu_bytes("send_pdu_bytes", self.send_pdu_bytes, unlimited=False)


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """How the storage provider listens.

    Attributes
    ----------
    ae_title : str
        Called AE title; associations for any other are rejected, unless ``any_called_ae_title``.
    port : int
        0 chooses a free one.
    callers : tuple of Caller
        Who may associate; empty: anybody. A connection from an address that no caller has is closed unread.
    accept_any : bool
        Whether instances are stored that this node has not asked for.
    association_timeout_s : float
        For TLS handshake and association request after the connection.
    idle_timeout_s : float
        After which a silent association is closed.
    pdu_timeout_s : float
        From the first byte of a PDU to its last, and for sending one.
    pdu_bytes : int
        Largest PDU; a peer that announces a longer one is cut off before it is read. 0 announces no limit, and
        ``LARGEST_PDU_BYTES`` is accepted.
    object_bytes : int
        Largest data set; a peer that sends more is cut off.
    maximum_associations : int
        More are rejected (local limit exceeded).
    maximum_waiting : int
        Connections without an association request; of more, the oldest is closed.
    tls : TlsSettings, optional
        Listen with TLS only.
    """

    ae_title: str = DEFAULT_AE_TITLE
    host: str = "127.0.0.1"
    port: int = 0
    callers: tuple[Caller, ...] = ()
    any_called_ae_title: bool = False
    accept_any: bool = False
    association_timeout_s: float = 10.0
    idle_timeout_s: float = 60.0
    pdu_timeout_s: float = 30.0
    pdu_bytes: int = 131_072
    object_bytes: int = 512 * 1024 * 1024
    maximum_associations: int = 10
    maximum_waiting: int = 32
    tls: TlsSettings | None = None

    def __post_init__(self) -> None:
        _require_ae_title(self.ae_title)
        _require_pdu_bytes("pdu_bytes", self.pdu_bytes, unlimited=True)
        if self.tls is None and any(caller.certificates for caller in self.callers):
            raise ConfigurationError(
                "callers of a provider without TLS show no certificate", hint="Configure TLS, or name no certificates."
            )

    @property
    def addresses(self) -> frozenset[str]:
        """Addresses that may connect; empty: any."""
        if not self.callers or any(not caller.addresses for caller in self.callers):
            return frozenset()
        return frozenset(address for caller in self.callers for address in caller.addresses)

    def admits(self, calling_ae_title: str, address: str, connection: object = None) -> bool:
        """Whether this calling AE title may associate from this address, with the certificate of this connection."""
        return not self.callers or any(
            caller.ae_title == calling_ae_title
            and (not caller.addresses or address in caller.addresses)
            and has_certificate_of(connection, caller.certificates)
            for caller in self.callers
        )
