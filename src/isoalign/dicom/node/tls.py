"""TLS for DICOM connections: version 1.2 or newer, forward secrecy, certificates on both sides.

Source: DICOM PS3.15, the secure transport connection profiles after BCP 195 (RFC 8996, RFC 9325).
"""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoalign.dicom.errors import TlsUnusable
from isoalign.errors import ConfigurationError

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: ephemeral key exchange and authenticated encryption only. TLS 1.3 has no others."""

FINGERPRINT = "sha256:"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Certificates of a node.

    Attributes
    ----------
    certificate, key : Path
        Our own certificate (PEM, with intermediates) and its private key.
    trusted : Path
        Certificates (PEM) that sign those of our peers; a peer without one of them is refused, as user and as provider.
    check_host_name : bool
        Whether a peer that we call must have its host name or address in its certificate.
    """

    certificate: Path
    key: Path
    trusted: Path
    check_host_name: bool = True

    def provider_context(self) -> ssl.SSLContext:
        """For accepted connections.

        Raises
        ------
        TlsUnusable
        """
        return self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def user_context(self) -> ssl.SSLContext:
        """For connections that we open.

        Raises
        ------
        TlsUnusable
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.check_host_name
        return self._load(context)

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_cert_chain(self.certificate, self.key)
            context.load_verify_locations(self.trusted)
        except (OSError, ssl.SSLError) as error:
            files = f"{self.certificate}, {self.key} and {self.trusted}"
            raise TlsUnusable(f"the TLS files {files} cannot be used: {error.strerror or error}") from error
        return context


def require_certificate_terms(ae_title: str, terms: Sequence[str]) -> None:
    """Refuse what names no certificate.

    Parameters
    ----------
    terms : sequence of str
        ``sha256:`` and the fingerprint in hexadecimal digits (colons between them are allowed), or a name.

    Raises
    ------
    ConfigurationError
    """
    for term in terms:
        digits = _fingerprint(term)
        if (digits is not None and not re.fullmatch("[0-9a-f]{64}", digits)) or not term.strip():
            raise ConfigurationError(
                f"{term!r} does not name a certificate of {ae_title}",
                hint="Write sha256: and 64 hexadecimal digits (openssl x509 -noout -fingerprint -sha256), or the "
                "certificate's common name or DNS name.",
            )


def has_certificate_of(connection: object, terms: Sequence[str]) -> bool:
    """Whether the peer of a connection has shown one of these certificates; no terms accept every trusted one.

    A name is compared with the DNS names of the certificate, or with its common name when it has no DNS name.
    """
    if not terms:
        return True
    if not isinstance(connection, ssl.SSLSocket):
        return False
    certificate = connection.getpeercert(binary_form=True)
    if certificate is None:
        return False
    shown = hashlib.sha256(certificate).hexdigest()
    names = _names(connection)
    return any(shown == _fingerprint(term) if _fingerprint(term) else term.casefold() in names for term in terms)


def _fingerprint(term: str) -> str | None:
    """The digits of a fingerprint; None for a name."""
    if not term.casefold().startswith(FINGERPRINT):
        return None
    return term[len(FINGERPRINT) :].replace(":", "").strip().casefold()


def _names(connection: ssl.SSLSocket) -> set[str]:
    shown = connection.getpeercert() or {}
    alternatives: Any = shown.get("subjectAltName", ())
    dns_names = {str(one[1]).casefold() for one in alternatives if one[0] == "DNS"}
    subject: Any = shown.get("subject", ())
    common_names = {str(one[1]).casefold() for part in subject for one in part if one[0] == "commonName"}
    return dns_names or common_names
