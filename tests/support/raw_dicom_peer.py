"""A DICOM peer made of bytes: PDUs by hand, a connection that sends what it is told, and mutants."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator

from pynetdicom.dsutils import encode

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def association_request(called: str = "ROOM", calling: str = "TMS", syntaxes: tuple[str, ...] = (IMPLICIT,)) -> bytes:
    context = b"\x01\0\0\0" + item(0x30, CT.encode()) + b"".join(item(0x40, one.encode()) for one in syntaxes)
    user = item(0x51, struct.pack(">I", 131072)) + item(0x52, b"1.2.3.4")
    variable = item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, context) + item(0x50, user)
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode()) + variable
    return struct.pack(">BxI", 0x01, len(body)) + body


def element(group: int, number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", group, number, len(value)) + value


def command(uid: str, message_id: int = 1) -> bytes:
    def text(value: str) -> bytes:
        return value.encode() + b"\0" * (len(value) % 2)

    body = (
        element(0, 0x0002, text(CT))
        + element(0, 0x0100, struct.pack("<H", 0x0001))
        + element(0, 0x0110, struct.pack("<H", message_id))
        + element(0, 0x0700, struct.pack("<H", 2))
        + element(0, 0x0800, struct.pack("<H", 1))
        + element(0, 0x1000, text(uid))
    )
    return element(0, 0, struct.pack("<I", len(body))) + body


def p_data(fragment: bytes, control: int, *, context: int = 1) -> bytes:
    value = struct.pack(">IBB", len(fragment) + 2, context, control) + fragment
    return struct.pack(">BxI", 0x04, len(value)) + value


def fragments(data: bytes, size: int = 60_000) -> list[bytes]:
    pieces = [data[first : first + size] for first in range(0, len(data), size)]
    return [p_data(piece, 0x02 if number == len(pieces) - 1 else 0x00) for number, piece in enumerate(pieces)]


class RawPeer:
    """A connection that sends what it is told."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def associate(self, **kwargs: str) -> bytes:
        self.socket.sendall(association_request(**kwargs))  # type: ignore[arg-type]
        return self.pdu()

    def pdu(self) -> bytes:
        """The next PDU; empty when the connection is closed."""
        header = self.read(6)
        return header + self.read(int.from_bytes(header[2:6], "big")) if len(header) == 6 else b""

    def read(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            try:
                more = self.socket.recv(count - len(received))
            except ConnectionResetError:
                more = b""
            if not more:
                break
            received += more
        return received

    def is_closed_within(self, seconds: float) -> bool:
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(4096):
                pass
        except TimeoutError:
            return False
        except ConnectionResetError:
            pass
        return True

    def store(self, uid: str, data: bytes) -> int:
        """C-STORE; the status of the answer."""
        self.socket.sendall(p_data(command(uid), 0x03) + b"".join(fragments(data)))
        return self.status()

    def status(self) -> int:
        answer = self.pdu()
        place = answer.find(struct.pack("<HHI", 0, 0x0900, 2))
        assert place > 0, answer[:100]
        return int.from_bytes(answer[place + 8 : place + 10], "little")


def implicit(dataset: object) -> bytes:
    encoded = encode(dataset, True, True)  # type: ignore[arg-type]
    assert encoded is not None
    return encoded


def mutants(seed: int, count: int, whole: bytes) -> Iterator[bytes]:
    """Some bytes with changed, removed and added ones, again and again; the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        yield mutant(chance, whole)


def mutant(chance: random.Random, whole: bytes) -> bytes:
    """Some bytes with one to six acts of change on them."""
    content = bytearray(whole)
    for _ in range(chance.randint(1, 6)):
        act = chance.randrange(4)
        place = chance.randrange(len(content))
        if act == 0:
            content[place] ^= 1 << chance.randrange(8)
        elif act == 1:
            content[place] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif act == 2:
            del content[place : place + chance.randint(1, 8)]
        else:
            content[place:place] = chance.randbytes(chance.randint(1, 8))
    return bytes(content)
