"""C-MOVE: ask an archive for instances, and count what has really arrived.

The final status of a C-MOVE proves nothing: archives answer success for instances they do not have. So the instances
that arrived at the storage provider are compared with those that were asked for.

Source: DICOM PS3.4 C.4.2; identifier and status handling: tables 9 to 14 of the conformance statement.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from isoalign.dicom import identity
from isoalign.dicom.errors import MoveDestinationUnknown, MoveFailed, RetrieveCancelled, RetrieveIncomplete
from isoalign.dicom.node.associations import association, no_answer
from isoalign.dicom.node.receiver import StorageReceiver
from isoalign.dicom.node.settings import NodeSettings, Peer

MEANINGS = {
    0xA701: "out of resources, the number of matches cannot be calculated",
    0xA702: "out of resources, sub-operations cannot be performed",
    0xA801: "move destination unknown",
    0xA900: "the identifier does not match the SOP class",
    0xFE00: "cancelled",
    0xB000: "one or more sub-operations failed",
    0x0000: "success",
}


@dataclass(frozen=True, slots=True)
class RetrieveReport:
    """What became of a retrieval."""

    requested: tuple[str, ...]
    arrived: tuple[str, ...]
    status: int
    comment: str
    duration_s: float

    @property
    def warning(self) -> str:
        """What a person should know although everything has arrived; empty when there is nothing."""
        if self.status == 0x0000:
            return ""
        return f"final status {self.status:04X}, {MEANINGS.get(self.status, 'unknown')}" + (
            f": {self.comment}" if self.comment else ""
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """Asked for and not arrived."""
        arrived = set(self.arrived)
        return tuple(uid for uid in self.requested if uid not in arrived)


ArrivalProgress = Callable[[int, int], None]


def retrieve(
    peer: Peer,
    uids: Sequence[str],
    receiver: StorageReceiver,
    settings: NodeSettings,
    *,
    study_instance_uid: str = "",
    series_instance_uid: str = "",
    progress: ArrivalProgress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> RetrieveReport:
    """Move instances from an archive to this node's storage provider.

    Study Root, level IMAGE, by SOP Instance UID; study and series are sent empty (universal matching) unless given.

    Parameters
    ----------
    progress : callable, optional
        Called as ``progress(arrived, requested)``, from another thread.
    cancelled : callable
        Asked between responses; no C-CANCEL is sent, the association is released.

    Raises
    ------
    MoveDestinationUnknown, MoveFailed, RetrieveIncomplete, RetrieveCancelled, PeerUnreachable, AssociationRefused,
    AssociationAborted, PeerTimeout
    """
    requested = tuple(dict.fromkeys(uids))
    started_s = time.monotonic()
    count = 0

    def note(_: str) -> None:
        nonlocal count
        count += 1
        if progress is not None:
            progress(count, len(requested))

    context = build_context(identity.STUDY_ROOT_MOVE, ImplicitVRLittleEndian)
    with receiver.expecting(requested, note) as expectation:
        with association(peer, settings, [context]) as established:
            status, comment = 0x0000, ""
            for first in range(0, len(requested), settings.move_batch):
                batch = requested[first : first + settings.move_batch]
                identifier = _identifier(batch, study_instance_uid, series_instance_uid)
                one = _move(established, peer, identifier, settings, cancelled)
                status, comment = one if one[0] != 0x0000 else (status, comment)
        expectation.wait(settings.arrival_grace_s)
        arrived = expectation.arrived
    report = RetrieveReport(
        requested=requested,
        arrived=tuple(uid for uid in requested if uid in arrived),
        status=status,
        comment=comment,
        duration_s=time.monotonic() - started_s,
    )
    _require_complete(report, peer)
    return report


def _identifier(uids: Sequence[str], study_instance_uid: str, series_instance_uid: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = study_instance_uid
    identifier.SeriesInstanceUID = series_instance_uid
    identifier.SOPInstanceUID = list(uids)
    return identifier


def _move(
    established: Association,
    peer: Peer,
    identifier: Dataset,
    settings: NodeSettings,
    cancelled: Callable[[], bool],
) -> tuple[int, str]:
    """One C-MOVE; the final status (success or warning) and its comment."""
    last_s = time.monotonic()
    responses = established.send_c_move(identifier, settings.ae_title, identity.STUDY_ROOT_MOVE)
    for status, _ in responses:
        if "Status" not in status:
            raise no_answer(peer, "C-MOVE", settings, time.monotonic() - last_s)
        last_s = time.monotonic()
        code = int(status.Status)
        if code in {0xFF00, 0xFF01}:
            if cancelled():
                raise RetrieveCancelled("the retrieval was cancelled")
            continue
        comment = str(status.get("ErrorComment", ""))
        if code in {0x0000, 0xB000}:
            return code, comment
        raise _failure(peer, code, comment, settings)
    raise no_answer(peer, "C-MOVE", settings, time.monotonic() - last_s)


def _failure(peer: Peer, code: int, comment: str, settings: NodeSettings) -> MoveFailed:
    meaning = MEANINGS.get(code, "unable to process")
    message = f"{peer} answers C-MOVE with status {code:04X}, {meaning}" + (f": {comment}" if comment else "")
    kind = MoveDestinationUnknown if code == 0xA801 else MoveFailed
    return kind(message, status=f"{code:04X}", comment=comment, destination=settings.ae_title)


def _require_complete(report: RetrieveReport, peer: Peer) -> None:
    missing = report.missing
    if missing:
        named = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        raise RetrieveIncomplete(
            f"{len(report.arrived)} of {len(report.requested)} instances arrived from {peer} although the final status "
            f"was {report.status:04X} ({MEANINGS.get(report.status, 'unknown')}"
            f"{': ' + report.comment if report.comment else ''}); missing: {named}",
            missing=list(missing),
            requested=len(report.requested),
            status=f"{report.status:04X}",
        )
