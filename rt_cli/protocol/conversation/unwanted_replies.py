"""Replies of a conversation that is only listened to: they are cancelled, and concern nobody. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.conversation.actions import CancelResponse
from rt_cli.protocol.conversation.events import ResponseCreated
from rt_cli.protocol.server_events import ErrorEvent

if TYPE_CHECKING:
    from rt_cli.protocol.server_events import ServerEvent

CANCEL_ID = "rt_talk_cancel"
"""Event id of a cancel."""
MESSAGE = "the endpoint replies although it was asked not to: its replies are cancelled and ignored"
_OVER = "response_cancel_not_active"


class UnwantedReplies:
    """The replies on one connection."""

    def __init__(self) -> None:
        self._cancelled = False

    def cancel(self, event: ServerEvent) -> CancelResponse | None:
        """Return the cancel of a reply that begins; None for any other event."""
        if not isinstance(event, ResponseCreated):
            return None
        self._cancelled = True
        return CancelResponse(event.response_id)

    def takes(self, event: ServerEvent) -> bool:
        """Return whether an event is an answer to a cancel, and concerns nobody else."""
        if not self._cancelled or not isinstance(event, ErrorEvent):
            return False
        return event.error.event_id == CANCEL_ID or _OVER in (event.error.code, event.error.type)
