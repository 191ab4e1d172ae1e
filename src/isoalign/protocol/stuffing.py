"""Consistent overhead byte stuffing of our short frames: a compiled library where it is there, else a few lines.

The `cobs` package brings C code, but where there is no compiler or wheel it falls back to Python that looks at every
byte. Frames here are shorter than 254 bytes, so that the code byte of one run is always the distance to the next and
never says "no zero follows"; then stuffing can be undone in place by walking from code byte to code byte.

Source: S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Trans. Networking 7(2), 1999.
"""

from __future__ import annotations

from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Final

from cobs import cobs

STUFFED_MAX_BYTES: Final = 254
"""Longest stuffed content that the functions in Python accept."""
COMPILED: Final = isinstance(cobs.decode, BuiltinFunctionType)
"""Whether the compiled library does the work."""
StuffingError: Final[type[Exception]] = cobs.DecodeError
"""Bytes that no stuffing ever makes."""
_CODES: Final = tuple(bytes([number]) for number in range(256))


def stuff_in_python(content: bytes) -> bytes:
    """``content`` (fewer than 254 bytes) without any zero."""
    if len(content) >= STUFFED_MAX_BYTES:
        raise StuffingError(f"{len(content)} bytes are too many")
    return b"".join([_CODES[len(run) + 1] + run for run in content.split(b"\0")])


def unstuff_in_python(stuffed: bytes) -> bytes:
    """The content of stuffed bytes, at most 254 of them.

    Raises
    ------
    StuffingError
    """
    end = len(stuffed)
    if end > STUFFED_MAX_BYTES or 0 in stuffed:
        raise StuffingError("too long" if end > STUFFED_MAX_BYTES else "a zero byte inside")
    content = bytearray(stuffed)
    at = 0
    while at < end:
        step = content[at]
        content[at] = 0
        at += step
    if at > end:
        raise StuffingError("the last run is not complete")
    del content[:1]
    return bytes(content)


stuff: Final[Callable[[bytes], bytes]] = cobs.encode if COMPILED else stuff_in_python
unstuff: Final[Callable[[bytes], bytes]] = cobs.decode if COMPILED else unstuff_in_python
