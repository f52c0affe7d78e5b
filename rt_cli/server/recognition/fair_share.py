"""How sessions share an engine that does a bounded number of things at once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class FairShare:
    """One session's turns at an engine.

    A session waits for its next turn with one thing at a time, and those that wait are served in order: with ``n``
    sessions at work each gets every ``n``-th turn, however much one of them has to do.

    Args:
        slots: The engine's, as many as it does things at once; the same for all its sessions.
    """

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._first = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold a slot. Cancelled while it waits, it takes none."""
        async with self._first, self._slots:
            yield
