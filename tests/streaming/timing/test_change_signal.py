"""ChangeSignal wakes a waiter when its condition holds, and only then."""

from __future__ import annotations

import asyncio
import gc

import pytest

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


class TestHandlers:
    """What acts on a change instead of waking a task."""

    def test_a_handler_runs_at_every_notify_until_it_is_done(self) -> None:
        """Within the call; its task goes on after the last one."""

        async def scenario() -> None:
            changed, calls = ChangeSignal(), 0

            def handler() -> bool:
                nonlocal calls
                calls += 1
                return calls == 3

            handling = asyncio.create_task(changed.handle_until(handler))
            await asyncio.sleep(0)
            for count in (1, 2, 3):
                changed.notify()
                assert calls == count
            changed.notify()
            assert calls == 3, "it is done, though its task did not run yet"
            await handling

        run(scenario())

    def test_conditions_see_what_handlers_did(self) -> None:
        """Even if the waiter came first."""

        async def scenario() -> None:
            changed, done = ChangeSignal(), False

            def handler() -> bool:
                nonlocal done
                done = True
                return True

            waiting = asyncio.create_task(changed.wait_until(lambda: done))
            await asyncio.sleep(0)
            handling = asyncio.create_task(changed.handle_until(handler))
            await asyncio.sleep(0)
            changed.notify()
            await asyncio.gather(waiting, handling)

        run(scenario())

    def test_an_error_of_a_handler_is_raised_in_its_task(self) -> None:
        """Not in the one that notifies, nor in other handlers."""

        async def scenario() -> None:
            changed, calls = ChangeSignal(), 0

            def broken() -> bool:
                raise ZeroDivisionError("planted")

            def sound() -> bool:
                nonlocal calls
                calls += 1
                return True

            failing, other = [asyncio.create_task(changed.handle_until(handler)) for handler in (broken, sound)]
            await asyncio.sleep(0)
            changed.notify()
            await other
            with pytest.raises(ZeroDivisionError, match="planted"):
                await failing
            changed.notify()
            assert calls == 1

        run(scenario())

    def test_a_cancelled_handler_is_removed(self, caplog: pytest.LogCaptureFixture) -> None:
        """Also one that has just failed: its error is no exception that nobody retrieved."""

        async def scenario() -> None:
            changed, calls = ChangeSignal(), 0

            def broken() -> bool:
                nonlocal calls
                calls += 1
                raise ZeroDivisionError("planted")

            for notifies in (0, 1):
                handling = asyncio.create_task(changed.handle_until(broken))
                await asyncio.sleep(0)
                for _ in range(notifies):
                    changed.notify()
                handling.cancel()
                await asyncio.wait((handling,))
                assert handling.cancelled()
                before = calls
                changed.notify()
                assert calls == before
            del handling
            gc.collect()

        run(scenario())
        assert not caplog.records
