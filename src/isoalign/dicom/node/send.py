"""C-STORE as user: several instances on one association, one result each.

Source: DICOM PS3.4 B.2.3; status handling: tables 7 and 8 of the conformance statement.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import VR
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from isoalign.dicom import identity
from isoalign.dicom.errors import RetrieveCancelled, StoreFailed
from isoalign.dicom.node.adaptation import store_encoded
from isoalign.dicom.node.associations import association, no_answer
from isoalign.dicom.node.settings import NodeSettings, Peer
from isoalign.dicom.objects.files import data_set_offset, read_bytes, read_content

WARNINGS = {
    0xB000: "coercion of data elements",
    0xB006: "elements discarded",
    0xB007: "data set does not match SOP class",
}
NOT_ACCEPTED = 0x0122
"""Used as status when the peer accepts no presentation context for the instance (SOP class not supported)."""
PROPOSED_CLASSES = (
    identity.SPATIAL_REGISTRATION,
    identity.RT_STRUCTURE_SET,
    identity.RT_IMAGE,
    identity.CT_IMAGE,
    identity.RT_ION_PLAN,
)
PROPOSED_SYNTAXES: list[str | UID] = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
"""In one context for each SOP class; the peer chooses. Table 6 of the conformance statement."""
SYNTAXES_OF_FILES: list[str | UID] = [ImplicitVRLittleEndian]
"""Where files are sent, a context with these goes before it, in which they go out as they are.

Most peers like explicit VR better where they may choose, and each file would have to be encoded anew.
"""


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What the peer answered for one instance."""

    sop_instance_uid: str
    sop_class_uid: str
    status: int
    comment: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether the peer has it (success or warning)."""
        return self.status == 0x0000 or self.status in WARNINGS

    @property
    def meaning(self) -> str:
        """The status in words."""
        if self.status == 0x0000:
            return "stored"
        if self.status in WARNINGS:
            return f"stored, {WARNINGS[self.status]}"
        if self.status == NOT_ACCEPTED:
            return "refused, SOP class or transfer syntax not accepted"
        if self.status >> 8 == 0xA7:
            return "refused, out of resources"
        if self.status >> 8 == 0xA9:
            return "failed, data set does not match SOP class"
        return "failed"


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A file that has been read and found whole; it is sent byte for byte where the peer takes its transfer syntax.

    ``encoded`` is its data set as the file has it, without the file meta information.
    """

    dataset: FileDataset
    encoded: bytes

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises
        ------
        NotDicom, TruncatedFile
        """
        content = read_content(path)
        return cls(read_bytes(content, str(path)), content[data_set_offset(content) :])


def send(
    peer: Peer,
    datasets: Iterable[Dataset | WholeFile],
    settings: NodeSettings | None = None,
    *,
    calling_ae_title: str | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_result: Callable[[StoreResult], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[StoreResult, ...]:
    """Send instances over one association, in order; the datasets are taken one by one.

    Parameters
    ----------
    calling_ae_title : str, optional
        Instead of the one in ``settings``.
    on_progress : callable, optional
        Called as ``on_progress(answered)`` after each instance.
    on_result : callable, optional
        Called with each result as it comes, so that nothing is lost when the association breaks later.

    Raises
    ------
    PeerUnreachable, AssociationRefused
    AssociationAborted, PeerTimeout
        In the middle; ``facts["results"]`` then counts the instances that were answered before.
    """
    settings = settings or NodeSettings()
    if calling_ae_title is not None:
        settings = replace(settings, ae_title=calling_ae_title)
    waiting = iter(datasets)
    first = next(waiting, None)
    several = (SYNTAXES_OF_FILES, PROPOSED_SYNTAXES) if isinstance(first, WholeFile) else (PROPOSED_SYNTAXES,)
    contexts = [build_context(sop_class, syntaxes) for sop_class in PROPOSED_CLASSES for syntaxes in several]
    results: list[StoreResult] = []

    def note(result: StoreResult) -> None:
        results.append(result)
        if on_result is not None:
            on_result(result)
        if on_progress is not None:
            on_progress(len(results))

    with association(peer, settings, contexts) as established:
        for one in waiting if first is None else itertools.chain((first,), waiting):
            if cancelled():
                raise RetrieveCancelled("sending was cancelled")
            dataset = one.dataset if isinstance(one, WholeFile) else one
            uid, sop_class = str(dataset.SOPInstanceUID), str(dataset.SOPClassUID)
            started_s = time.monotonic()
            try:
                status = _store(established, one, 1 + len(results) % 65_535)
            except ValueError as error:
                # no accepted context, or the dataset cannot be encoded
                note(StoreResult(uid, sop_class, NOT_ACCEPTED, str(error)[:64]))
                continue
            except RuntimeError as error:
                # pynetdicom says so when the association is gone
                raise no_answer(peer, "C-STORE", settings, 0.0) from error
            if "Status" not in status:
                failure = no_answer(peer, "C-STORE", settings, time.monotonic() - started_s)
                failure.facts["results"] = len(results)
                raise failure
            note(StoreResult(uid, sop_class, int(status.Status), str(status.get("ErrorComment", ""))))
    return tuple(results)


def _store(established: Association, one: Dataset | WholeFile, message_id: int) -> Dataset:
    """C-STORE: a file goes out as it is where the peer takes that, otherwise a data set for the library to encode.

    The bytes of 16-bit words are swapped where the peer has chosen big endian: pydicom writes numbers in either order,
    and words (OW) as they are.
    """
    dataset = one.dataset if isinstance(one, WholeFile) else one
    chosen = {
        context.transfer_syntax[0]
        for context in established.accepted_contexts
        if context.abstract_syntax == dataset.SOPClassUID
    }
    if (
        isinstance(one, WholeFile)
        and _says_what_it_holds(one.dataset)
        and one.dataset.file_meta.TransferSyntaxUID in chosen
    ):
        return store_encoded(established, one.encoded, one.dataset.file_meta, message_id)
    if chosen != {ExplicitVRBigEndian}:
        return established.send_c_store(dataset, message_id)
    swapped = correct_ambiguous_vr(copy.deepcopy(dataset), True)
    for element in swapped.iterall():
        if element.VR == VR.OW and element.value:
            element.value = np.frombuffer(element.value, "<u2").astype(">u2").tobytes()
    swapped.file_meta = copy.deepcopy(dataset.file_meta)
    swapped.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    swapped.set_original_encoding(False, False)
    return established.send_c_store(swapped, message_id)


def _says_what_it_holds(dataset: FileDataset) -> bool:
    """Whether the file meta information, which the request is made of, agrees with the data set."""
    meta = dataset.file_meta
    named = (meta.get("MediaStorageSOPClassUID"), meta.get("MediaStorageSOPInstanceUID"))
    return "TransferSyntaxUID" in meta and named == (dataset.SOPClassUID, dataset.SOPInstanceUID)


def require_stored(results: Sequence[StoreResult], peer: Peer) -> None:
    """Refuse results in which an instance was not stored.

    Raises
    ------
    StoreFailed
        Names the instances and the peer's words.
    """
    failed = [one for one in results if not one.is_stored]
    if failed:
        first = failed[0]
        kind = identity.SHORT_NAMES.get(first.sop_class_uid, first.sop_class_uid)
        comment = f" ({first.comment})" if first.comment else ""
        raise StoreFailed(
            f"{peer} did not store {len(failed)} of {len(results)} instances; first: {kind} {first.sop_instance_uid}, "
            f"status {first.status:04X}, {first.meaning}{comment}",
            failed=[{"uid": one.sop_instance_uid, "status": f"{one.status:04X}"} for one in failed],
        )
