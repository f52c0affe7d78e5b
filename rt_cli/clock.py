"""The clock as an argument, so that a test of five minutes of audio needs no real time."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TICKS_PER_S = 1000
_SLACK_TICKS = 0.001
"""A deadline this little after a tick belongs to it, and its timer is this much late: sums of times are not exact."""


class Clock(Protocol):
    """A monotonic clock with timers."""

    def now(self) -> float:
        """Return seconds since an arbitrary moment; never decreases."""
        ...

    def wall(self) -> float:
        """Return the wall clock: Unix time, seconds. It may be set, so that it measures no durations."""
        ...

    async def sleep_until(self, deadline: float) -> None:
        """Return at ``deadline`` (seconds of :meth:`now`), or at once if it has passed.

        Safe to cancel.
        """
        ...

    def call_at(self, deadline: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` on the running event loop at ``deadline`` (seconds of :meth:`now`); ``inf`` for never.

        Returns:
            A function that cancels the call.
        """
        ...


class SystemClock:
    """The monotonic clock of the system."""

    def now(self) -> float:
        """Return the seconds of ``time.monotonic``."""
        return time.monotonic()

    def wall(self) -> float:
        """Return the seconds of ``time.time``."""
        return time.time()

    async def sleep_until(self, deadline: float) -> None:
        """Sleep until an absolute deadline; at most one timer tick late, without drift. Safe to cancel."""
        delay_s = deadline - time.monotonic()
        if delay_s > 0:  # avoid a useless turn of the event loop for every chunk of a fast file
            await asyncio.sleep(delay_s)

    def call_at(self, deadline: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Use the event loop, whose clock is ``time.monotonic``, to the next millisecond."""
        loop, timers = asyncio.get_running_loop(), _thread.timers
        if timers is None or timers.loop is not loop:
            timers = _thread.timers = _SharedTimers(loop)
        return timers.call_at(deadline, callback)


class _SharedTimers:
    """Calls of the same millisecond share one timer of the event loop, which costs more than most of the calls.

    Args:
        loop: The event loop, which waits for whole milliseconds anyway.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._calls: dict[int, list[list[Callable[[], None]]]] = {}
        """By tick: one list per call, empty if it was cancelled."""

    def call_at(self, deadline: float, callback: Callable[[], None]) -> Callable[[], None]:
        call = [callback]
        if deadline == math.inf:
            return call.clear
        tick = math.ceil(deadline * _TICKS_PER_S - _SLACK_TICKS)
        if (calls := self._calls.get(tick)) is not None:
            calls.append(call)
        else:
            self._calls[tick] = [call]
            self.loop.call_at((tick + _SLACK_TICKS) / _TICKS_PER_S, self._expire, tick)
        return call.clear

    def _expire(self, tick: int) -> None:
        self._run(iter(self._calls.pop(tick)))

    def _run(self, calls: Iterator[list[Callable[[], None]]]) -> None:
        try:
            for call in calls:
                if call:
                    call[0]()
        except BaseException:
            self.loop.call_soon(self._run, calls)  # the error of one call is none of the others
            raise


class _Thread(threading.local):
    """A thread runs one event loop at a time."""

    timers: _SharedTimers | None = None


_thread = _Thread()


def utc(seconds: float) -> str:
    """Format Unix time as UTC, ISO 8601, with milliseconds: ``2026-11-29T12:04:31.250Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
