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
    """The client reads nothing; a close frame would not reach it."""


class Keepalive:
    """Checks one client.

    Any received byte proves that the client is alive. While the server does not read, because the client's audio waits
    for recognition, pongs are not read either; unanswered pings then do not count.
    """

    def __init__(self) -> None:
        self._unanswered = 0
        self._last_output = (0, 0)

    def on_data(self) -> None:
        """The client has sent data."""
        self._unanswered = 0

    def check(self, *, reading: bool, sent: int, unsent: int) -> ClientState:
        """Check the time since the last check. After PING, the caller must send a ping.

        Args:
            reading: The server reads from the connection.
            sent: Number of messages written to the socket so far.
            unsent: Bytes in the write buffer.
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
