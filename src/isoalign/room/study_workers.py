"""Who runs the cases of a study: a pool of processes here, or the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Protocol

from isoalign.room.errors import SchedulerUnreachable, WorkersLost
from isoalign.room.study_cases import Row, StudyPlan, run_case

Pair = tuple[str, int]
MOST_LOSSES = 3
"""A case during which workers died so often is given up."""
CONNECT_S = 8.0


class Workers(Protocol):
    """Runs cases in any order."""

    def run(self, plan: StudyPlan, pairs: Sequence[Pair]) -> Iterator[Row]:
        """The rows as they are finished; closing the iterator cancels the rest."""


def quiet_threads(threads: int) -> None:
    """Let the kernels of this process use so many threads."""
    import numba

    numba.set_num_threads(max(1, min(threads, numba.get_num_threads())))


class LocalWorkers:
    """Processes of this computer.

    A process that dies takes its case along only when that happens again and again: the pool is made anew and the
    unfinished cases are given out again.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    def run(self, plan: StudyPlan, pairs: Sequence[Pair]) -> Iterator[Row]:
        """See :class:`Workers`.

        Raises
        ------
        WorkersLost
        """
        waiting, losses = list(pairs), 0
        while waiting:
            try:
                for row in self._pass(plan, waiting):
                    waiting.remove((row["kind"], row["number"]))
                    yield row
            except BrokenProcessPool as problem:
                losses += 1
                if losses >= MOST_LOSSES:
                    raise WorkersLost(
                        f"worker processes died {losses} times; {len(waiting)} cases are left"
                    ) from problem

    def _pass(self, plan: StudyPlan, pairs: Sequence[Pair]) -> Iterator[Row]:
        threads = len(os.sched_getaffinity(0)) // self._count
        pool = ProcessPoolExecutor(self._count, get_context("spawn"), quiet_threads, (threads,))
        try:
            futures: list[Future[Row]] = [pool.submit(run_case, plan, *pair) for pair in pairs]
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class DaskWorkers:
    """The workers of a Dask cluster; the scheduler gives the case of a worker that died to another one."""

    def __init__(self, address: str) -> None:
        self._address = address

    def run(self, plan: StudyPlan, pairs: Sequence[Pair]) -> Iterator[Row]:
        """See :class:`Workers`.

        Raises
        ------
        SchedulerUnreachable, WorkersLost
        """
        try:
            import distributed
        except ImportError as problem:
            raise SchedulerUnreachable(
                "a study on a cluster needs the package distributed", hint="pip install distributed"
            ) from problem
        try:
            client = distributed.Client(self._address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as problem:
            raise SchedulerUnreachable(f"no Dask scheduler answers at {self._address}: {problem}") from problem
        futures = []
        try:
            futures = [client.submit(run_case, plan, *pair, pure=False, retries=MOST_LOSSES) for pair in pairs]
            for future in distributed.as_completed(futures, loop=client.loop):
                yield future.result()
        except distributed.KilledWorker as problem:
            raise WorkersLost(f"workers of the cluster died again and again: {problem}") from problem
        finally:
            with contextlib.suppress(OSError, TimeoutError, distributed.comm.CommClosedError):
                client.cancel(futures)
            client.close()
