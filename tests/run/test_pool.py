"""So many at once, in order, and fewer when told so."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.run.pool import Pool
from tests.fakes import run


class Work:
    """Items that end when they are told to."""

    def __init__(self, limit: int) -> None:
        self.begun: list[int] = []
        self.running: set[int] = set()
        self.most = 0
        self.wanted = True
        self.pool: Pool[int] = Pool(limit, self._may_begin)
        self._ends: dict[int, asyncio.Event] = {}

    async def _may_begin(self) -> bool:
        await asyncio.sleep(0)
        return self.wanted

    async def act(self, item: int) -> None:
        """Run until :meth:`end`."""
        self.begun.append(item)
        self.running.add(item)
        self.most = max(self.most, len(self.running))
        self._ends[item] = asyncio.Event()
        await self._ends[item].wait()
        self.running.remove(item)

    async def end(self, item: int) -> None:
        """Let one end, and what follows from it happen."""
        self._ends[item].set()
        await settle()


async def settle() -> None:
    """Let everything happen that can."""
    for _ in range(20):
        await asyncio.sleep(0)


@given(st.integers(1, 9), st.integers(0, 12), st.randoms())
def test_each_item_once_in_order(limit: int, items: int, random: object) -> None:
    """However they end, there are never more than the limit, nor fewer than there could be."""

    async def test() -> None:
        work = Work(limit)
        running = asyncio.create_task(work.pool.each(range(items), work.act))
        await settle()
        for ended in range(items):
            assert len(work.running) == min(limit, items - ended)
            await work.end(random.choice(sorted(work.running)))  # type: ignore[attr-defined]  # hypothesis's Random
        await running
        assert work.begun == list(range(items))
        assert work.most == min(limit, items)

    run(test())


def test_fewer() -> None:
    """What runs is not given up; no other begins before there is room below the new limit, which is never zero."""

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
        assert work.begun == list(range(8))

    run(test())


def test_no_more() -> None:
    """What has begun ends; the rest does not begin."""

    async def test() -> None:
        work = Work(2)
        running = asyncio.create_task(work.pool.each(range(8), work.act))
        await settle()
        work.wanted = False
        await work.end(0)
        await work.end(1)
        await running
        assert work.begun == [0, 1]

    run(test())


def test_a_bug_ends_everything() -> None:
    """It is not swallowed."""

    async def broken(_item: int) -> None:
        raise ZeroDivisionError

    async def test() -> None:
        with pytest.raises(ExceptionGroup):
            await Work(2).pool.each(range(8), broken)

    run(test())
