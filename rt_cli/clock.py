"""The clock as an argument, so that a test of five minutes of audio needs no real time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


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
        """Call ``callback`` on the running event loop at ``deadline`` (seconds of :meth:`now`).

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
        """Use a timer of the event loop, whose clock is ``time.monotonic``."""
        return asyncio.get_running_loop().call_at(deadline, callback).cancel


def utc(seconds: float) -> str:
    """Format Unix time as UTC, ISO 8601, with milliseconds: ``2026-11-29T12:04:31.250Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
