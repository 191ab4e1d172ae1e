"""The storage provider: receives what this node asked for, and acknowledges only what is safely on disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, cast

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event

from isoalign.dicom import identity
from isoalign.dicom.errors import ConflictingInstance, InstanceRefused, ReceiverNotStarted
from isoalign.dicom.node.adaptation import ParkingEntity, join_threads
from isoalign.dicom.node.admission import GuardedServer, check_caller, start_server
from isoalign.dicom.node.notices import Notice, NoticeKind, NoticeTaker, ignore
from isoalign.dicom.node.settings import ReceiverSettings
from isoalign.dicom.object_store import Inspection, ObjectStore
from isoalign.errors import StorageError

log = structlog.get_logger()

STORAGE_CLASSES = (
    identity.CT_IMAGE,
    identity.RT_STRUCTURE_SET,
    identity.RT_IMAGE,
    identity.RT_ION_PLAN,
)
"""What the room's provider accepts; section 2.2.1 of the conformance statement."""
TRANSFER_SYNTAXES: list[str | UID] = [ImplicitVRLittleEndian, ExplicitVRLittleEndian]
ANY_NUMBER = 1_000_000
STATUS_SUCCESS = 0x0000
STATUS_ODD = 0xB007
STATUS_OUT_OF_RESOURCES = 0xA700
STATUS_NOT_AUTHORISED = 0x0124


class Expectation:
    """Instances that were asked for, and which of them have arrived."""

    def __init__(self, uids: Iterable[str], on_arrival: Callable[[str], None] | None) -> None:
        self.wanted = frozenset(uids)
        self._arrived: set[str] = set()
        self._changed = threading.Condition()
        self._on_arrival = on_arrival

    @property
    def arrived(self) -> frozenset[str]:
        """Those that are on disk."""
        with self._changed:
            return frozenset(self._arrived)

    def note(self, uid: str) -> None:
        """An instance is on disk."""
        with self._changed:
            is_new = uid in self.wanted and uid not in self._arrived
            if is_new:
                self._arrived.add(uid)
                self._changed.notify_all()
        if is_new and self._on_arrival is not None:
            self._on_arrival(uid)

    def wait(self, timeout_s: float) -> bool:
        """Wait until all have arrived; False when the time is over first."""
        with self._changed:
            return self._changed.wait_for(lambda: self._arrived >= self.wanted, timeout_s)


class StorageReceiver:
    """A storage SCP in threads of this process.

    Parameters
    ----------
    settings : ReceiverSettings
    store : ObjectStore
    storage_classes : iterable of str
        SOP classes to accept.
    more_handlers, more_classes
        Further pynetdicom handlers and the SOP classes they serve.
    inspect : callable, optional
        A further condition for every object.
    on_notice : callable
        Gets what a person should know; called from other threads.
    """

    def __init__(
        self,
        settings: ReceiverSettings,
        store: ObjectStore,
        *,
        storage_classes: Iterable[str] = STORAGE_CLASSES,
        more_handlers: Iterable[Any] = (),
        more_classes: Iterable[str] = (),
        inspect: Inspection | None = None,
        on_notice: NoticeTaker = ignore,
    ) -> None:
        self.settings = settings
        self.store = store
        self._inspect = inspect
        self._on_notice = on_notice
        self._expectations: list[Expectation] = []
        self._lock = threading.Lock()
        self._running: tuple[GuardedServer, threading.Thread] | None = None
        self._handlers = [
            (evt.EVT_REQUESTED, check_caller, [settings]),
            (evt.EVT_C_STORE, self._on_store),
            *more_handlers,
        ]
        self.entity = ParkingEntity(settings.ae_title, settings.pdu_bytes, pdu_timeout_s=settings.pdu_timeout_s)
        # counted by check_caller: the library counts threads that are about to end too
        self.entity.maximum_associations = ANY_NUMBER
        self.entity.network_timeout = settings.idle_timeout_s
        self.entity.acse_timeout = settings.association_timeout_s
        self.entity.dimse_timeout = settings.idle_timeout_s
        self.entity.require_called_aet = not settings.any_called_ae_title
        for sop_class in (identity.VERIFICATION, *storage_classes, *more_classes):
            self.entity.add_supported_context(sop_class, TRANSFER_SYNTAXES)

    @property
    def port(self) -> int:
        """The port that is listened on.

        Raises
        ------
        ReceiverNotStarted
        """
        if self._running is None:
            raise ReceiverNotStarted("the storage provider is not running")
        return int(self._running[0].server_address[1])

    def start(self) -> None:
        """Listen.

        Raises
        ------
        ReceiverNotStarted, TlsUnusable
        """
        address = (self.settings.host, self.settings.port)
        try:
            self._running = start_server(self.entity, self.settings, self._handlers)
        except OSError as error:
            raise ReceiverNotStarted(
                f"the storage provider {self.settings.ae_title} cannot listen on {address[0]}:{address[1]}: "
                f"{error.strerror or error}",
                host=address[0],
                port=address[1],
            ) from error

    def close(self) -> None:
        """Abort what is open, stop listening and wait for the threads."""
        if self._running is None:
            return
        server, thread = self._running
        self._running = None
        server.shutdown()
        server.waiting_room.close()
        self.entity.shutdown()
        join_threads(self.entity)
        thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def expecting(self, uids: Iterable[str], on_arrival: Callable[[str], None] | None = None) -> Iterator[Expectation]:
        """Accept these instances for as long as the block runs; ``on_arrival`` is called from another thread."""
        expectation = Expectation(uids, on_arrival)
        with self._lock:
            self._expectations.append(expectation)
        try:
            yield expectation
        finally:
            with self._lock:
                self._expectations.remove(expectation)

    def _on_store(self, event: Event) -> int | Dataset:
        request = cast(C_STORE, event.request)
        uid = str(request.AffectedSOPInstanceUID)
        with self._lock:
            waiting = [one for one in self._expectations if uid in one.wanted]
        if not waiting and not self.settings.accept_any:
            return self._refuse(STATUS_NOT_AUTHORISED, "this instance was not asked for", uid)
        try:
            stored = self.store.put(
                event.encoded_dataset(include_meta=False),
                sop_class_uid=str(request.AffectedSOPClassUID),
                sop_instance_uid=uid,
                transfer_syntax_uid=str(event.context.transfer_syntax),
                inspect=self._inspect,
            )
        except InstanceRefused as refusal:
            kind = NoticeKind.CONFLICT if isinstance(refusal, ConflictingInstance) else NoticeKind.REFUSED
            return self._refuse(refusal.status, refusal.message, uid, kind)
        except OSError as error:
            reason = f"cannot be written: {error.strerror or 'I/O error'}"
            return self._refuse(STATUS_OUT_OF_RESOURCES, reason, uid, NoticeKind.DISK)
        except StorageError as error:
            return self._refuse(STATUS_OUT_OF_RESOURCES, "cannot be indexed", uid, NoticeKind.DISK, error.message)
        for expectation in waiting:
            expectation.note(uid)
        if stored.remark:
            self._on_notice(Notice(NoticeKind.ODD, stored.remark, uid, STATUS_ODD))
            return _answer(STATUS_ODD, stored.remark)
        if stored.is_new:
            self._on_notice(Notice(NoticeKind.STORED, "stored", uid, STATUS_SUCCESS))
        return STATUS_SUCCESS

    def _refuse(
        self, status: int, comment: str, uid: str, kind: NoticeKind = NoticeKind.REFUSED, detail: str = ""
    ) -> Dataset:
        log.warning(
            "instance refused", sop_instance_uid=uid[:64], status=f"{status:04X}", reason=comment, detail=detail
        )
        self._on_notice(Notice(kind, comment, uid[:64], status))
        return _answer(status, comment)


def _answer(status: int, comment: str) -> Dataset:
    answer = Dataset()
    answer.Status = status
    answer.ErrorComment = comment[:64]
    return answer
