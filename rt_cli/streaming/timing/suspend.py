"""What the machine does to us: a loop that is held up, a lid that is closed."""

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
"""Nothing of ours may hold the event loop for longer."""
SUSPENDED_S = 5.0
"""A shorter sleep is no different from a stalled network."""
_SAY_AGAIN_S = 60.0


def asleep_s() -> float:
    """Seconds that the machine has been suspended since it was started; 0 for ever where that cannot be told.

    Not from the wall clock, which is set and stepped for other reasons.
    """
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boot) - time.clock_gettime(time.CLOCK_MONOTONIC) if boot is not None else 0.0


class Lagged(Struct, frozen=True):
    """The event loop was held up."""

    seconds: float


class Suspended(Struct, frozen=True):
    """The machine slept."""

    seconds: float


class LoopMonitor:
    """Notices both. Pure.

    Args:
        asleep: Seconds slept in all, now.
    """

    def __init__(self, asleep: float) -> None:
        self._asleep = asleep
        self._said_at: float | None = None

    def look(self, *, due: float, now: float, asleep: float) -> list[Lagged | Suspended]:
        """Judge one turn of the loop.

        Args:
            due: When we wanted to be woken, seconds.
            now: When we were.
            asleep: Seconds slept in all.
        """
        slept, self._asleep = asleep - self._asleep, asleep
        if slept >= SUSPENDED_S:
            return [Suspended(slept)]
        lag = now - due
        if lag < LAG_S or (self._said_at is not None and now - self._said_at < _SAY_AGAIN_S):
            return []
        self._said_at = now
        return [Lagged(lag)]


async def watch(
    machine: LoopMonitor,
    clock: Clock,
    act: Callable[[Lagged | Suspended], None],
    asleep: Callable[[], float] = asleep_s,
    *,
    since: float = 0.0,
) -> None:
    """Look five times a second, at the beat that began at ``since`` (seconds), until cancelled."""
    due = clock.now()

    def look() -> float:
        nonlocal due
        now = clock.now()
        for event in machine.look(due=due, now=now, asleep=asleep()):
            act(event)
        due = next_tick(now, since, EVERY_S)
        return due

    await RepeatingTimer(clock, look).run()
