"""Wakes tasks that wait for a change, or acts for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ChangeSignal:
    """A signal of changes. Each waiter has a condition and wakes only if its condition holds.

    A condition only looks. What acts is a handler: it runs before the conditions are checked, and its errors belong to
    the task that waits with it.

    Args:
        also: A second signal, notified together with this one. Per-chunk waiters use that one, so that waiters here are
            not woken for every chunk.
    """

    def __init__(self, also: ChangeSignal | None = None) -> None:
        self._waiters: dict[asyncio.Future[None], Callable[[], bool]] = {}
        self._handlers: dict[asyncio.Future[Exception | None], Callable[[], bool]] = {}
        self._also = also

    def notify(self) -> None:
        """Run the handlers, and wake the waiters whose condition holds then. Call it on the thread of the event loop.

        Raises nothing of a handler.
        """
        if self._handlers:
            for handled, handler in tuple(self._handlers.items()):
                _handle(handled, handler)
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

    async def handle_until(self, handler: Callable[[], bool]) -> None:
        """Call ``handler`` at every :meth:`notify`, within that call, and return after it has returned True.

        Waking a task costs more than many a handler does. Raises what the handler raises. Safe to cancel.
        """
        waiter: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._handlers[waiter] = handler
        try:
            error = await waiter
        finally:
            del self._handlers[waiter]
        if error is not None:
            raise error


def _handle(waiter: asyncio.Future[Exception | None], handler: Callable[[], bool]) -> None:
    if waiter.done():
        return
    try:
        if handler():
            waiter.set_result(None)
    except Exception as exc:  # noqa: BLE001 - raised in the task that waits, not in the one that notifies
        # As a result: a task that is cancelled meanwhile must not leave an exception that nobody retrieves.
        waiter.set_result(exc)
