"""Our ``clear`` on one connection: its answer proves that the endpoint has processed everything before it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.session.effects import Acknowledge, Effect

if TYPE_CHECKING:
    from rt_cli.protocol.server_events import ErrorInfo

CLEAR_ID = "rt_clear"


class Clear:
    """A ``clear`` that may be sent, and answered."""

    def __init__(self) -> None:
        self.answered = False
        """The endpoint has answered it."""
        self._event_id: str | None = None
        self._wire: int | None = None
        """Samples sent on the connection before it; None if it is not sent."""

    def send(self, event_id: str, wire: int) -> None:
        """Note that it is about to be sent, with this event id, after ``wire`` samples of the connection."""
        self._event_id, self._wire = event_id, wire

    def is_refused_by(self, error: ErrorInfo) -> bool:
        """Return whether an error may be its answer: a refusal says as much as another answer."""
        return self._wire is not None and not self.answered and error.event_id in {self._event_id, None}

    def answer(self) -> list[Effect]:
        """Note an answer; the second one, and one to nothing, has no effect."""
        if self._wire is None or self.answered:
            return []
        self.answered = True
        return [Acknowledge(self._wire)]
