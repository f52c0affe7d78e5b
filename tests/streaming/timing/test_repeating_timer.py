"""What is done again and again, each time at its moment."""

from __future__ import annotations

import asyncio
import time

import pytest

from rt_cli.clock import SystemClock
from rt_cli.streaming.timing.repeating_timer import RepeatingTimer
from tests.fakes import FakeClock, run


def test_it_is_called_when_it_says() -> None:
    """Each call names the next moment, and None is the end."""
    clock = FakeClock()
    called: list[float] = []

    def beat() -> float | None:
        called.append(clock.now())
        return clock.now() + 1.5 if len(called) < 4 else None

    run(RepeatingTimer(clock, beat).run())
    assert called == [100.0, 101.5, 103.0, 104.5]


def test_what_has_passed_is_called_at_once() -> None:
    """Somebody late catches up without a turn of the loop in between."""
    clock, turns = FakeClock(), []

    def beat() -> float | None:
        turns.append(clock.now())
        return 100.0 + len(turns) - 50 if len(turns) < 5 else None

    run(RepeatingTimer(clock, beat).run())
    assert turns == [100.0] * 5


def test_the_clock_of_the_machine_is_kept() -> None:
    """Moments are those of ``time.monotonic``: none is too early, and none waits for the one before."""
    due: list[float] = []
    late: list[float] = []
    began = time.monotonic()

    def beat() -> float | None:
        if due:
            late.append(time.monotonic() - due[-1])
        due.append(began + 0.01 * (len(due) + 1))
        return due[-1] if len(due) <= 10 else None

    run(RepeatingTimer(SystemClock(), beat).run())
    assert len(late) == 10
    assert min(late) >= 0


def test_what_it_raises_is_raised_where_it_is_waited_for() -> None:
    """Also from a timer, where the event loop would only print it."""
    beats = iter([101.0, None])

    def beat() -> float | None:
        if (due := next(beats)) is None:
            raise ValueError("planted")
        return due

    with pytest.raises(ValueError, match="planted"):
        run(RepeatingTimer(FakeClock(), beat).run())


def test_cancelled_it_calls_no_more() -> None:
    """The timer goes with whoever waited."""
    called: list[float] = []

    async def scenario() -> int:
        clock, thrice = SystemClock(), asyncio.Event()

        def beat() -> float:
            called.append(clock.now())
            if len(called) == 3:
                thrice.set()
            return clock.now() + 0.01

        running = asyncio.create_task(RepeatingTimer(clock, beat).run())
        await thrice.wait()
        running.cancel()
        await asyncio.wait((running,))
        before = len(called)
        await asyncio.sleep(0.05)
        return before

    assert run(scenario()) == len(called)


def test_hurried_it_is_called_now() -> None:
    """Whatever moment it had named; before it runs and after its end nothing happens."""

    async def scenario() -> list[str]:
        said: list[str] = []
        over = False

        def beat() -> float | None:
            said.append("beat")
            return None if over else time.monotonic() + 3600

        timer = RepeatingTimer(SystemClock(), beat)
        timer.fire_now()
        running = asyncio.create_task(timer.run())
        await asyncio.sleep(0)
        said.append("hurried")
        over = True
        timer.fire_now()
        timer.fire_now()
        await running
        timer.fire_now()
        return said

    assert run(scenario()) == ["beat", "hurried", "beat"]
