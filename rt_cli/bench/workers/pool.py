"""Spreads the sessions of a bench over worker processes."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from rt_cli.bench.level import merge
from rt_cli.bench.workers.worker import Worker
from rt_cli.errors import RtError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rt_cli.bench.level import SessionResult, Tally
    from rt_cli.bench.levels import Place
    from rt_cli.bench.workers.job import BenchJob
    from rt_cli.bench.workers.messages import Measured
    from rt_cli.clock import Clock

_READY_S = 60.0


@asynccontextmanager
async def open_workers(
    job: BenchJob, count: int, clock: Clock, on_lost: Callable[[str], None]
) -> AsyncIterator[WorkerPool]:
    """Start worker processes, which end with the block, also if it is cancelled.

    Args:
        job: The job of the sessions.
        count: Number of processes, 1 or more.
        clock: The time.
        on_lost: Receives one line for people when a process ends by itself.

    Raises:
        RtError: The processes do not start.
    """
    pool = WorkerPool(clock, on_lost)
    try:
        await pool.start(job, count)
        yield pool
    finally:
        await pool.aclose()


class WorkerPool:
    """Worker processes, and the sessions that they run. Create with :func:`open_workers`.

    Args:
        clock: The time.
        on_lost: See :func:`open_workers`.
    """

    def __init__(self, clock: Clock, on_lost: Callable[[str], None]) -> None:
        self._clock = clock
        self._on_lost = on_lost
        self._workers: list[Worker] = []
        self._measures: Tally | None = None
        self._closing = False

    @property
    def cpus_s(self) -> list[float]:
        """CPU seconds of each process so far, of this one first."""
        return [time.process_time(), *(worker.cpu_s for worker in self._workers)]

    async def start(self, job: BenchJob, count: int) -> None:
        """Start processes; return when all can run sessions.

        Raises:
            RtError: One does not start.
        """
        try:
            for number in range(1, count + 1):
                on_end = partial(self._on_end, number, count)
                self._workers.append(await Worker.start(job, self._on_report, on_end))
            async with asyncio.timeout(_READY_S):
                for worker in self._workers:
                    await worker.ready.wait()
        except (OSError, TimeoutError) as exc:
            raise _not_started(str(exc) or f"not ready within {_READY_S:.0f} s") from None
        if any(worker.ended for worker in self._workers):
            raise _not_started("it ended at once")

    def open(self, place: Place, measures: Tally) -> RemoteSession:
        """Return a session, which has not begun.

        Args:
            place: Of the session.
            measures: Receives what this and all later sessions measure.
        """
        self._measures = measures
        return RemoteSession(self, place)

    def least_busy(self) -> Worker:
        """Return the process with the fewest sessions; one that has ended only if there is no other."""
        return min(self._workers, key=lambda worker: (worker.ended, worker.running))

    def since(self, moment: float) -> float:
        """Return the seconds since a moment."""
        return self._clock.now() - moment

    async def aclose(self) -> None:
        """End all processes, within seconds."""
        self._closing = True
        async with asyncio.TaskGroup() as tasks:
            for worker in self._workers:
                tasks.create_task(worker.aclose())

    def _on_report(self, report: Measured) -> None:
        if self._measures is not None:  # before the first session nothing was measured
            merge(self._measures, report.measures)

    def _on_end(self, number: int, count: int, sessions: int, reason: str) -> None:
        if not self._closing:
            what = "1 session" if sessions == 1 else f"{sessions} sessions"
            self._on_lost(f"process {number} of {count} ended ({reason}): {what} lost")


class RemoteSession:
    """A session in one of the processes.

    Args:
        pool: Runs it.
        place: Of the session.
    """

    def __init__(self, pool: WorkerPool, place: Place) -> None:
        self._pool = pool
        self._place = place
        self._worker: Worker | None = None
        self._session = 0

    async def run(self) -> SessionResult | None:
        """Run it to its end; return None if its process ends before. Cancellation leaves it to the end of the pool."""
        place = self._place
        self._worker = self._pool.least_busy()
        since_s = self._pool.since(place.level_began)
        self._session, result = self._worker.run_session(place.number, place.round, since_s)
        return await result

    def interrupt(self, exit_code: int) -> None:
        """End it: what was said is answered; the second call ends it at once."""
        if self._worker is not None:
            self._worker.interrupt(self._session, exit_code)


def _not_started(reason: str) -> RtError:
    return RtError(f"a process of the bench does not start: {reason}", "try --workers 1", code="worker")
