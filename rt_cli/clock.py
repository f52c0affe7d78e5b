"""Time as an argument, so that five minutes of audio take no time in a test."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock(Protocol):
    """A monotonic clock that can be waited on."""

    def now(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""
        ...

    async def sleep_until(self, deadline: float) -> None:
        """Return at ``deadline`` (seconds, as :meth:`now` counts them) or at once if it has passed.

        Safe to cancel.
        """
        ...

    def call_at(self, deadline: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` on the running event loop at ``deadline`` (seconds); returns what cancels that."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds of ``time.monotonic``."""
        return time.monotonic()

    async def sleep_until(self, deadline: float) -> None:
        """Sleep to an absolute deadline; late by at most one timer tick, and never drifting. Safe to cancel."""
        delay_s = deadline - time.monotonic()
        if delay_s > 0:  # asyncio would take a turn of the loop for nothing, for every chunk of a fast file
            await asyncio.sleep(delay_s)

    def call_at(self, deadline: float, callback: Callable[[], None]) -> Callable[[], None]:
        """By a timer of the event loop, which counts as ``time.monotonic`` does."""
        return asyncio.get_running_loop().call_at(deadline, callback).cancel
