"""Threads of an association that are woken instead of polling.

pynetdicom looks for work once a millisecond, in two threads for each association that hand every message on to each
other; most of the time of a transfer goes there. Here the thread that reads the connection sleeps until there is
something to read or to send, and answers C-STORE itself; the association's own thread sleeps until it has work.

It is done with parts that the library lets one replace: its queues, the delay of its loop, and the connection
(:class:`~isoalign.dicom.node.connection.BoundedSocket`). With a version of the library that is not known here nothing
is replaced, and everything works as before, only slower.
"""

# Like the adaptation of pynetdicom this module reaches into it on purpose.
# ruff: noqa: SLF001

from __future__ import annotations

import queue
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pynetdicom
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import uid_to_service_class

KNOWN_VERSION = "3.0."
"""Of pynetdicom; what it starts with."""
LONGEST_SLEEP_S = 0.05
"""After which a thread looks at its timers and whether it is to end; nobody wakes it for those."""


class Bell:
    """Wakes a thread that waits for a connection."""

    def __init__(self) -> None:
        self._listening, self._rope = socket.socketpair()
        self._listening.setblocking(False)
        self._rope.setblocking(False)

    def ring(self) -> None:
        """From any thread."""
        with suppress(OSError):  # rung often enough, or closed
            self._rope.send(b"\0")

    def wait(self, connection: socket.socket, timeout_s: float) -> bool:
        """Sleep until there is something to read, or the bell rings; whether there is something to read.

        Raises
        ------
        OSError, ValueError
            When the connection is closed.
        """
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        poll.register(self._listening, select.POLLIN)
        found = {descriptor for descriptor, _ in poll.poll(timeout_s * 1e3)}
        if self._listening.fileno() in found:
            with suppress(OSError):
                self._listening.recv(4096)
        return connection.fileno() in found

    def close(self) -> None:
        """No more waking."""
        self._listening.close()
        self._rope.close()


class WakingQueue(queue.Queue[Any]):
    """A queue that wakes whoever takes from it when it is empty no more."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def _put(self, item: Any) -> None:
        is_first = not self.queue
        super()._put(item)
        if is_first:
            self._wake()


class ServingQueue(WakingQueue):
    """Messages of a peer: C-STORE is served by the thread that has read it, the others wait for the association's."""

    def __init__(self, association: Association, wake: Callable[[], None]) -> None:
        super().__init__(wake)
        self._association = association

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Called by the library with a context's ID and a message."""
        context_id, message = item
        if self._is_served_here(context_id, message):
            self._association._serve_request(message, context_id)
        else:
            super().put(item, block, timeout)

    def _is_served_here(self, context_id: int | None, message: object) -> bool:
        # what would make the library abort waits for the other thread: this one could not wait for its own end
        return (
            isinstance(message, C_STORE)
            and self.empty()
            and threading.current_thread() is self._association.dul
            and context_id in self._association._accepted_cx
            and uid_to_service_class(str(message.AffectedSOPClassUID)) is StorageServiceClass
        )


class Checkpoint(threading.Event):
    """Where the association's thread waits in each turn of its loop: until it may go on, and has work."""

    def __init__(self) -> None:
        super().__init__()
        self._work = threading.Event()
        super().set()

    def set(self) -> None:
        """Called by the library, also to end the thread."""
        super().set()
        self._work.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Called by the association's thread."""
        may_go_on = super().wait(timeout)
        self._work.wait(LONGEST_SLEEP_S)
        self._work.clear()
        return may_go_on


def wake_threads(association: Association) -> Bell | None:
    """Let the threads of a new association be woken, before they run; the bell of the one that reads.

    None, and nothing done, with an unknown version of the library.
    """
    if not pynetdicom.__version__.startswith(KNOWN_VERSION):
        return None
    bell, dul = Bell(), association.dul

    def wake_reader() -> None:
        if threading.current_thread() is not dul:
            bell.ring()

    dul._run_loop_delay = 0.0
    dul.to_provider_queue = WakingQueue(wake_reader)
    if association.is_acceptor:
        checkpoint = Checkpoint()
        association._reactor_checkpoint = checkpoint
        dul.to_user_queue = WakingQueue(checkpoint.set)
        association.dimse.msg_queue = cast("queue.Queue[Any]", ServingQueue(association, checkpoint.set))
    return bell
