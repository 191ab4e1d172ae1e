"""Sending what waits in an outbox, until the peer has it.

A success or warning ends an entry. What may heal (no answer, out of resources, a general failure) is tried again after
a growing delay; what cannot heal (the peer does not know the SOP class, the data set does not match it, the file is
gone) is given up at once, and everything is given up after the last attempt. Given up means: a person has to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from isoalign.clock import Clock
from isoalign.dicom.node.send import NOT_ACCEPTED, StoreResult, WholeFile, send
from isoalign.dicom.node.settings import NodeSettings, Peer
from isoalign.dicom.ports import Outbox, OutboxEntry
from isoalign.errors import DicomNetworkError, InputDataError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again: ``first_delay_s`` doubled for each further attempt, at most ``longest_delay_s``."""

    first_delay_s: float = 5.0
    longest_delay_s: float = 900.0
    most_attempts: int = 12

    def delay_s(self, attempts: int) -> float:
        """Seconds to wait after this many attempts."""
        return float(min(self.first_delay_s * 2.0 ** (max(attempts, 1) - 1), self.longest_delay_s))


def drain_outbox(
    outbox: Outbox,
    peer: Peer,
    settings: NodeSettings,
    *,
    clock: Clock,
    policy: RetryPolicy | None = None,
    limit: int = 100,
    progress: Callable[[int], None] | None = None,
) -> tuple[StoreResult, ...]:
    """One round over the entries for ``peer`` that are due, over one association.

    Parameters
    ----------
    peer : Peer
        Entries are found by its AE title.
    limit : int
        Most entries of one round.
    progress : callable, optional
        Called as ``progress(answered)``.

    Returns
    -------
    tuple of StoreResult
        What the peer answered. Entries without an answer are back in the queue; the reason is in their comment and
        in the log, never raised: waiting is what an outbox is for.
    """
    entries = outbox.claim_due(peer.ae_title, clock.utc(), limit)
    return _Round(outbox, clock, policy or RetryPolicy(), progress).run(peer, entries, settings) if entries else ()


class _Round:
    def __init__(
        self, outbox: Outbox, clock: Clock, policy: RetryPolicy, progress: Callable[[int], None] | None
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._policy = policy
        self._progress = progress
        self._open: dict[str, OutboxEntry] = {}
        self._results: list[StoreResult] = []

    def run(self, peer: Peer, entries: Sequence[OutboxEntry], settings: NodeSettings) -> tuple[StoreResult, ...]:
        """Send entries in order; those that got no answer wait for the next round."""
        self._open = {entry.sop_instance_uid: entry for entry in entries}
        try:
            send(peer, self._files(entries), settings, on_result=self._settle, on_progress=self._progress)
        except DicomNetworkError as error:
            log.warning("outbox waits", peer=peer.ae_title, code=error.code, reason=error.message)
            for entry in self._open.values():
                self._later(entry, None, error.message)
        return tuple(self._results)

    def _files(self, entries: Sequence[OutboxEntry]) -> Iterator[WholeFile]:
        for entry in entries:
            try:
                file = WholeFile.read(Path(entry.file_name))
            except InputDataError as error:
                del self._open[entry.sop_instance_uid]
                self._give_up(entry, None, error.message)
                continue
            yield file

    def _settle(self, result: StoreResult) -> None:
        self._results.append(result)
        entry = self._open.pop(result.sop_instance_uid)
        comment = result.comment or result.meaning
        if result.is_stored:
            self._outbox.mark_sent(entry.entry_id, status=result.status, comment=comment, at=self._clock.utc())
        elif result.status == NOT_ACCEPTED or result.status >> 8 == 0xA9:
            self._give_up(entry, result.status, comment)
        else:
            self._later(entry, result.status, comment)

    def _later(self, entry: OutboxEntry, status: int | None, comment: str) -> None:
        if entry.attempts >= self._policy.most_attempts:
            self._give_up(entry, status, comment)
            return
        now = self._clock.utc()
        next_try_at = now + timedelta(seconds=self._policy.delay_s(entry.attempts))
        self._outbox.mark_retry(entry.entry_id, status=status, comment=comment, at=now, next_try_at=next_try_at)

    def _give_up(self, entry: OutboxEntry, status: int | None, comment: str) -> None:
        log.error("object not sent", sop_instance_uid=entry.sop_instance_uid, reason=comment)
        self._outbox.mark_failed(entry.entry_id, status=status, comment=comment, at=self._clock.utc())
