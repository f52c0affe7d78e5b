"""Several sources at once, but not too many."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

Item = TypeVar("Item")


class Pool(Generic[Item]):
    """Works on items in their order, so many at once.

    Args:
        limit: At once.
        may_begin: Waited for before each item; False for no more.
    """

    def __init__(self, limit: int, may_begin: Callable[[], Awaitable[bool]]) -> None:
        self._limit = limit
        self._may_begin = may_begin
        self._workers = 0

    def shrink(self, limit: int) -> bool:
        """From now on at most so many, but always one: no item that has begun is given up. True if that is fewer."""
        fewer = max(1, limit) < self._limit
        self._limit = min(self._limit, max(1, limit))
        return fewer

    async def each(self, items: Sequence[Item], act: Callable[[Item], Awaitable[None]]) -> None:
        """Do something with each item. The part of ``act`` before it first waits runs in the order of the items.

        Cancelling cancels what has begun. What ``act`` raises ends everything.
        """
        waiting = iter(items)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(self._limit, len(items))):
                self._workers += 1
                tasks.create_task(self._work(waiting, act))

    async def _work(self, waiting: Iterator[Item], act: Callable[[Item], Awaitable[None]]) -> None:
        try:
            while self._workers <= self._limit and await self._may_begin():
                for item in waiting:
                    await act(item)
                    break
                else:
                    return
        finally:
            self._workers -= 1
