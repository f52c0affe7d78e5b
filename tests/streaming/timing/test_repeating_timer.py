"""RepeatingTimer calls a function repeatedly, each time at the moment that the function returned."""

from __future__ import annotations

import asyncio
import time

import pytest

from rt_cli.clock import SystemClock
from rt_cli.streaming.timing.repeating_timer import RepeatingTimer
from tests.fakes import FakeClock, run


def test_calls_are_at_the_returned_times() -> None:
    """Each call returns the time of the next one, and None ends the timer."""
    clock = FakeClock()
    called: list[float] = []

    def function() -> float | None:
        called.append(clock.now())
        return clock.now() + 1.5 if len(called) < 4 else None

    run(RepeatingTimer(clock, function).run())
    assert called == [100.0, 101.5, 103.0, 104.5]


def test_a_past_time_means_a_call_at_once() -> None:
    """A late timer catches up without a loop iteration in between."""
    clock, turns = FakeClock(), []

    def function() -> float | None:
        turns.append(clock.now())
        return 100.0 + len(turns) - 50 if len(turns) < 5 else None

    run(RepeatingTimer(clock, function).run())
    assert turns == [100.0] * 5


def test_times_are_those_of_the_monotonic_clock() -> None:
    """No call is early, and no call waits for the one before."""
    due: list[float] = []
    late: list[float] = []
    began = time.monotonic()

    def function() -> float | None:
        if due:
            late.append(time.monotonic() - due[-1])
        due.append(began + 0.01 * (len(due) + 1))
        return due[-1] if len(due) <= 10 else None

    run(RepeatingTimer(SystemClock(), function).run())
    assert len(late) == 10
    assert min(late) >= 0


def test_run_raises_the_exceptions_of_the_function() -> None:
    """Also from a timer callback, where the event loop would only print it."""
    times = iter([101.0, None])

    def function() -> float | None:
        if (due := next(times)) is None:
            raise ValueError("planted")
        return due

    with pytest.raises(ValueError, match="planted"):
        run(RepeatingTimer(FakeClock(), function).run())


def test_cancellation_stops_the_calls() -> None:
    """The timer ends with its task."""
    called: list[float] = []

    async def scenario() -> int:
        clock, thrice = SystemClock(), asyncio.Event()

        def function() -> float:
            called.append(clock.now())
            if len(called) == 3:
                thrice.set()
            return clock.now() + 0.01

        running = asyncio.create_task(RepeatingTimer(clock, function).run())
        await thrice.wait()
        running.cancel()
        await asyncio.wait((running,))
        before = len(called)
        await asyncio.sleep(0.05)
        return before

    assert run(scenario()) == len(called)


def test_fire_now_calls_at_once() -> None:
    """Whatever the next time; without effect before the start and after the end."""

    async def scenario() -> list[str]:
        calls: list[str] = []
        over = False

        def function() -> float | None:
            calls.append("timer")
            return None if over else time.monotonic() + 3600

        timer = RepeatingTimer(SystemClock(), function)
        timer.fire_now()
        running = asyncio.create_task(timer.run())
        await asyncio.sleep(0)
        calls.append("between")
        over = True
        timer.fire_now()
        timer.fire_now()
        await running
        timer.fire_now()
        return calls

    assert run(scenario()) == ["timer", "between", "timer"]
