"""Silence that is old enough to be settled without a turn after it. Pure."""

from __future__ import annotations

OLD_SILENCE_S = 30
"""Acknowledged audio without detected speech is settled at this age: even an endpoint half a minute behind would have
reported speech in it."""


class OldSilence:
    """The time without an open turn on one connection.

    Args:
        rate_hz: Sample rate of the timeline.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._since: tuple[float, int] | None = None
        """Time (seconds) and position at which it began; None before the first check."""

    def begin(self, now: float, at: int) -> None:
        """Note that a turn may be open up to now, and that everything before ``at`` (timeline) is in turns."""
        self._since = (now, at)

    def end(self, now: float) -> int | None:
        """Return the timeline position before which silence is old; None before the first check."""
        if self._since is None:
            return None
        since, at = self._since
        return at + round((now - since - OLD_SILENCE_S) * self._rate_hz)
