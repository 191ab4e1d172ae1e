"""TLS for DICOM connections: version 1.2 or newer, forward secrecy, certificates on both sides.

Source: DICOM PS3.15, the secure transport connection profiles after BCP 195 (RFC 8996, RFC 9325).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from isoalign.dicom.errors import TlsUnusable

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: ephemeral key exchange and authenticated encryption only. TLS 1.3 has no others."""


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
