"""TLS: who has no certificate, an old version or no forward secrecy is refused, and a silent client blocks nobody."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from isoalign.dicom.errors import AssociationAborted, AssociationRefused, PeerUnreachable, TlsUnusable
from isoalign.dicom.node import Caller, NodeSettings, Peer, ReceiverSettings, StorageReceiver, TlsSettings, echo, send
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.objects import CaseDatasets, write_file
from isoalign.errors import ConfigurationError


@dataclass(frozen=True)
class Certificates:
    """A hospital's authority, the node's and a peer's certificate from it, and one that signed itself."""

    folder: Path

    def of(self, name: str, trusted: str = "hospital") -> TlsSettings:
        return TlsSettings(self.folder / f"{name}.pem", self.folder / f"{name}.key", self.folder / f"{trusted}.pem")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory, require_program: Callable[[str], Path]) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    openssl = require_program("openssl")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], check=True, capture_output=True, cwd=folder)

    for name in ("hospital", "stranger"):
        run(
            *["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"],
            *["-keyout", f"{name}.key", "-out", f"{name}.pem"],
        )
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("room", "peer", "other"):
        run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", "request")
        run(
            *["x509", "-req", "-days", "2", "-in", "request", "-CA", "hospital.pem", "-CAkey", "hospital.key"],
            *["-CAcreateserial", "-extfile", "names", "-out", f"{name}.pem"],
        )
    return Certificates(folder)


@pytest.fixture
def receiver(certificates: Certificates, tmp_path: Path) -> Iterator[StorageReceiver]:
    settings = ReceiverSettings("ROOM", accept_any=True, association_timeout_s=2.0, tls=certificates.of("room"))
    with StorageReceiver(settings, ObjectStore(tmp_path / "store")) as running:
        yield running


def test_both_sides_with_certificates(
    receiver: StorageReceiver, certificates: Certificates, case: CaseDatasets
) -> None:
    peer = Peer("ROOM", "127.0.0.1", receiver.port, tls=True)
    results = send(peer, case.all, NodeSettings("TMS", tls=certificates.of("peer")))
    assert {one.status for one in results} == {0x0000}


def test_a_silent_client_blocks_nobody(receiver: StorageReceiver, certificates: Certificates) -> None:
    silent = [socket.create_connection(("127.0.0.1", receiver.port)) for _ in range(40)]
    began = time.monotonic()
    echo(Peer("ROOM", "127.0.0.1", receiver.port, tls=True), NodeSettings("TMS", tls=certificates.of("peer")))
    assert time.monotonic() - began < 1.0
    for one in silent:
        one.close()


def handshake(port: int, context: ssl.SSLContext) -> str:
    """The protocol and cipher that were agreed; a byte is asked for, since TLS 1.3 refuses certificates after that."""
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain) as secured,
    ):
        secured.settimeout(0.3)
        with suppress(TimeoutError):
            secured.recv(1)
        return f"{secured.version()} {secured.cipher()[0]}"  # type: ignore[index]


def client(certificates: Certificates, name: str = "peer") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(certificates.folder / f"{name}.pem", certificates.folder / f"{name}.key")
    return context


@pytest.mark.parametrize("cipher", ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"])
def test_tls_1_2_with_forward_secrecy(receiver: StorageReceiver, certificates: Certificates, cipher: str) -> None:
    context = client(certificates)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher)
    assert handshake(receiver.port, context) == f"TLSv1.2 {cipher}"


def test_tls_1_3(receiver: StorageReceiver, certificates: Certificates) -> None:
    assert handshake(receiver.port, client(certificates)).startswith("TLSv1.3 ")


@pytest.mark.parametrize("cipher", ["AES256-GCM-SHA384", "ECDHE-RSA-AES256-SHA384", "DHE-RSA-AES256-GCM-SHA384"])
def test_other_ciphers_are_refused(receiver: StorageReceiver, certificates: Certificates, cipher: str) -> None:
    context = client(certificates)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher)
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        handshake(receiver.port, context)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_are_refused(receiver: StorageReceiver, certificates: Certificates) -> None:
    context = client(certificates)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        handshake(receiver.port, context)


def test_who_has_no_certificate_of_the_hospital_is_refused(
    receiver: StorageReceiver, certificates: Certificates
) -> None:
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        handshake(receiver.port, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        handshake(receiver.port, client(certificates, "stranger"))
    with pytest.raises((AssociationAborted, PeerUnreachable)):
        echo(Peer("ROOM", "127.0.0.1", receiver.port), NodeSettings("TMS", association_timeout_s=4.0))


def test_a_peer_with_a_certificate_of_somebody_else_is_not_trusted(certificates: Certificates, tmp_path: Path) -> None:
    settings = ReceiverSettings("ROOM", tls=certificates.of("stranger"))
    with StorageReceiver(settings, ObjectStore(tmp_path)) as running, pytest.raises(PeerUnreachable, match="over TLS"):
        echo(Peer("ROOM", "127.0.0.1", running.port, tls=True), NodeSettings("TMS", tls=certificates.of("peer")))


def fingerprint(certificates: Certificates, name: str) -> str:
    """As openssl prints it: upper case with colons."""
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", f"{name}.pem"],
        check=True,
        capture_output=True,
        text=True,
        cwd=certificates.folder,
    )
    return "sha256:" + shown.stdout.strip().partition("=")[2]


@pytest.mark.parametrize("by", ["fingerprint", "name"])
def test_an_ae_title_belongs_to_its_certificate(certificates: Certificates, tmp_path: Path, by: str) -> None:
    """Regression: whoever had any certificate of the hospital could call under every title of its address."""
    term = fingerprint(certificates, "peer") if by == "fingerprint" else "peer"
    callers = (Caller("TMS", ("127.0.0.1",), ("somebody", term)), Caller("GUEST", ("127.0.0.1",)))
    settings = ReceiverSettings("ROOM", callers=callers, tls=certificates.of("room"))
    with StorageReceiver(settings, ObjectStore(tmp_path)) as running:
        peer = Peer("ROOM", "127.0.0.1", running.port, tls=True)
        echo(peer, NodeSettings("TMS", tls=certificates.of("peer")))
        with pytest.raises(AssociationRefused, match="calling AE title"):
            echo(peer, NodeSettings("TMS", tls=certificates.of("other")))
        echo(peer, NodeSettings("GUEST", tls=certificates.of("other")))


def test_a_called_peer_must_show_its_own_certificate(receiver: StorageReceiver, certificates: Certificates) -> None:
    node = NodeSettings("TMS", tls=certificates.of("peer"))
    echo(Peer("ROOM", "127.0.0.1", receiver.port, tls=True, certificates=("room",)), node)
    with pytest.raises(TlsUnusable, match="not one of those"):
        echo(
            Peer("ROOM", "127.0.0.1", receiver.port, tls=True, certificates=(fingerprint(certificates, "other"),)), node
        )


def test_what_names_no_certificate_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="sha256:12"):
        Caller("TMS", certificates=("sha256:12",))
    with pytest.raises(ConfigurationError, match="without TLS"):
        ReceiverSettings("ROOM", callers=(Caller("TMS", certificates=("peer",)),))


def test_files_that_are_missing(tmp_path: Path) -> None:
    missing = TlsSettings(tmp_path / "a.pem", tmp_path / "a.key", tmp_path / "b.pem")
    with pytest.raises(TlsUnusable, match=r"a\.pem"):
        StorageReceiver(ReceiverSettings("ROOM", tls=missing), ObjectStore(tmp_path)).start()
    with pytest.raises(TlsUnusable, match="no certificate"):
        echo(Peer("ROOM", "127.0.0.1", 1, tls=True), NodeSettings("TMS"))


def test_dcmtk_over_tls(
    receiver: StorageReceiver,
    certificates: Certificates,
    case: CaseDatasets,
    tmp_path: Path,
    require_program: Callable[[str], Path],
) -> None:
    """DCMTK's storescu, with the certificates of both sides checked by the other."""
    file = write_file(case.ct[0], tmp_path / "ct.dcm")
    folder = certificates.folder
    command = [
        *[
            require_program("storescu"),
            "+tls",
            folder / "peer.key",
            folder / "peer.pem",
            "+cf",
            folder / "hospital.pem",
        ],
        *["-aet", "TMS", "-aec", "ROOM", "127.0.0.1", str(receiver.port), file],
    ]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "TCP_NODELAY": "1"}, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert receiver.store.uids() == (str(case.ct[0].SOPInstanceUID),)
