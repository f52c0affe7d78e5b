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

    def end(self, now: float, covered: int, *, busy: bool) -> int | None:
        """Return the timeline position before which silence is old; None if nobody can say that it is silence.

        Args:
            now: Seconds.
            covered: Timeline position before which everything is in turns.
            busy: A turn is open, or answers are awaited.
        """
        if self._since is None or busy:
            self._since = (now, covered)
            return None
        since, at = self._since
        return at + round((now - since - OLD_SILENCE_S) * self._rate_hz)
