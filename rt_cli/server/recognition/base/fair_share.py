"""Fair sharing of an engine with a limited number of slots between sessions."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Slots:
    """The slots of an engine, shared by all of its sessions.

    Args:
        count: Most holders at once.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.free = count
        """Slots that nobody holds."""
        self._semaphore = asyncio.Semaphore(count)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Hold a slot during the block. Cancellation while waiting takes no slot."""
        async with self._semaphore:
            self.free -= 1
            try:
                yield
            finally:
                self.free += 1


class FairShare:
    """One session's access to an engine.

    Each session waits for a slot with one task at a time, and a semaphore serves waiting sessions in order. With
    ``n`` busy sessions, each session gets every ``n``-th slot, no matter how much work one of them has.

    Args:
        slots: The slots of the engine.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._first = asyncio.Lock()

    @property
    def is_idle(self) -> bool:
        """True if the session holds no slot, and :meth:`turn` would leave one free, or take the only one."""
        return not self._first.locked() and self._slots.free >= min(2, self._slots.count)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold a slot during the block. Cancellation while waiting takes no slot."""
        async with self._first, self._slots.hold():
            yield
