"""Requests for a reply, one at a time. Pure.

An endpoint takes one response at a time: asking while another one is active is an error that this queue avoids. Where
it happens all the same, because the endpoint began a response by itself, the request waits for its end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from rt_cli.protocol.conversation.actions import EVENT_IDS, CreateResponse

BUSY = "conversation_already_has_active_response"
"""Refuses a request while a reply is being given."""


@dataclass(eq=False, slots=True)
class Ask:
    """Something that a reply answers: a turn of the user, a typed line, the outputs of tools.

    Two of them are never equal.
    """

    turns: tuple[object, ...] = ()
    """The turns of the user that the reply is about."""
    of_turn: bool = False
    """The turns themselves ask, not what came after them."""
    automatic: bool = False
    """The endpoint replies by itself; no request is sent."""
    said: str | None = None
    """Instructions for this reply only."""
    event_id: str = ""
    sent: bool = False
    superseded: bool = False
    """The user has gone on: the reply is ended where it begins."""

    @property
    def under_way(self) -> bool:
        """Whether the endpoint may reply to it at any time."""
        return self.sent or self.automatic


class Asks:
    """The requests that have no reply yet, in order."""

    def __init__(self) -> None:
        self._waiting: deque[Ask] = deque()
        self._number = 0

    @property
    def pending(self) -> bool:
        """Whether a reply is still to come that anybody wants."""
        return any(not ask.superseded for ask in self._waiting)

    def add(self, ask: Ask) -> None:
        """Add a request."""
        self._waiting.append(ask)

    def next(self) -> CreateResponse | None:
        """Return the request to send, while no reply is active; None if there is none, or if a reply is on its way."""
        if any(ask.under_way and not ask.superseded for ask in self._waiting):
            return None
        ask = next((ask for ask in self._waiting if not ask.under_way), None)
        if ask is None:
            return None
        self._number += 1
        ask.event_id, ask.sent = f"{EVENT_IDS}{self._number}", True
        return CreateResponse(ask.event_id, ask.said)

    def answered(self) -> Ask | None:
        """Return what a new reply answers; None if nobody asked.

        A reply that the endpoint gives by itself answers every turn so far.
        """
        ask = next((ask for ask in self._waiting if ask.under_way), None)
        if ask is None:
            return None
        self._waiting.remove(ask)
        if not ask.automatic:
            return ask
        turns = [ask for ask in self._waiting if ask.of_turn and not ask.sent and not ask.superseded]
        for other in turns:
            self._waiting.remove(other)
        all_turns = tuple(turn for each in (ask, *turns) for turn in each.turns)
        return Ask(all_turns, of_turn=True, automatic=True, superseded=ask.superseded and not turns)

    def refused(self, event_id: str | None, *, busy: bool) -> Ask | None:
        """Take a refused request out of the queue and return it; None if it will be sent again, or is not ours.

        Args:
            event_id: Of the refused request; None if the refusal does not say.
            busy: A reply is being given.
        """
        for ask in self._waiting:
            if ask.sent and (ask.event_id == event_id or (busy and event_id is None)):
                if busy and not ask.superseded:
                    ask.sent = False
                    return None
                self._waiting.remove(ask)
                return ask
        return None

    def supersede(self) -> None:
        """Note that the user has gone on: nobody wants the replies to what was before."""
        self._waiting = deque(ask for ask in self._waiting if ask.under_way)
        for ask in self._waiting:
            ask.superseded = True

    def take_all(self) -> list[Ask]:
        """Forget all requests, and return those that somebody waits for: their connection is gone."""
        asks = [ask for ask in self._waiting if not ask.superseded]
        self._waiting.clear()
        return asks
