"""LoopMonitor detects event-loop lag and system suspends, and nothing else."""

from __future__ import annotations

import asyncio
import time

import pytest

from rt_cli.clock import SystemClock
from rt_cli.streaming.timing.suspend import Lagged, LoopMonitor, Suspended, asleep_s, watch
from tests.fakes import run


@pytest.mark.parametrize(
    ("late_s", "slept_s", "expected"),
    [
        (0.0, 0.0, []),
        (0.049, 0.0, []),
        (0.2, 0.0, [Lagged(0.2)]),
        (0.0, 4.9, []),
        (0.2, 60.0, [Suspended(60.0)]),
        (0.0, -3600.0, []),
    ],
    ids=["in time", "nearly", "held up", "a nap", "suspended", "a step back"],
)
def test_check(late_s: float, slept_s: float, expected: list[Lagged | Suspended]) -> None:
    """One check."""
    monitor = LoopMonitor(asleep=10.0)

    seen = monitor.check(due=100.0, now=100.0 + late_s, asleep=10.0 + slept_s)

    assert [(type(each), round(each.seconds, 6)) for each in seen] == [(type(e), e.seconds) for e in expected]


def test_lag_is_reported_once_a_minute() -> None:
    """However often it happens."""
    monitor = LoopMonitor(asleep=0.0)
    reports = [monitor.check(due=float(now), now=now + 0.1 + now / 1000, asleep=0.0) for now in range(0, 130, 10)]

    assert [index for index, events in enumerate(reports) if events] == [0, 6, 12]


def test_an_hour_on_the_wall_clock_is_no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """NTP may step the time of day by any amount."""
    before = asleep_s()
    monkeypatch.setattr(time, "time", lambda: 0.0)

    assert asleep_s() == pytest.approx(before, abs=0.1)


def test_a_blocked_loop_is_measured() -> None:
    """A real loop, blocked for 0.2 s."""

    async def scenario() -> list[Lagged | Suspended]:
        seen: list[Lagged | Suspended] = []
        monitor = LoopMonitor(asleep_s())
        task = asyncio.create_task(watch(monitor, SystemClock(), seen.append))
        await asyncio.sleep(0.05)
        time.sleep(0.4)  # noqa: ASYNC251 - the fault
        await asyncio.sleep(0.15)
        task.cancel()
        return seen

    seen = run(scenario())

    assert isinstance(seen[0], Lagged)
    assert seen[0].seconds > 0.1
