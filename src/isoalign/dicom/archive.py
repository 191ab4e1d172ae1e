"""A small archive peer: C-ECHO, C-STORE and C-MOVE (Study Root, level IMAGE, by instance UID), as a process.

It plays the treatment management system in demonstrations and tests::

    python -m isoalign.dicom.archive --ae-title TMS --port 0 --move-destination PTImageClient=127.0.0.1:51700

One line of JSON on standard output says when it is ready; it ends on SIGTERM, or when its standard input ends. A line
``{"move_destination": {"AE_TITLE": ["host", port]}}`` on standard input adds a move destination.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TextIO

import structlog
from pydicom.dataset import Dataset
from pynetdicom import build_context, evt
from pynetdicom.events import Event

from isoalign.dicom import identity
from isoalign.dicom.node.receiver import STORAGE_CLASSES, TRANSFER_SYNTAXES, StorageReceiver
from isoalign.dicom.node.settings import ReceiverSettings
from isoalign.dicom.object_store import ObjectStore
from isoalign.dicom.real_peers import dcmqrscp_configuration, orthanc_configuration
from isoalign.errors import IsoalignError, exit_code_of

__all__ = ["Archive", "dcmqrscp_configuration", "main", "orthanc_configuration"]

log = structlog.get_logger()

ARCHIVE_CLASSES = (*STORAGE_CLASSES, identity.SPATIAL_REGISTRATION)
Destinations = dict[str, tuple[str, int]]


class Archive:
    """The archive peer. Use as a context manager, or :meth:`start` and :meth:`close`.

    Parameters
    ----------
    settings : ReceiverSettings
        ``accept_any`` must be set.
    store : ObjectStore
    destinations : dict
        AE title to (host, port) of everybody that C-MOVE may send to.
    """

    def __init__(self, settings: ReceiverSettings, store: ObjectStore, destinations: Destinations) -> None:
        self.store = store
        self.destinations = dict(destinations)
        self._receiver = StorageReceiver(
            settings,
            store,
            storage_classes=ARCHIVE_CLASSES,
            more_handlers=[(evt.EVT_C_MOVE, self._on_move)],
            more_classes=[identity.STUDY_ROOT_MOVE],
        )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._receiver.port

    def start(self) -> None:
        """Listen.

        Raises
        ------
        ReceiverNotStarted
        """
        self._receiver.start()

    def close(self) -> None:
        """Stop and wait for the threads."""
        self._receiver.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _on_move(self, event: Event) -> Iterator[Any]:
        """Yield the destination, the number of sub-operations and then each dataset, as pynetdicom asks for."""
        destination = str(event.move_destination).strip()
        if destination not in self.destinations:
            log.warning("unknown move destination", ae_title=destination)
            yield None, None
            return
        identifier = event.identifier
        uids = _requested_uids(identifier)
        found = [uid for uid in uids if uid in self.store]
        host, port = self.destinations[destination]
        contexts = [build_context(sop_class, syntax) for sop_class in ARCHIVE_CLASSES for syntax in TRANSFER_SYNTAXES]
        yield host, port, {"contexts": contexts}
        if str(identifier.get("QueryRetrieveLevel", "")) != "IMAGE" or not uids:
            yield 1
            yield 0xA900, None
            return
        yield len(found)
        for uid in found:
            if event.is_cancelled:
                yield 0xFE00, None
                return
            yield 0xFF00, self.store.read(uid)


def _requested_uids(identifier: Dataset) -> list[str]:
    value = identifier.get("SOPInstanceUID")
    if not value:
        return []
    return [str(value)] if isinstance(value, str) else [str(uid) for uid in value]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the archive until SIGTERM or the end of standard input."""
    options = _parser().parse_args(arguments)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="isoalign-archive-") as scratch:
        settings = ReceiverSettings(ae_title=options.ae_title, host=options.host, port=options.port, accept_any=True)
        archive = Archive(settings, ObjectStore(options.store or Path(scratch)), dict(options.move_destination))
        try:
            archive.start()
        except IsoalignError as error:
            log.error("archive not started", code=error.code, message=error.message)
            return exit_code_of(error)
        try:
            ready = {"ready": True, "kind": "archive", "ae_title": options.ae_title}
            sys.stdout.write(json.dumps({**ready, "host": options.host, "port": archive.port}) + "\n")
            sys.stdout.flush()
            if not options.stay:
                threading.Thread(target=_listen, args=(sys.stdin, archive, stop), daemon=True).start()
            stop.wait()
        finally:
            archive.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="isoalign.dicom.archive", description="A small DICOM archive peer.")
    parser.add_argument("--ae-title", default="TMS")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument(
        "--move-destination",
        type=_destination,
        action="append",
        default=[],
        metavar="AE=HOST:PORT",
        help="may be given several times",
    )
    parser.add_argument("--store", type=Path, help="folder of the objects; default: a temporary one")
    parser.add_argument("--stay", action="store_true", help="do not end with standard input")
    return parser


def _destination(argument: str) -> tuple[str, tuple[str, int]]:
    ae_title, _, address = argument.partition("=")
    host, _, port = address.rpartition(":")
    if not (ae_title and host and port.isdigit()):
        raise argparse.ArgumentTypeError(f"{argument!r} is not AE=HOST:PORT")
    return ae_title, (host, int(port))


def _listen(commands: TextIO, archive: Archive, stop: threading.Event) -> None:
    for line in commands:
        try:
            for ae_title, (host, port) in json.loads(line)["move_destination"].items():
                archive.destinations[str(ae_title)] = (str(host), int(port))
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("command not understood")
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
