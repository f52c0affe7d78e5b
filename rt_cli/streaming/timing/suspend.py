"""Detects event-loop lag and system suspends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec import Struct

from rt_cli.streaming.timing.repeating_timer import RepeatingTimer
from rt_cli.streaming.timing.ticks import next_tick

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.clock import Clock

EVERY_S = 0.2
LAG_S = 0.05
"""Longest time that code may block the event loop."""
COSTLY_LAG_S = 0.5
"""Lag from which on it is felt: words come late, and a device's buffer may overflow."""
SUSPENDED_S = 5.0
"""Shortest suspend to report; a shorter one looks like a stalled network."""
_REPORT_AGAIN_S = 60.0


def asleep_s() -> float:
    """Return the seconds that the machine was suspended since boot; always 0 on a system without CLOCK_BOOTTIME.

    The wall clock is no measure: it is set and stepped for other reasons.
    """
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boot) - time.clock_gettime(time.CLOCK_MONOTONIC) if boot is not None else 0.0


class Lagged(Struct, frozen=True):
    """The event loop ran late."""

    seconds: float


class Suspended(Struct, frozen=True):
    """The machine was suspended."""

    seconds: float


class LoopMonitor:
    """Detects lag and suspends from times. Pure.

    Args:
        asleep: Total suspended time at present, seconds.
    """

    def __init__(self, asleep: float) -> None:
        self._asleep = asleep
        self._reported_at: float | None = None
        self._reported_costly = False

    def check(self, *, due: float, now: float, asleep: float) -> list[Lagged | Suspended]:
        """Return the events of one check. Lag is reported once a minute at most, and once more if it is costly.

        Args:
            due: Time at which the check was due, seconds.
            now: Time of the check, seconds.
            asleep: Total suspended time, seconds.
        """
        suspended, self._asleep = asleep - self._asleep, asleep
        if suspended >= SUSPENDED_S:
            return [Suspended(suspended)]
        lag = now - due
        recent = self._reported_at is not None and now - self._reported_at < _REPORT_AGAIN_S
        costly = lag >= COSTLY_LAG_S
        if lag < LAG_S or (recent and (self._reported_costly or not costly)):
            return []
        self._reported_at, self._reported_costly = now, costly
        return [Lagged(lag)]


async def watch(
    monitor: LoopMonitor,
    clock: Clock,
    on_event: Callable[[Lagged | Suspended], None],
    asleep: Callable[[], float] = asleep_s,
    *,
    since: float = 0.0,
) -> None:
    """Check five times a second, at common ticks that start at ``since`` (seconds), until cancellation."""
    due = clock.now()

    def check() -> float:
        nonlocal due
        now = clock.now()
        for event in monitor.check(due=due, now=now, asleep=asleep()):
            on_event(event)
        due = next_tick(now, since, EVERY_S)
        return due

    await RepeatingTimer(clock, check).run()
