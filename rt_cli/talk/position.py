"""The clock of a conversation: positions on the timeline of the user's sound, in samples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rt_cli.clock import Clock

_ROUNDING = 0.001
"""A position is not a sample less because seconds are no binary fractions."""


class Position:
    """Counts samples of time since the conversation began, and never goes back.

    Args:
        clock: The clock.
        rate_hz: Samples per second of the timeline.
        speed: Seconds of the timeline per second.
    """

    def __init__(self, clock: Clock, rate_hz: int, speed: float = 1.0) -> None:
        self.rate_hz = rate_hz
        self._clock = clock
        self._per_second = rate_hz * speed
        self._began: float | None = None
        self._limit: float = math.inf

    @property
    def began(self) -> bool:
        """Whether time runs."""
        return self._began is not None

    def begin(self, ago: int = 0) -> None:
        """Let time run; it is ``ago`` samples already."""
        self._began = self._clock.now() - ago / self._per_second

    def due(self, position: int) -> float | None:
        """Return when a position is reached, seconds of the clock; None before the beginning."""
        return None if self._began is None else self._began + position / self._per_second

    def now(self) -> int:
        """Return the present position; 0 before the beginning."""
        return int(min(self._elapsed(), self._limit) + _ROUNDING)

    async def reach(self, position: int) -> None:
        """Return at a position. Time stands still there until the next call of this method. Safe to cancel.

        So a machine that is late delays the conversation, and does not count as a latency of the endpoint.
        """
        if self._began is None:
            self.begin()
        late = self._elapsed() - self._limit
        if late > 0:
            self._began = (self._began or 0.0) + late / self._per_second
        self._limit = position
        await self._clock.sleep_until((self._began or 0.0) + position / self._per_second)

    async def sleep_until(self, position: int) -> None:
        """Return at a position, or at once if it has passed. Safe to cancel."""
        if self._began is None:
            self.begin()
        self._limit = math.inf
        await self._clock.sleep_until((self._began or 0.0) + position / self._per_second)

    def _elapsed(self) -> float:
        return 0.0 if self._began is None else (self._clock.now() - self._began) * self._per_second
