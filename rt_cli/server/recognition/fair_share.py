"""Fair sharing of an engine with a limited number of slots between sessions."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class FairShare:
    """One session's access to an engine.

    Each session waits for a slot with one task at a time, and the semaphore serves waiting sessions in order. With
    ``n`` busy sessions, each session gets every ``n``-th slot, no matter how much work one of them has.

    Args:
        slots: The slots of the engine, shared by all of its sessions.
    """

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._first = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold a slot during the block. Cancellation while waiting takes no slot."""
        async with self._first, self._slots:
            yield
