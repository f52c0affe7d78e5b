"""Whether a client is still there, and still reads. Pure: the times and counts are passed in."""

from __future__ import annotations

from enum import Enum


class Finding(Enum):
    """What to do about a client."""

    PING = "ping"
    """Nothing is wrong; ask it again."""
    SILENT = "silent"
    """It says nothing, not even a pong."""
    STUCK = "stuck"
    """It does not read what it is sent: no close frame would reach it."""


class Vigil:
    """Looks at a client once in a while.

    Any byte from it is a sign of life. While we do not read ourselves, because its audio waits to be recognised, its
    pongs wait too, and silence is not its fault.

    Args:
        patience_s: Longest silence.
        now_s: The time, of a monotonic clock.
    """

    def __init__(self, patience_s: float, now_s: float) -> None:
        self._patience_s = patience_s
        self._heard_s = now_s
        self._outgoing = (0, 0)

    def heard(self, now_s: float) -> None:
        """It sent something."""
        self._heard_s = now_s

    def look(self, now_s: float, *, reading: bool, sent: int, unsent: int) -> Finding:
        """Judge the time since the last look.

        Args:
            now_s: The time.
            reading: We read what it sends.
            sent: Messages handed to the system so far.
            unsent: Bytes that the system did not take yet.
        """
        before, self._outgoing = self._outgoing, (sent, unsent)
        if unsent and before == self._outgoing:
            return Finding.STUCK
        if not reading:
            self._heard_s = now_s
        return Finding.SILENT if now_s - self._heard_s >= self._patience_s else Finding.PING
