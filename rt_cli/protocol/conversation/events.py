"""The events of a conversation that ``rt`` reads, as values.

Names and meanings follow OpenAI's GA realtime protocol. Every field that some compatible server omits is optional.
"""

from __future__ import annotations

import msgspec


class OutputItem(msgspec.Struct, frozen=True):
    """An item of the conversation, as far as ``rt`` reads it."""

    id: str | None = None
    kind: str = ""
    """``message``, ``function_call``, ``function_call_output``, or another one."""
    role: str = ""
    text: str = ""
    """Text, or transcript of the audio, of a message."""
    call_id: str | None = None
    name: str = ""
    arguments: str = ""


class ResponseCreated(msgspec.Struct, frozen=True):
    """``response.created``: a reply begins."""

    response_id: str | None = None


class ResponseDone(msgspec.Struct, frozen=True):
    """``response.done``: no further event of the reply follows."""

    response_id: str | None = None
    status: str = "completed"
    """``completed``, ``cancelled``, ``failed`` or ``incomplete``."""
    reason: str = ""
    code: str = ""
    """Code of the error of a failed reply."""
    message: str = ""
    items: tuple[OutputItem, ...] = ()


class OutputItemAdded(msgspec.Struct, frozen=True):
    """``response.output_item.added``."""

    response_id: str | None = None
    item: OutputItem = OutputItem()


class OutputItemDone(msgspec.Struct, frozen=True):
    """``response.output_item.done``: a message or a function call is complete."""

    response_id: str | None = None
    item: OutputItem = OutputItem()


class AudioDelta(msgspec.Struct, frozen=True):
    """``response.output_audio.delta``."""

    response_id: str | None = None
    item_id: str | None = None
    content_index: int = 0
    pcm: bytes = b""
    """int16, little-endian, mono, at the rate of the session; whole samples."""
    event_id: str | None = None


class ReplyDelta(msgspec.Struct, frozen=True):
    """``response.output_text.delta`` or ``response.output_audio_transcript.delta``: append to the text of the item."""

    response_id: str | None = None
    item_id: str | None = None
    content_index: int = 0
    delta: str = ""
    """May end with the first half of a surrogate pair, or begin with the second half."""
    event_id: str | None = None


class ReplyText(msgspec.Struct, frozen=True):
    """``response.output_text.done`` or ``response.output_audio_transcript.done``: the whole text of the item."""

    response_id: str | None = None
    item_id: str | None = None
    content_index: int = 0
    text: str = ""


class CallArguments(msgspec.Struct, frozen=True):
    """``response.function_call_arguments.done``; repeats what ``output_item.done`` tells."""

    response_id: str | None = None
    item_id: str | None = None
    call_id: str | None = None
    name: str = ""
    arguments: str = ""


class ItemAdded(msgspec.Struct, frozen=True):
    """``conversation.item.added``, or ``.created`` of the beta protocol."""

    item: OutputItem = OutputItem()
    previous_item_id: str | None = None


class ItemTruncated(msgspec.Struct, frozen=True):
    """``conversation.item.truncated``: the endpoint has forgotten what was not heard, and the transcript."""

    item_id: str | None = None
    audio_end_ms: int | None = None


class ItemDeleted(msgspec.Struct, frozen=True):
    """``conversation.item.deleted``."""

    item_id: str | None = None


ConversationEvent = (
    ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | OutputItemDone
    | AudioDelta
    | ReplyDelta
    | ReplyText
    | CallArguments
    | ItemAdded
    | ItemTruncated
    | ItemDeleted
)
"""What the codec of a conversation decodes beside the events of a transcription."""
