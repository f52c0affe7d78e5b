"""One background thread that runs blocking jobs in order, so that disk writes do not delay audio capture."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class SerialThread:
    """A thread that runs one job after the other.

    Args:
        name: Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon thread, because a disk that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, job: Callable[[], None]) -> None:
        """Queue a job and return at once. Thread-safe.

        Args:
            job: Must not raise. A job that is queued after :meth:`close` does not run.
        """
        self._jobs.put(job)

    def close(self, deadline_s: float | None = None) -> bool:
        """Run the queued jobs and end the thread. Blocks; idempotent.

        Returns:
            True if all jobs are done; False if they take longer than ``deadline_s``.
        """
        self._jobs.put(None)
        self._thread.join(deadline_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
