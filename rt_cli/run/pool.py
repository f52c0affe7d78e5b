"""Work on several sources in parallel, up to a limit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

Item = TypeVar("Item")


class Pool(Generic[Item]):
    """Starts items in their order, and runs up to ``limit`` of them in parallel.

    Args:
        limit: The most items in progress.
        may_begin: Awaited before each item. False stops the pool from starting more.
    """

    def __init__(self, limit: int, may_begin: Callable[[], Awaitable[bool]]) -> None:
        self._limit = limit
        self._may_begin = may_begin
        self._workers = 0

    def shrink(self, limit: int) -> bool:
        """Lower the limit, but not below 1. Items in progress go on. True if the new limit is lower."""
        fewer = max(1, limit) < self._limit
        self._limit = min(self._limit, max(1, limit))
        return fewer

    async def each(self, items: Sequence[Item], act: Callable[[Item], Awaitable[None]]) -> None:
        """Call ``act`` for each item. The part of ``act`` before its first await runs in the order of the items.

        Cancelling this call cancels all items in progress. An exception of ``act`` does the same.
        """
        remaining = iter(items)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(self._limit, len(items))):
                self._workers += 1
                tasks.create_task(self._work(remaining, act))

    async def _work(self, remaining: Iterator[Item], act: Callable[[Item], Awaitable[None]]) -> None:
        try:
            while self._workers <= self._limit and await self._may_begin():
                for item in remaining:
                    await act(item)
                    break
                else:
                    return
        finally:
            self._workers -= 1
