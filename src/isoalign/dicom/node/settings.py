"""Settings of the DICOM node. Times in seconds, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass

from isoalign.errors import ConfigurationError


def _require_ae_title(ae_title: str) -> None:
    printable = ae_title.isascii() and ae_title.isprintable() and "\\" not in ae_title
    if not (printable and ae_title.strip() and len(ae_title) <= 16):
        raise ConfigurationError(
            f"{ae_title!r} is not an AE title", hint="Use 1 to 16 printable ASCII characters without backslash."
        )


@dataclass(frozen=True, slots=True)
class Peer:
    """A DICOM application that this node talks to."""

    ae_title: str
    host: str
    port: int

    def __post_init__(self) -> None:
        _require_ae_title(self.ae_title)

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """How this node opens associations.

    Attributes
    ----------
    ae_title : str
        Calling AE title, and the move destination of C-MOVE.
    connect_timeout_s : float
        For the TCP connection.
    association_timeout_s : float
        For the answer to an association or release request.
    response_timeout_s : float
        For each response to a DIMSE request.
    pdu_bytes : int
        Largest PDU that this node offers to receive, and the most that it accepts.
    move_batch : int
        Most instances that one C-MOVE asks for.
    arrival_grace_s : float
        How long to wait after the final C-MOVE response for instances that are still on their way.
    """

    ae_title: str = "PTIMAGECLIENT"
    connect_timeout_s: float = 5.0
    association_timeout_s: float = 10.0
    response_timeout_s: float = 60.0
    pdu_bytes: int = 131_072
    move_batch: int = 250
    arrival_grace_s: float = 2.0

    def __post_init__(self) -> None:
        _require_ae_title(self.ae_title)


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """How the storage provider listens.

    Attributes
    ----------
    ae_title : str
        Called AE title; associations for any other are rejected.
    port : int
        0 chooses a free one.
    calling_ae_titles : tuple of str
        Who may associate; empty: anybody.
    calling_hosts : tuple of str
        IP addresses that may connect; empty: any.
    accept_any : bool
        Whether instances are stored that this node has not asked for.
    association_timeout_s : float
        For the association request after the connection.
    idle_timeout_s : float
        After which a silent association is closed.
    pdu_bytes : int
        Largest PDU; a peer that announces a longer one is cut off before it is read.
    maximum_associations : int
    """

    ae_title: str = "PTIMAGECLIENT"
    host: str = "127.0.0.1"
    port: int = 0
    calling_ae_titles: tuple[str, ...] = ()
    calling_hosts: tuple[str, ...] = ()
    accept_any: bool = False
    association_timeout_s: float = 10.0
    idle_timeout_s: float = 60.0
    pdu_bytes: int = 131_072
    maximum_associations: int = 10

    def __post_init__(self) -> None:
        _require_ae_title(self.ae_title)
        for ae_title in self.calling_ae_titles:
            _require_ae_title(ae_title)
