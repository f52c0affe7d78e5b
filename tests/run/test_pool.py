"""The pool: a limit of parallel items, their order, and a lower limit later."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.run.pool import Pool
from tests.fakes import run


class Work:
    """Items that end on request."""

    def __init__(self, limit: int) -> None:
        self.starts: list[int] = []
        self.running: set[int] = set()
        self.most = 0
        self.may_begin = True
        self.pool: Pool[int] = Pool(limit, self._may_begin)
        self._ends: dict[int, asyncio.Event] = {}

    async def _may_begin(self) -> bool:
        await asyncio.sleep(0)
        return self.may_begin

    async def act(self, item: int) -> None:
        """Run until :meth:`end`."""
        self.starts.append(item)
        self.running.add(item)
        self.most = max(self.most, len(self.running))
        self._ends[item] = asyncio.Event()
        await self._ends[item].wait()
        self.running.remove(item)

    async def end(self, item: int) -> None:
        """End one item, and let the pool react."""
        self._ends[item].set()
        await settle()


async def settle() -> None:
    """Let all ready tasks run."""
    for _ in range(20):
        await asyncio.sleep(0)


@given(st.integers(1, 9), st.integers(0, 12), st.randoms())
def test_each_item_once_in_order(limit: int, items: int, random: object) -> None:
    """In any order of endings, the pool runs exactly as many items as the limit permits."""

    async def test() -> None:
        work = Work(limit)
        running = asyncio.create_task(work.pool.each(range(items), work.act))
        await settle()
        for ended in range(items):
            assert len(work.running) == min(limit, items - ended)
            await work.end(random.choice(sorted(work.running)))  # type: ignore[attr-defined]  # hypothesis's Random
        await running
        assert work.starts == list(range(items))
        assert work.most == min(limit, items)

    run(test())


def test_shrink() -> None:
    """After ``shrink()``, running items go on, and new ones start only below the new limit, which is at least 1."""

    async def test() -> None:
        work = Work(4)
        running = asyncio.create_task(work.pool.each(range(8), work.act))
        await settle()
        assert work.pool.shrink(0)
        assert not work.pool.shrink(3)
        for item in range(3):
            await work.end(item)
        assert work.running == {3}
        for item in range(3, 8):
            assert work.running == {item}
            await work.end(item)
        await running
        assert work.starts == list(range(8))

    run(test())


def test_stop_starting_items() -> None:
    """Running items end; no new ones start."""

    async def test() -> None:
        work = Work(2)
        running = asyncio.create_task(work.pool.each(range(8), work.act))
        await settle()
        work.may_begin = False
        await work.end(0)
        await work.end(1)
        await running
        assert work.starts == [0, 1]

    run(test())


def test_exception_ends_the_pool() -> None:
    """An exception of an item ends the pool and is raised."""

    async def broken(_item: int) -> None:
        raise ZeroDivisionError

    async def test() -> None:
        with pytest.raises(ExceptionGroup):
            await Work(2).pool.each(range(8), broken)

    run(test())
