"""What a conversation says to the endpoint and does here, as values. The codec of the dialect encodes the former."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from rt_cli.events import Event


class CreateMessage(Struct, frozen=True):
    """Add a message of text to the conversation."""

    role: Literal["user", "assistant"]
    text: str


class CreateCall(Struct, frozen=True):
    """Add a function call of an earlier connection to the conversation."""

    call_id: str
    name: str
    arguments: str


class CreateCallOutput(Struct, frozen=True):
    """Add the output of a function call to the conversation."""

    call_id: str
    output: str


class CreateResponse(Struct, frozen=True):
    """Ask for a reply; a refusal repeats the id."""

    event_id: str
    said: str | None = None
    """Instructions for this reply only."""


class CancelResponse(Struct, frozen=True):
    """End a reply that is being generated."""

    response_id: str | None


class TruncateItem(Struct, frozen=True):
    """Let the endpoint forget what nobody has heard of a spoken message."""

    item_id: str
    content_index: int
    audio_end_ms: int


class DeleteItem(Struct, frozen=True):
    """Take an item out of the conversation."""

    item_id: str


Action = CreateMessage | CreateCall | CreateCallOutput | CreateResponse | CancelResponse | TruncateItem | DeleteItem
"""A client event of the conversation."""


class Say(Struct, frozen=True):
    """Send a client event."""

    action: Action


class RunTool(Struct, frozen=True):
    """Run a tool, once; the conversation wants its output."""

    call_id: str
    name: str
    arguments: str
    """JSON of the model, untrusted."""


class Emit(Struct, frozen=True):
    """Pass an event to the handler of the run."""

    event: Event


Step = Say | RunTool | Emit
"""What a conversation wants done, in order."""

EVENT_IDS = "rt_talk_"
"""Ids of the client events of a conversation begin so."""
