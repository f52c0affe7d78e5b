"""OpenAI's events of a conversation: server messages to events, actions to client messages. Pure.

Includes the beta names, which some compatible servers still send.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pybase64

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.protocol.conversation.actions import (
    Action,
    CancelResponse,
    CreateCall,
    CreateCallOutput,
    CreateMessage,
    CreateResponse,
    DeleteItem,
    TruncateItem,
)
from rt_cli.protocol.conversation.events import (
    AudioDelta,
    CallArguments,
    ConversationEvent,
    ItemAdded,
    ItemDeleted,
    ItemTruncated,
    OutputItem,
    OutputItemAdded,
    OutputItemDone,
    ReplyDelta,
    ReplyText,
    ResponseCreated,
    ResponseDone,
)
from rt_cli.protocol.openai.codec import OpenAiCodec
from rt_cli.protocol.openai.decode import content_index, decode, milliseconds, object_of, text_of
from rt_cli.protocol.openai.encode import session_update_event
from rt_cli.protocol.openai.flat import flattened
from rt_cli.protocol.server_events import Malformed, SessionCreated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rt_cli.protocol.openai.decode import Fields
    from rt_cli.protocol.server_events import ServerEvent

_MAX_OUTPUT_ITEMS = 1000
_ITEM_ID = re.compile(r"[\x21-\x7e]{1,256}")


class ConversationCodec(OpenAiCodec):
    """The codec of a conversation: also encodes its actions and decodes the events of replies.

    What is no such event is left to the next class, which may be the codec of a provider.

    Args:
        session: The object of ``session.update``, in the nested or in the flat shape.
        lacks: Types of client events that the endpoint does not know.
        detects: The shape of the session is that of the endpoint's greeting; ``session`` has the nested one.
    """

    def __init__(
        self, session: Mapping[str, object], *, lacks: frozenset[str] = frozenset(), detects: bool = False
    ) -> None:
        super().__init__(session)
        self._lacks = lacks
        self._detects = detects
        self._flat = "modalities" in session or "input_audio_format" in session

    def session_messages(self, event_id: str) -> Sequence[bytes]:
        """Return our ``session.update``. Raises TypeError if the session object is not JSON."""
        if not (self._detects and self._flat):
            return super().session_messages(event_id)
        return (session_update_event(flattened(self._session), event_id),)

    def action_message(self, action: Action) -> bytes | None:
        """Encode a client event of the conversation; None for one that the endpoint does not know."""
        event = encode_action(action, flat=self._flat)
        return None if event["type"] in self._lacks else msgspec.json.encode(event)

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Decode one message."""
        event = decode(message, READERS)
        if isinstance(event, ConversationEvent | Malformed):
            return (event,)
        if self._detects and isinstance(event, SessionCreated):
            self._flat = event.flat
        return super().decode(message)


def encode_action(action: Action, *, flat: bool = False) -> dict[str, Any]:
    """Return the client event of an action, as JSON types.

    Args:
        action: The action.
        flat: The endpoint speaks the beta protocol, in which the text of a reply has another name.
    """
    match action:
        case CreateMessage(role, text):
            kind = "input_text" if role == "user" else "text" if flat else "output_text"
            return _create({"type": "message", "role": role, "content": [{"type": kind, "text": text}]})
        case CreateCall(call_id, name, arguments):
            return _create({"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments})
        case CreateCallOutput(call_id, output):
            return _create({"type": "function_call_output", "call_id": call_id, "output": output})
        case CreateResponse(event_id, said):
            own = {} if said is None else {"response": {"instructions": said}}
            return {"type": "response.create", "event_id": event_id, **own}
        case CancelResponse(response_id):
            named = {} if response_id is None else {"response_id": response_id}
            return {"type": "response.cancel", "event_id": "rt_talk_cancel", **named}
        case TruncateItem(item_id, index, audio_end_ms):
            where = {"item_id": item_id, "content_index": index, "audio_end_ms": audio_end_ms}
            return {"type": "conversation.item.truncate", "event_id": "rt_talk_truncate", **where}
        case DeleteItem(item_id):
            return {"type": "conversation.item.delete", "event_id": "rt_talk_delete", "item_id": item_id}


def _create(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "conversation.item.create", "event_id": "rt_talk_item", "item": item}


def _item(fields: Fields) -> OutputItem:
    parts = fields.get("content")
    texts = [
        text_of(part, "text") or text_of(part, "transcript")
        for part in (parts if isinstance(parts, list) else [])[:_MAX_OUTPUT_ITEMS]
        if isinstance(part, dict)
    ]
    return OutputItem(
        id=_id(fields, "id"),
        kind=text_of(fields, "type") or "",
        role=text_of(fields, "role") or "",
        text=" ".join(text for text in texts if text),
        call_id=_id(fields, "call_id"),
        name=text_of(fields, "name") or "",
        arguments=text_of(fields, "arguments") or "",
    )


def _id(fields: Fields, key: str) -> str | None:
    """Return an id that can be sent back; None for anything else."""
    value = fields.get(key)
    return value if isinstance(value, str) and _ITEM_ID.fullmatch(value) else None


def _response_id(fields: Fields) -> str | None:
    return _id(fields, "response_id") or _id(object_of(fields, "response"), "id")


def _created(fields: Fields) -> ServerEvent:
    return ResponseCreated(_response_id(fields))


def _done(fields: Fields) -> ServerEvent:
    response = object_of(fields, "response")
    details = object_of(response, "status_details")
    error = object_of(details, "error")
    items = response.get("output")
    return ResponseDone(
        response_id=_response_id(fields),
        status=text_of(response, "status") or "completed",
        reason=text_of(details, "reason") or "",
        code=text_of(error, "code") or text_of(error, "type") or "",
        message=text_of(error, "message") or "",
        items=tuple(
            _item(item)
            for item in (items if isinstance(items, list) else [])[:_MAX_OUTPUT_ITEMS]
            if isinstance(item, dict)
        ),
    )


def _output_added(fields: Fields) -> ServerEvent:
    return OutputItemAdded(_response_id(fields), _item(object_of(fields, "item")))


def _output_done(fields: Fields) -> ServerEvent:
    return OutputItemDone(_response_id(fields), _item(object_of(fields, "item")))


def _audio(fields: Fields) -> ServerEvent:
    delta = fields.get("delta")
    if not isinstance(delta, str):
        return Malformed("audio of the wrong kind")
    try:
        pcm = pybase64.b64decode(delta, validate=True)
    except (binascii.Error, ValueError):
        return Malformed("audio that is not base64")
    whole = pcm[: len(pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE]
    place = content_index(fields)
    return AudioDelta(_response_id(fields), _id(fields, "item_id"), place, whole, _id(fields, "event_id"))


def _text_delta(fields: Fields) -> ServerEvent:
    delta = fields.get("delta")
    text = delta if isinstance(delta, str) else ""
    place = content_index(fields)
    return ReplyDelta(_response_id(fields), _id(fields, "item_id"), place, text, _id(fields, "event_id"))


def _text_done(fields: Fields) -> ServerEvent:
    text = text_of(fields, "text") or text_of(fields, "transcript") or ""
    return ReplyText(_response_id(fields), _id(fields, "item_id"), content_index(fields), text)


def _arguments(fields: Fields) -> ServerEvent:
    return CallArguments(
        _response_id(fields),
        _id(fields, "item_id"),
        _id(fields, "call_id"),
        text_of(fields, "name") or "",
        text_of(fields, "arguments") or "",
    )


def _item_added(fields: Fields) -> ServerEvent:
    return ItemAdded(_item(object_of(fields, "item")), _id(fields, "previous_item_id"))


def _truncated(fields: Fields) -> ServerEvent:
    return ItemTruncated(_id(fields, "item_id"), milliseconds(fields, "audio_end_ms"))


def _deleted(fields: Fields) -> ServerEvent:
    return ItemDeleted(_id(fields, "item_id"))


READERS: Mapping[str, Callable[[Fields], ServerEvent]] = {
    "response.created": _created,
    "response.done": _done,
    "response.output_item.added": _output_added,
    "response.output_item.done": _output_done,
    "response.output_audio.delta": _audio,
    "response.audio.delta": _audio,
    "response.output_text.delta": _text_delta,
    "response.text.delta": _text_delta,
    "response.output_audio_transcript.delta": _text_delta,
    "response.audio_transcript.delta": _text_delta,
    "response.output_text.done": _text_done,
    "response.text.done": _text_done,
    "response.output_audio_transcript.done": _text_done,
    "response.audio_transcript.done": _text_done,
    "response.function_call_arguments.done": _arguments,
    "conversation.item.added": _item_added,
    "conversation.item.created": _item_added,
    "conversation.item.truncated": _truncated,
    "conversation.item.deleted": _deleted,
}
"""By type; a conversation reads them beside those of a transcription."""
