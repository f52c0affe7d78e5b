"""The handshake of a session: session.created, our session.update, session.updated. Pure.

The sender holds audio until the handshake is complete: the endpoint would treat earlier audio under its defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.error_policy import classify_error
from rt_cli.protocol.sanitize import printable_id
from rt_cli.protocol.server_events import ErrorEvent, Ignored, SessionCreated, SessionUpdated

if TYPE_CHECKING:
    from rt_cli.errors import RtError
    from rt_cli.protocol.server_events import EffectiveSession, ErrorInfo, ServerEvent


UPDATE_ID = "rt_session"
"""Event id of our session.update."""
_UPDATED_WITHIN_S = 3.0


def updated_within_s(timeout_s: float) -> float:
    """Return the seconds to wait for ``session.updated`` at an endpoint that is not known to send one."""
    return min(_UPDATED_WITHIN_S, timeout_s)


def no_updated(waited_s: float) -> str:
    """Return what to say if none came."""
    return f"the endpoint sent no session.updated within {waited_s:g} s: going on without"


class Handshake:
    """State of the handshake of one connection.

    Args:
        greets: The endpoint speaks first, before it takes a configuration.
    """

    def __init__(self, *, greets: bool = True) -> None:
        self.greeted = not greets
        """The endpoint takes a configuration."""
        self.configured = False
        """The endpoint takes audio: ``session.updated`` was received, or is not waited for any more."""
        self.effective: EffectiveSession | None = None
        """What ``session.updated`` says of the session."""
        self.session_id: str | None = None
        """The endpoint's own name of the session, printable; None if unknown."""
        self.looks_like: str | None = None
        """The dialect that its greeting shows; None if it shows none."""
        self.expires_at: float | None = None
        """When the endpoint ends the session: Unix time, seconds; None if unknown."""
        self.last_error: ErrorInfo | None = None

    def receive(self, event: ServerEvent) -> RtError | None:
        """Process an event.

        Before ``session.created`` an error is only stored: the close that follows classifies it. Where audio is sent
        without an answer to our ``session.update``, the answer may still be an error.

        Returns:
            The error that makes the connection unusable, or None.
        """
        match event:
            case SessionCreated():
                self.greeted = True
                self.looks_like = event.looks_like
                self.session_id = printable_id(event.session_id) or self.session_id
                self.expires_at = event.expires_at or self.expires_at
            case Ignored(type="conversation.created"):
                # Elsewhere it comes beside a session.created.
                self.looks_like = None if self.greeted else "nvidia"
            case SessionUpdated():
                self.configured = True
                self.effective = event.effective
                self.expires_at = event.expires_at or self.expires_at
            case ErrorEvent():
                self.last_error = event.error
                answers = not self.configured or (self.effective is None and about_session(event.error))
                return classify_error(event.error, configuring=self.greeted and answers)
        return None


def about_session(error: ErrorInfo) -> bool:
    """Return whether an error is about our ``session.update``."""
    return error.event_id == UPDATE_ID or (error.param or "").partition(".")[0] == "session"
