"""Whether a client is still there, and still reads. Pure, and without a clock: somebody looks once in a while.

Looks are counted, not seconds, so that nobody is judged by a time in which we did not run ourselves.
"""

from __future__ import annotations

from enum import Enum

MAX_UNANSWERED = 2
"""Pings in a row without a sign of life that are one too many."""


class ClientState(Enum):
    """What to do about a client."""

    PING = "ping"
    """Nothing is wrong; ask it again."""
    SILENT = "silent"
    """It says nothing, not even a pong."""
    STUCK = "stuck"
    """It does not read what it is sent: no close frame would reach it."""


class Keepalive:
    """Looks at a client.

    Any byte from it is a sign of life. While we do not read ourselves, because its audio waits to be recognised, its
    pongs wait too, and silence is not its fault.
    """

    def __init__(self) -> None:
        self._unanswered = 0
        self._last_output = (0, 0)

    def on_data(self) -> None:
        """It sent something."""
        self._unanswered = 0

    def check(self, *, reading: bool, sent: int, unsent: int) -> ClientState:
        """Judge the time since the last look; where nothing is wrong, a ping is expected to be sent.

        Args:
            reading: We read what it sends.
            sent: Messages handed to the system so far.
            unsent: Bytes that the system did not take yet.
        """
        last_output, self._last_output = self._last_output, (sent, unsent)
        if unsent and last_output == self._last_output:
            return ClientState.STUCK
        if not reading:
            self._unanswered = 0
        if self._unanswered == MAX_UNANSWERED:
            return ClientState.SILENT
        self._unanswered += 1
        return ClientState.PING
