"""Wakes whoever waits for a change."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ChangeSignal:
    """Rung on a change; waiters look for themselves whether it was theirs.

    Args:
        also: Rung with this one: a kind of change so frequent that the others are spared it.
    """

    def __init__(self, also: ChangeSignal | None = None) -> None:
        self._waiters: dict[asyncio.Future[None], Callable[[], bool]] = {}
        self._also = also

    def notify(self) -> None:
        """Wake those whose condition holds now. Call it on the event loop's thread."""
        # To look is much cheaper than to wake a task that looks.
        for waiter, holds in tuple(self._waiters.items()):
            if not waiter.done() and holds():
                waiter.set_result(None)
        if self._also is not None:
            self._also.notify()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when ``condition`` holds, looking again at every ring. Safe to cancel."""
        while not condition():
            await self.wait_notified(condition)

    async def wait_notified(self, condition: Callable[[], bool]) -> None:
        """Return after a ring at which ``condition`` held; perhaps it does no more. Safe to cancel.

        For those who have just looked, and will look again.
        """
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = condition
        try:
            await waiter
        finally:
            del self._waiters[waiter]
