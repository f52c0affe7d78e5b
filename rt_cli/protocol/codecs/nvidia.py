"""The codec of NVIDIA's Riva: OpenAI's names, a commit behind each audio, one stream of interim and final results.

A final result comes at each pause, and one at the end of the stream, which says that it is the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from rt_cli.protocol.codecs.utterances import Utterances, span_of
from rt_cli.protocol.dialects.codec import Codec
from rt_cli.protocol.openai.decode import Fields, decode, milliseconds, object_of, read_object, text_of
from rt_cli.protocol.openai.encode import append_events
from rt_cli.protocol.server_events import (
    Ignored,
    Malformed,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    StreamEnded,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COMMIT = b'{"type":"input_audio_buffer.commit"}'
_DONE = b'{"type":"input_audio_buffer.done"}'
_TIMES = (("start_time", "end_time", 1000),)


class NvidiaCodec(Codec):
    """Counts the utterances.

    Args:
        session: The object of ``transcription_session.update``.
    """

    def __init__(self, session: Mapping[str, object]) -> None:
        self._session = session
        self._utterances = Utterances()

    def session_messages(self, event_id: str) -> Sequence[bytes]:
        """Return the update of the session."""
        update = {"type": "transcription_session.update", "event_id": event_id, "session": dict(self._session)}
        return (msgspec.json.encode(update),)

    def audio_messages(self, pcm: bytes, size: int) -> Sequence[bytes]:
        """Encode as ``input_audio_buffer.append``, each with a commit: the server hears nothing before it."""
        return [message for append in append_events(pcm, size) for message in (append, _COMMIT)]

    def end_message(self, event_id: str) -> bytes:
        """Encode the end of the stream."""
        del event_id
        return _DONE

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Decode one message; a final result is a whole turn."""
        fields = read_object(message)
        if isinstance(fields, Malformed):
            return (fields,)
        match fields.get("type"):
            case "conversation.created":
                return (SessionCreated(None, text_of(object_of(fields, "conversation"), "id")),)
            case "transcription_session.updated":
                return (_updated(message, fields),)
            case "conversation.item.input_audio_transcription.delta":
                # It has all words of the utterance so far.
                return self._utterances.interim(text_of(fields, "delta") or "")
            case "conversation.item.input_audio_transcription.completed":
                return self._result(fields)
        event = decode(message)
        if isinstance(event, Ignored) and "error" in event.type:
            return (decode(msgspec.json.encode({**fields, "type": "error"})),)
        return (event,)

    def _result(self, fields: Fields) -> Sequence[ServerEvent]:
        span = span_of(object_of(fields, "words_info").get("words"), _TIMES)
        events = self._utterances.final(text_of(fields, "transcript") or "", span, text_of(fields, "language"))
        return (*events, StreamEnded()) if fields.get("is_last_result") is True else events


def _updated(message: str | bytes, fields: Fields) -> ServerEvent:
    """Decode the answer to the update, with the rate where this server says it."""
    event = decode(message)
    rate = milliseconds(object_of(object_of(fields, "session"), "input_audio_params"), "sample_rate_hz")
    if not isinstance(event, SessionUpdated):
        return event
    return replace(event, effective=replace(event.effective, rate_hz=UNSET if rate is None else rate))
