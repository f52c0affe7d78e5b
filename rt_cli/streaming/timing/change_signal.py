"""Wakes tasks that wait for a change."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ChangeSignal:
    """A signal of changes. Each waiter has a condition and wakes only if its condition holds.

    Args:
        also: A second signal, notified together with this one. Per-chunk waiters use that one, so that waiters here are
            not woken for every chunk.
    """

    def __init__(self, also: ChangeSignal | None = None) -> None:
        self._waiters: dict[asyncio.Future[None], Callable[[], bool]] = {}
        self._also = also

    def notify(self) -> None:
        """Wake the waiters whose condition holds now. Call it on the thread of the event loop."""
        # Checking a condition here is much cheaper than waking a task to check it.
        for waiter, holds in tuple(self._waiters.items()):
            if not waiter.done() and holds():
                waiter.set_result(None)
        if self._also is not None:
            self._also.notify()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when ``condition`` holds; every :meth:`notify` checks it again. Safe to cancel."""
        while not condition():
            await self.wait_notified(condition)

    async def wait_notified(self, condition: Callable[[], bool]) -> None:
        """Return after a :meth:`notify` at which ``condition`` held; it may no longer hold. Safe to cancel.

        For callers that check the condition themselves before and after.
        """
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = condition
        try:
            await waiter
        finally:
            del self._waiters[waiter]
