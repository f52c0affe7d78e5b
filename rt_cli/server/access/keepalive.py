"""Detects clients that are gone or do not read. Pure, without a clock: the server calls check() periodically.

Counts checks, not seconds: a server that was suspended must not time out its clients.
"""

from __future__ import annotations

from enum import Enum

MAX_UNANSWERED = 2
"""Unanswered pings in a row after which a client is SILENT."""


class ClientState(Enum):
    """Result of a check."""

    PING = "ping"
    """The client is alive; send the next ping."""
    SILENT = "silent"
    """The client sends nothing, not even a pong."""
    STUCK = "stuck"
    """The client reads nothing, or next to nothing; a close frame would not reach it."""


class Keepalive:
    """Checks one client.

    Any received byte proves that the client is alive. While the server does not read, because the client's audio waits
    for recognition, pongs are not read either; unanswered pings then do not count.

    Args:
        least: Bytes that a client must read between two checks, if so many wait for it.
    """

    def __init__(self, least: int = 1) -> None:
        self._least = least
        self._unanswered = 0
        self._written = 0
        self._unsent = 0

    def on_data(self) -> None:
        """The client has sent data."""
        self._unanswered = 0

    def check(self, *, reading: bool, written: int, unsent: int) -> ClientState:
        """Check the time since the last check. After PING, the caller must send a ping.

        Args:
            reading: The server reads from the connection.
            written: Bytes written to the connection so far.
            unsent: Bytes in the write buffer.
        """
        waited, read = self._unsent, self._unsent + written - self._written - unsent
        self._written, self._unsent = written, unsent
        if unsent and read < min(self._least, waited):
            return ClientState.STUCK
        if not reading:
            self._unanswered = 0
        if self._unanswered == MAX_UNANSWERED:
            return ClientState.SILENT
        self._unanswered += 1
        return ClientState.PING
