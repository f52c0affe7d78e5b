"""The clock of the system: its timers."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

from rt_cli.clock import SystemClock
from tests.fakes import run


def test_calls_of_a_millisecond_share_a_timer() -> None:
    """In their order, none early, and what was cancelled is not called."""
    called: list[tuple[str, float]] = []
    clock = SystemClock()

    async def scenario() -> int:
        loop = asyncio.get_running_loop()
        due = (int(clock.now() * 1000) + 20) / 1000
        timers: list[float] = []
        original = loop.call_at

        def call_at(when: float, *args: Any, **options: Any) -> asyncio.TimerHandle:
            timers.append(when)
            return original(when, *args, **options)

        loop.call_at = call_at  # type: ignore[method-assign]  # counts the timers of the loop
        for name in ("first", "cancelled", "second"):
            cancel = clock.call_at(due - 0.0004, lambda name=name: called.append((name, clock.now() - due + 0.0004)))  # type: ignore[misc]
            if name == "cancelled":
                cancel()
        await asyncio.sleep(0.05)
        return sum(abs(when - due) < 0.001 for when in timers)

    assert run(scenario()) == 1
    assert [name for name, _ in called] == ["first", "second"]
    assert all(0 <= late < 1 for _, late in called)


def test_an_error_of_one_call_is_none_of_the_others() -> None:
    """The loop hears of it, and the next one is called all the same."""
    errors: list[object] = []
    called = []
    clock = SystemClock()

    def fail() -> None:
        raise ValueError

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context["exception"]))
        due = clock.now() + 0.01
        clock.call_at(due, lambda: called.append(1))
        clock.call_at(due, fail)
        clock.call_at(due, lambda: called.append(2))
        await asyncio.sleep(0.1)

    run(scenario())
    assert called == [1, 2]
    assert [type(error) for error in errors] == [ValueError]


def test_every_loop_has_its_own_timers() -> None:
    """Those of a loop that has ended call nothing."""
    clock = SystemClock()
    called = []

    async def leave_behind() -> None:
        clock.call_at(clock.now() + 0.01, lambda: called.append("old"))

    async def wait() -> None:
        clock.call_at(clock.now() + 0.01, lambda: called.append("new"))
        await asyncio.sleep(0.1)

    run(leave_behind())
    run(wait())
    assert called == ["new"]


def test_a_call_in_the_past_is_made_soon() -> None:
    """And a deadline that is a rounding error behind a millisecond has no other millisecond to wait."""
    clock = SystemClock()

    async def scenario() -> list[float]:
        late = []
        clock.call_at(math.inf, lambda: late.append(math.inf))()
        for due in (clock.now() - 5, (int(time.monotonic() * 1000) + 5) / 1000 + 1e-9):
            done = asyncio.Event()
            clock.call_at(due, done.set)
            await asyncio.wait_for(done.wait(), 5)
            late.append(clock.now() - due)
        return late

    assert 0 <= run(scenario())[1] < 0.5
