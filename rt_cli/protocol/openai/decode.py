"""Decode OpenAI's server messages to events. Pure.

Decoding never fails: every message becomes an event, at worst
:class:`~rt_cli.protocol.server_events.Malformed`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from rt_cli.events import TurnUsage
from rt_cli.protocol.sanitize import printable, whole_text
from rt_cli.protocol.server_events import (
    BufferCleared,
    Committed,
    EffectiveSession,
    ErrorEvent,
    ErrorInfo,
    Ignored,
    Malformed,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptDelta,
    TranscriptFailed,
    TranscriptSegment,
    TranscriptSnapshot,
)

Fields = Mapping[str, Any]
Readers = Mapping[str, Callable[[Fields], ServerEvent]]
_NO_MORE: Readers = {}

_MAX_NUMBER = 2**53
"""Larger JSON numbers are not exact, and no session is that long."""
_MAX_LOG_CHARS = 500
_MAX_TYPE_CHARS = 120
_MAX_CONTENT_INDEX = 1000
_LEAST_LOG = -1000.0
"""A smaller logarithm is the same probability, 0, and its exponential may raise."""


class _Envelope(msgspec.Struct):
    type: str


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def decode(message: str | bytes, more: Readers = _NO_MORE) -> ServerEvent:
    """Decode one message of the endpoint. Never raises.

    Optional fields that are missing or of the wrong type become None (texts: empty). Texts are untrusted and may hold
    control characters; see :func:`~rt_cli.protocol.sanitize.printable`.

    Args:
        message: A text message, or its UTF-8 bytes.
        more: Readers of events that only some sessions have, by type.
    """
    try:
        # Decoding only the type first avoids decoding the audio of events that rt ignores.
        kind = _ENVELOPE.decode(message).type
        reader = _READERS.get(kind) or more.get(kind)
        return _ignored(kind) if reader is None else reader(msgspec.json.decode(message))
    except (ValueError, RecursionError):
        return _decode_leniently(message, more)


def read_object(message: str | bytes) -> Fields | Malformed:
    """Read the JSON object of a message leniently, half a surrogate pair or a number out of range included."""
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError) as exc:
        return Malformed(f"not JSON: {printable(str(exc))[:_MAX_TYPE_CHARS]}")
    return fields if isinstance(fields, dict) else Malformed(f"no object but {type(fields).__name__}")


def _decode_leniently(message: str | bytes, more: Readers) -> ServerEvent:
    """Decode leniently: what is wrong elsewhere in a message must not lose a transcript."""
    fields = read_object(message)
    if isinstance(fields, Malformed):
        return fields
    kind = text_of(fields, "type")
    if not kind:
        return Malformed("no type")
    reader = _READERS.get(kind) or more.get(kind)
    return _ignored(kind) if reader is None else reader(fields)


def _ignored(kind: str) -> ServerEvent:
    return Ignored(printable(kind)[:_MAX_TYPE_CHARS]) if kind else Malformed("no type")


def text_of(fields: Fields, key: str) -> str | None:
    """Return a text that is not empty; None for anything else."""
    value = fields.get(key)
    return whole_text(value) if isinstance(value, str) and value else None


def _number(fields: Fields, key: str) -> float | None:
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= _MAX_NUMBER else None


def milliseconds(fields: Fields, key: str) -> int | None:
    """Return a number that is not negative, rounded down; None for anything else."""
    value = _number(fields, key)
    return None if value is None else math.floor(value)


def object_of(fields: Fields, key: str) -> Fields:
    """Return an object; an empty one for anything else."""
    value = fields.get(key)
    return value if isinstance(value, dict) else {}


def _expires_at(fields: Fields) -> float | None:
    # Some servers send 0 for "never".
    return _number(object_of(fields, "session"), "expires_at") or _number(fields, "expires_at") or None


def _session_created(fields: Fields) -> ServerEvent:
    session = object_of(fields, "session")
    return SessionCreated(
        _expires_at(fields),
        text_of(session, "id") or text_of(fields, "id"),
        flat=fields.get("type") == _BETA_CREATED or ("audio" not in session and not _FLAT.isdisjoint(session)),
        looks_like=_looks_like(fields, session),
    )


def _looks_like(fields: Fields, session: Fields) -> str | None:
    """Return the dialect of a server that no other one greets like."""
    if "session" not in fields and "created" in fields and "id" in fields:
        return "vllm"
    if fields.get("event_id") == "event_TODO":
        return "localai"
    # The model that speaks, of a server that has one for each task.
    return "speaches" if "speech_model" in session else None


_BETA_CREATED = "transcription_session.created"
_FLAT = frozenset({"input_audio_format", "input_audio_transcription", "modalities"})


def _session_updated(fields: Fields) -> ServerEvent:
    return SessionUpdated(_expires_at(fields), _effective(object_of(fields, "session")))


_DIGITS = re.compile(r"[0-9]{1,9}")
_FORMATS = {
    "audio/pcm": "pcm",
    "pcm16": "pcm",
    "pcm": "pcm",
    "pcm_s16le": "pcm",
    "audio/pcmu": "pcmu",
    "g711_ulaw": "pcmu",
    "audio/pcma": "pcma",
    "g711_alaw": "pcma",
}


def _effective(session: Fields) -> EffectiveSession:
    """Read a session object back; where both shapes are there, the nested one counts."""
    audio = object_of(object_of(session, "audio"), "input")
    transcription = _first(audio, "transcription", session, "input_audio_transcription")
    detection = _first(audio, "turn_detection", session, "turn_detection")
    # A session whose turn detection is a name instead of an object still says which it is.
    detail = detection if isinstance(detection, dict) else {}
    kind = detail.get("type") if isinstance(detection, dict) else detection
    return EffectiveSession(
        rate_hz=_rate(audio, session),
        encoding=_encoding(_first(audio, "format", session, "input_audio_format")),
        transcribes=UNSET if transcription is UNSET else transcription not in _OFF,
        turn_detection=None if kind in _OFF else kind if isinstance(kind, str) else UNSET,
        silence_ms=_said(detail, "silence_duration_ms"),
        prefix_ms=_said(detail, "prefix_padding_ms"),
    )


_OFF = (None, False)


def _first(nested: Fields, name: str, flat: Fields, flat_name: str) -> Any:
    return nested[name] if name in nested else flat.get(flat_name, UNSET)


def _rate(audio: Fields, session: Fields) -> float | UnsetType:
    places = ((object_of(audio, "format"), ("rate", "sample_rate")),)
    flat = ((session, ("input_audio_sampling_rate", "input_audio_sample_rate", "sample_rate")),)
    rates = (_said(place, name) for place, names in (*places, *flat) for name in names)
    return next((rate for rate in rates if rate is not UNSET), UNSET)


def _said(fields: Fields, key: str) -> float | UnsetType:
    text = fields.get(key)
    value = _number({key: int(text)} if isinstance(text, str) and _DIGITS.fullmatch(text) else fields, key)
    return UNSET if value is None else value


def _encoding(value: object) -> str | UnsetType:
    kind = value.get("type") if isinstance(value, dict) else value
    return _FORMATS.get(kind, printable(kind)[:_MAX_TYPE_CHARS]) if isinstance(kind, str) else UNSET


def _speech_started(fields: Fields) -> ServerEvent:
    # Malformed rather than bare: a bare event changes who makes the turns.
    for name, kind in (("item_id", str), ("audio_start_ms", int | float)):
        if name in fields and not isinstance(fields[name], kind):
            return Malformed(f"{name} of the wrong kind")
    return SpeechStarted(text_of(fields, "item_id"), milliseconds(fields, "audio_start_ms"))


def _speech_stopped(fields: Fields) -> ServerEvent:
    return SpeechStopped(text_of(fields, "item_id"), milliseconds(fields, "audio_end_ms"))


def _committed(fields: Fields) -> ServerEvent:
    return Committed(text_of(fields, "item_id"), text_of(fields, "previous_item_id"))


def _cleared(_fields: Fields) -> ServerEvent:
    return BufferCleared()


def _delta(fields: Fields) -> ServerEvent:
    delta = fields.get("delta")
    # Not whole_text: the next delta may bring the second half of a surrogate pair.
    return TranscriptDelta(text_of(fields, "item_id"), delta if isinstance(delta, str) else "", content_index(fields))


def _completed(fields: Fields) -> ServerEvent:
    item_id, transcript, index = text_of(fields, "item_id"), fields.get("transcript"), content_index(fields)
    if isinstance(status := fields.get("status"), str) and status != "completed":
        return TranscriptSnapshot(item_id, whole_text(transcript) if isinstance(transcript, str) else "", index)
    text = whole_text(transcript) if isinstance(transcript, str) else None
    return TranscriptCompleted(
        item_id,
        text,
        _language(fields),
        index,
        usage=_usage(fields),
        confidence=_confidence(fields),
        other_text=text_of(fields, "text"),
    )


def _usage(fields: Fields) -> TurnUsage | None:
    """Read what a turn costs: tokens or seconds; None if it says neither."""
    usage = object_of(fields, "usage")
    tokens = {
        name: UNSET if (count := _number(usage, name)) is None else int(count)
        for name in ("input_tokens", "output_tokens", "total_tokens")
    }
    seconds = _number(usage, "seconds")
    found = TurnUsage(**tokens, seconds=UNSET if seconds is None else seconds)
    return None if found == TurnUsage() else found


def _confidence(fields: Fields) -> float | None:
    """Return the geometric mean of the probabilities of the tokens; None unless each has a log probability."""
    tokens = fields.get("logprobs")
    if not isinstance(tokens, list) or not tokens:
        return None
    values = [token.get("logprob") if isinstance(token, dict) else None for token in tokens]
    logs = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0]
    if len(logs) < len(values):
        return None
    return round(math.exp(max(sum(logs) / len(logs), _LEAST_LOG)), 4)


def _segment(fields: Fields) -> ServerEvent:
    return TranscriptSegment(
        text_of(fields, "item_id"),
        text_of(fields, "text") or "",
        text_of(fields, "speaker"),
        _number(fields, "start"),
        _number(fields, "end"),
    )


def _updated(fields: Fields) -> ServerEvent:
    return TranscriptSnapshot(text_of(fields, "item_id"), text_of(fields, "transcript") or "", content_index(fields))


def content_index(fields: Fields) -> int:
    """Return the index of a content part; 0 where it is missing."""
    value = _number(fields, "content_index")
    return 0 if value is None else min(int(value), _MAX_CONTENT_INDEX)


def _language(fields: Fields) -> str | None:
    match fields.get("languages"):
        case [str(first), *_] if first:
            return first
    return text_of(fields, "language")


def _failed(fields: Fields) -> ServerEvent:
    return TranscriptFailed(text_of(fields, "item_id"), _error_info(fields))


def _error(fields: Fields) -> ServerEvent:
    return ErrorEvent(_error_info(fields))


def _error_info(fields: Fields) -> ErrorInfo:
    """Read the error of an event: an object, a string beside a ``code``, or only ``code`` and ``message``."""
    error = fields.get("error")
    if isinstance(error, dict):
        return ErrorInfo(
            type=text_of(error, "type") or "",
            code=_scalar(error.get("code")),
            message=_scalar(error.get("message")),
            param=text_of(error, "param"),
            event_id=text_of(error, "event_id"),
        )
    return ErrorInfo(code=_scalar(fields.get("code")), message=_scalar(error) or _scalar(fields.get("message")))


def _scalar(value: object) -> str:
    """Convert a code or message of any JSON type to text; an object yields its ``message``."""
    match value:
        case str():
            return text_of({"value": value}, "value") or ""
        case bool() | None:
            return ""
        case int() | float():
            return str(value)[:_MAX_TYPE_CHARS] if abs(value) <= _MAX_NUMBER else ""
        case {"message": str(inner)}:
            return text_of({"value": inner}, "value") or ""
        case _:
            return printable(str(value))[:_MAX_LOG_CHARS]


_READERS: Readers = {
    "session.created": _session_created,
    _BETA_CREATED: _session_created,
    "session.updated": _session_updated,
    "transcription_session.updated": _session_updated,
    "input_audio_buffer.speech_started": _speech_started,
    "input_audio_buffer.speech_stopped": _speech_stopped,
    "input_audio_buffer.committed": _committed,
    "input_audio_buffer.cleared": _cleared,
    "conversation.item.input_audio_transcription.delta": _delta,
    "conversation.item.input_audio_transcription.updated": _updated,
    "conversation.item.input_audio_transcription.segment": _segment,
    "conversation.item.input_audio_transcription.completed": _completed,
    "conversation.item.input_audio_transcription.failed": _failed,
    "error": _error,
}
"""Includes the beta names, which some compatible servers still send."""
