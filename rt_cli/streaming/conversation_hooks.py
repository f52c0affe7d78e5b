"""What a conversation needs of the connections that deliver the user's sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.protocol.conversation.actions import Action
    from rt_cli.protocol.server_events import ServerEvent


class ConversationHooks(Protocol):
    """Called on the event loop, in the order of what happens on a connection. No method blocks or raises."""

    def connected(self, say: Callable[[Action], None]) -> None:
        """Begin to use a connection whose session is configured; no sound has been sent on it.

        Args:
            say: Queues a client event, which is sent behind everything that was queued or sent before.
        """
        ...

    def lost(self) -> None:
        """Stop using it: it has ended."""
        ...

    def takes(self, event: ServerEvent) -> bool:
        """Return whether an event answers a client event of the conversation, and concerns nobody else."""
        ...

    def receive(self, event: ServerEvent, at: int | None) -> None:
        """Handle an event of the endpoint.

        Args:
            event: Any event.
            at: The position on the timeline that its offset means; None without one.
        """
        ...

    def turn_ended(self, item_ids: frozenset[str], number: int | None, text: str) -> None:
        """Note that a turn of the user is finished; its ``final``, if it has a number, is reported next."""
        ...

    @property
    def progress(self) -> int:
        """A number that grows with everything that the endpoint has given: a connection that moves it was of use."""
        ...

    @property
    def may_end(self) -> bool:
        """Whether a connection can end here without cutting a reply."""
        ...
