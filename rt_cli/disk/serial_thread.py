"""A thread for what may block, in order: writing to a disk must not slow the capture of sound."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class SerialThread:
    """Does one thing after the other.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._acts: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon: a disk that never answers must not keep the process.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, act: Callable[[], None]) -> None:
        """Do it soon. Returns at once; any thread may call it.

        Args:
            act: Must not raise; what is handed over after :meth:`close` is not done.
        """
        self._acts.put(act)

    def close(self, deadline_s: float | None = None) -> bool:
        """Do what waits and end. Blocks; idempotent.

        Returns:
            Whether all is done; False if it took longer than ``deadline_s``.
        """
        self._acts.put(None)
        self._thread.join(deadline_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (act := self._acts.get()) is not None:
            act()
