"""ChangeSignal wakes a waiter when its condition holds, and only then."""

from __future__ import annotations

import asyncio

from rt_cli.streaming.timing.change_signal import ChangeSignal
from tests.fakes import run


def test_notify_wakes_only_waiters_whose_condition_holds() -> None:
    """The others stay asleep."""

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


def test_notify_also_notifies_the_second_signal() -> None:
    """But notifying the second one does not notify the first."""

    async def scenario() -> None:
        checks: list[str] = []

        def check(who: str) -> bool:
            checks.append(who)
            return False

        sound = ChangeSignal()
        changed = ChangeSignal(also=sound)
        waiters = [
            asyncio.create_task(changed.wait_notified(lambda: check("change"))),
            asyncio.create_task(sound.wait_notified(lambda: check("sound"))),
        ]
        await asyncio.sleep(0)
        sound.notify()
        assert checks == ["sound"]
        changed.notify()
        assert checks == ["sound", "change", "sound"]
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)

    run(scenario())


def test_wait_until_returns_at_once_if_the_condition_holds() -> None:
    """Without a notify."""
    run(ChangeSignal().wait_until(lambda: True), seconds=5)


def test_wait_notified_waits_even_if_the_condition_holds() -> None:
    """It returns only after a notify."""

    async def scenario() -> None:
        changed = ChangeSignal()
        waiter = asyncio.create_task(changed.wait_notified(lambda: True))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiter.done()
        changed.notify()
        await waiter

    run(scenario())


def test_a_cancelled_waiter_is_removed() -> None:
    """Its condition is not checked again."""

    async def scenario() -> None:
        changed, checks = ChangeSignal(), 0

        def condition() -> bool:
            nonlocal checks
            checks += 1
            return False

        waiter = asyncio.create_task(changed.wait_until(condition))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait((waiter,))
        before = checks
        changed.notify()
        assert checks == before

    run(scenario())
