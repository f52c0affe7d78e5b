"""The codec of Inworld: messages without a type, results that are interim or final, gRPC's numbers for errors. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pybase64

from rt_cli.protocol.codecs.utterances import Utterances, span_of
from rt_cli.protocol.dialects.codec import Codec
from rt_cli.protocol.openai.decode import Fields, milliseconds, object_of, read_object, text_of
from rt_cli.protocol.server_events import ErrorEvent, ErrorInfo, Ignored, Malformed, ServerEvent, StreamEnded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEAD, _TAIL = b'{"audioChunk":{"content":"', b'"}}'
_CLOSE = b'{"closeStream":{}}'
_TIMES = (("startTimeMs", "endTimeMs", 1000), ("startTime", "endTime", 1))
_CODES = {
    3: "invalid_argument",
    4: "deadline_exceeded",
    5: "not_found",
    7: "forbidden",
    8: "rate_limit_exceeded",
    12: "unimplemented",
    13: "server_error",
    14: "unavailable",
    16: "invalid_api_key",
}
"""Names of gRPC's status codes, in the words of the other endpoints."""
_ABOUT_SESSION = frozenset({"invalid_argument", "not_found", "unimplemented"})


class InworldCodec(Codec):
    """Counts the utterances.

    Args:
        config: The transcription config.
    """

    def __init__(self, config: Mapping[str, object]) -> None:
        self._config = config
        self._utterances = Utterances()
        self._closing = False

    def session_messages(self, event_id: str) -> Sequence[bytes]:
        """Return the configuration; nothing answers it."""
        del event_id
        return (msgspec.json.encode({"transcribeConfig": dict(self._config)}),)

    def audio_messages(self, pcm: bytes, size: int) -> Sequence[bytes]:
        """Encode as ``audioChunk``."""
        with memoryview(pcm) as view:
            chunks = [view[at : at + size] for at in range(0, len(pcm), size)]
            return [b"".join((_HEAD, pybase64.b64encode(chunk), _TAIL)) for chunk in chunks]

    def end_message(self, event_id: str) -> bytes:
        """Encode the end of the stream."""
        del event_id
        self._closing = True
        return _CLOSE

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Decode one message; a final result is a whole turn, and what is charged comes behind the last one."""
        fields = read_object(message)
        if isinstance(fields, Malformed):
            return (fields,)
        result = object_of(fields, "result")
        if error := object_of(fields, "error") or object_of(result, "error"):
            return (ErrorEvent(_error(error)),)
        events: Sequence[ServerEvent] = ()
        if "speechStarted" in result:
            events = self._utterances.start(milliseconds(object_of(result, "speechStarted"), "startTimeMs"))
        if "transcription" in result:
            events = (*events, *self._result(object_of(result, "transcription")))
        if "usage" in result and self._closing:
            events = (*events, StreamEnded())
        return events or (Ignored("result"),)

    def _result(self, fields: Fields) -> Sequence[ServerEvent]:
        text = text_of(fields, "transcript") or ""
        if fields.get("isFinal") is not True:
            return self._utterances.interim(text)
        return self._utterances.final(text, span_of(fields.get("wordTimestamps"), _TIMES), text_of(fields, "language"))


def _error(error: Fields) -> ErrorInfo:
    number = milliseconds(error, "code")
    code = "" if number is None else _CODES.get(number, str(number))
    # Nothing else tells that the configuration is refused: it has no answer.
    param = "session" if code in _ABOUT_SESSION else None
    return ErrorInfo(code=code, message=text_of(error, "message") or "", param=param)
