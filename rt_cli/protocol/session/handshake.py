"""The first words on a connection: it greets, we configure, it agrees. Pure.

Audio is held until then: what is sent earlier is judged under the endpoint's defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.error_policy import classify_error
from rt_cli.protocol.server_events import ErrorEvent, SessionCreated, SessionUpdated

if TYPE_CHECKING:
    from rt_cli.errors import RtError
    from rt_cli.protocol.server_events import ErrorInfo, ServerEvent


class Handshake:
    """How far the setting up of one connection is."""

    def __init__(self) -> None:
        self.greeted = False
        """The endpoint has opened its session and takes a configuration."""
        self.configured = False
        """It has taken ours, and takes audio."""
        self.expires_at: float | None = None
        """When it will end the session: Unix time, seconds; None if it does not say."""
        self.last_error: ErrorInfo | None = None

    def receive(self, event: ServerEvent) -> RtError | None:
        """Take an event in; returns why the connection is of no use, if it is not.

        Before the greeting an error is only remembered: the close that follows says what kind it is.
        """
        match event:
            case SessionCreated():
                self.greeted = True
                self.expires_at = event.expires_at or self.expires_at
            case SessionUpdated():
                self.configured = True
                self.expires_at = event.expires_at or self.expires_at
            case ErrorEvent():
                self.last_error = event.error
                return classify_error(event.error, configuring=self.greeted)
        return None
