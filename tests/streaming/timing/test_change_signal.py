"""Whoever waits is woken when its condition holds, and only then."""

from __future__ import annotations

import asyncio

from rt_cli.streaming.timing.change_signal import ChangeSignal
from tests.fakes import run


def test_a_ring_wakes_only_those_whose_condition_holds() -> None:
    """The others sleep on."""

    async def scenario() -> None:
        changed, count = ChangeSignal(), 0
        waiters = [asyncio.create_task(changed.wait_until(lambda least=least: count >= least)) for least in (1, 2)]
        await asyncio.sleep(0)
        count = 1
        changed.notify()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [waiter.done() for waiter in waiters] == [True, False]
        count = 2
        changed.notify()
        await asyncio.wait(waiters)

    run(scenario())


def test_a_bell_within_another_rings_with_it() -> None:
    """And by itself it disturbs nobody at the other."""

    async def scenario() -> None:
        asked: list[str] = []

        def ask(who: str) -> bool:
            asked.append(who)
            return False

        sound = ChangeSignal()
        changed = ChangeSignal(also=sound)
        waiters = [
            asyncio.create_task(changed.wait_notified(lambda: ask("change"))),
            asyncio.create_task(sound.wait_notified(lambda: ask("sound"))),
        ]
        await asyncio.sleep(0)
        sound.notify()
        assert asked == ["sound"]
        changed.notify()
        assert asked == ["sound", "change", "sound"]
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)

    run(scenario())


def test_until_does_not_wait_for_what_holds_already() -> None:
    """No ring is needed."""
    run(ChangeSignal().until(lambda: True), seconds=5)


def test_rung_waits_for_a_ring_though_the_condition_holds() -> None:
    """Who has just looked wants to know of a change."""

    async def scenario() -> None:
        changed = ChangeSignal()
        waiter = asyncio.create_task(changed.wait_notified(lambda: True))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiter.done()
        changed.notify()
        await waiter

    run(scenario())


def test_who_waits_no_more_is_forgotten() -> None:
    """A waiter that was cancelled is not asked again."""

    async def scenario() -> None:
        changed, asked = ChangeSignal(), 0

        def condition() -> bool:
            nonlocal asked
            asked += 1
            return False

        waiter = asyncio.create_task(changed.wait_until(condition))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait((waiter,))
        before = asked
        changed.notify()
        assert asked == before

    run(scenario())
