"""The server events that ``rt`` reads, as values. Unknown events are counted, and are never an error.

Names and meanings follow OpenAI's GA realtime protocol. Every field that some compatible server omits is optional.
"""

from __future__ import annotations

import msgspec


class ErrorInfo(msgspec.Struct, frozen=True):
    """The error of an ``error`` event or of a failed transcription, in any of the shapes that servers send."""

    type: str = ""
    code: str = ""
    message: str = ""
    param: str | None = None
    event_id: str | None = None
    """Id of the client event that caused the error."""


class SessionCreated(msgspec.Struct, frozen=True):
    """``session.created``, or another dialect's first event of the same meaning."""

    session_id: str | None = None
    expires_at: float | None = None
    """Unix time, seconds."""


class SessionUpdated(msgspec.Struct, frozen=True):
    """``session.updated``: the endpoint is configured."""

    expires_at: float | None = None


class SpeechStarted(msgspec.Struct, frozen=True):
    """``input_audio_buffer.speech_started``."""

    item_id: str | None = None
    audio_start_ms: int | None = None
    """Offset from the first audio sent in this session; the turn starts here, prefix padding included."""


class SpeechStopped(msgspec.Struct, frozen=True):
    """``input_audio_buffer.speech_stopped``."""

    item_id: str | None = None
    audio_end_ms: int | None = None


class Committed(msgspec.Struct, frozen=True):
    """``input_audio_buffer.committed``: defines the order of turns."""

    item_id: str | None = None
    previous_item_id: str | None = None


class TranscriptDelta(msgspec.Struct, frozen=True):
    """``conversation.item.input_audio_transcription.delta``: append to the text of the item."""

    item_id: str | None = None
    delta: str = ""


class TranscriptCompleted(msgspec.Struct, frozen=True):
    """``conversation.item.input_audio_transcription.completed``: the authoritative text."""

    item_id: str | None = None
    transcript: str = ""
    language: str | None = None


class TranscriptFailed(msgspec.Struct, frozen=True):
    """``conversation.item.input_audio_transcription.failed``: one item, not the session."""

    item_id: str | None = None
    error: ErrorInfo = ErrorInfo()


class ErrorEvent(msgspec.Struct, frozen=True):
    """``error``; not fatal by itself."""

    error: ErrorInfo = ErrorInfo()


class Ignored(msgspec.Struct, frozen=True):
    """An event that ``rt`` does not act on, known or unknown."""

    type: str


class Malformed(msgspec.Struct, frozen=True):
    """A message that is not an event: bad JSON, no type, a binary frame, a field of the wrong type."""

    reason: str


ServerEvent = (
    SessionCreated
    | SessionUpdated
    | SpeechStarted
    | SpeechStopped
    | Committed
    | TranscriptDelta
    | TranscriptCompleted
    | TranscriptFailed
    | ErrorEvent
    | Ignored
    | Malformed
)
"""The result of :func:`rt_cli.protocol.codec.decode`."""
