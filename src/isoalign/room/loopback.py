"""Free TCP ports of this machine's loopback interface."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"
PORTS = (20_000, 32_000)
"""Below those that the kernel hands out by itself, to whoever connects or asks for any."""
_ATTEMPTS = 50


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses now, and that nobody is given who does not ask for it."""
    dice = random.SystemRandom()
    for _ in range(_ATTEMPTS):
        port = dice.randrange(*PORTS)
        if _is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
