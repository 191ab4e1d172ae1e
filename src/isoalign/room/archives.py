"""The archive peer that plays the treatment management system: embedded, Orthanc or DCMTK."""

from __future__ import annotations

import json
import shutil
import socket
import time
from enum import Enum
from pathlib import Path

from isoalign.room.errors import ProcessFailed, ProgramMissing
from isoalign.room.loopback import LOOPBACK, free_port
from isoalign.room.processes import ChildProcess, ProcessGroup
from isoalign.room.settings import DicomSettings, PeerSettings

ARCHIVE_AE_TITLE = "TMS"
START_TIMEOUT_S = 30.0


class ArchiveKind(Enum):
    """Who plays the archive."""

    EMBEDDED = "embedded"
    ORTHANC = "orthanc"
    DCMTK = "dcmtk"


def start_archive(
    kind: ArchiveKind, processes: ProcessGroup, folder: Path, room: DicomSettings, *, port: int = 0
) -> PeerSettings:
    """Start an archive that knows ``room`` as a move destination; returns its address once it listens.

    ``folder`` takes its store; ``port`` 0 chooses a free one.

    Raises
    ------
    ProgramMissing
        When Orthanc or DCMTK is asked for and is not installed.
    """
    store = folder / "archive"
    store.mkdir(parents=True)
    if kind is ArchiveKind.EMBEDDED:
        child = processes.start(
            "archive",
            [
                "-m",
                "isoalign.dicom.archive",
                "--ae-title",
                ARCHIVE_AE_TITLE,
                "--port",
                str(port),
                "--move-destination",
                f"{room.ae_title}={room.host}:{room.port}",
                "--store",
                str(store),
            ],
        )
        return PeerSettings(ae_title=ARCHIVE_AE_TITLE, host=LOOPBACK, port=child.wait_ready()["port"])
    return _start_installed(kind, processes, folder, store, room, port or free_port())


def _start_installed(
    kind: ArchiveKind, processes: ProcessGroup, folder: Path, store: Path, room: DicomSettings, port: int
) -> PeerSettings:
    from isoalign.dicom.archive import dcmqrscp_configuration, orthanc_configuration

    program = {ArchiveKind.ORTHANC: "Orthanc", ArchiveKind.DCMTK: "dcmqrscp"}[kind]
    found = shutil.which(program)
    if found is None:
        package = {ArchiveKind.ORTHANC: "orthanc", ArchiveKind.DCMTK: "dcmtk"}[kind]
        raise ProgramMissing(
            f"--archive {kind.value} needs the program {program}",
            hint=f"Install it (Debian: apt install {package}), or use the embedded archive.",
        )
    destination = {room.ae_title: (room.host, room.port)}
    if kind is ArchiveKind.ORTHANC:
        config = folder / "orthanc.json"
        config.write_text(
            json.dumps(orthanc_configuration(ARCHIVE_AE_TITLE, port, store, destination)), encoding="utf-8"
        )
        arguments = [str(config)]
    else:
        config = folder / "dcmqrscp.cfg"
        config.write_text(dcmqrscp_configuration(ARCHIVE_AE_TITLE, port, store, destination), encoding="utf-8")
        arguments = ["--config", str(config)]
    child = processes.start("archive", arguments, program=["env", "TCP_NODELAY=1", found])
    _wait_listening(child, port)
    return PeerSettings(ae_title=ARCHIVE_AE_TITLE, host=LOOPBACK, port=port)


def _wait_listening(child: ChildProcess, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if not child.is_alive():
            raise ProcessFailed(f"the archive ended before it listened; see {child.log_path}")
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.05)
    raise ProcessFailed(f"the archive does not listen on port {port} after {START_TIMEOUT_S:g} s")
