"""The server events that ``rt`` reads, as values. Unknown events are counted, and are never an error.

Names and meanings follow OpenAI's GA realtime protocol. Every field that some compatible server omits is optional.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from rt_cli.events import TurnUsage  # noqa: TC001  msgspec reads the annotations
from rt_cli.protocol.conversation.events import ConversationEvent
from rt_cli.protocol.translation.events import TranslationEvent


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

    expires_at: float | None = None
    """Unix time, seconds."""
    session_id: str | None = None
    flat: bool = False
    """The session in it has the flat (beta) shape."""
    looks_like: str | None = None
    """The dialect of an endpoint that no other one greets like."""


class EffectiveSession(msgspec.Struct, frozen=True):
    """What a ``session.updated`` says of the session, in the nested (GA) or the flat (beta) shape.

    A field that the answer lacks is UNSET and says nothing; None stands for null.
    """

    rate_hz: float | UnsetType = UNSET
    encoding: str | UnsetType = UNSET
    """Normalised name of the audio format: ``pcm``, ``pcmu``, ``pcma``, or the endpoint's own."""
    transcribes: bool | UnsetType = UNSET
    """False for null."""
    turn_detection: str | UnsetType | None = UNSET
    """The type of turn detection; None for null."""
    silence_ms: float | UnsetType = UNSET
    """Silence that ends a turn."""
    prefix_ms: float | UnsetType = UNSET
    """Audio before the speech of a turn that belongs to it."""


class SessionUpdated(msgspec.Struct, frozen=True):
    """``session.updated``: the endpoint is configured."""

    expires_at: float | None = None
    effective: EffectiveSession = EffectiveSession()


class SpeechStarted(msgspec.Struct, frozen=True):
    """``input_audio_buffer.speech_started``."""

    item_id: str | None = None
    audio_start_ms: int | None = None
    """Offset from the first audio sent in this session; the turn starts here, prefix padding included."""


class SpeechStopped(msgspec.Struct, frozen=True):
    """``input_audio_buffer.speech_stopped``."""

    item_id: str | None = None
    audio_end_ms: int | None = None
    after_silence: bool = True
    """The silence that ends the turn lies before the offset; else the offset is the end of the last word."""


class Committed(msgspec.Struct, frozen=True):
    """``input_audio_buffer.committed``: defines the order of turns."""

    item_id: str | None = None
    previous_item_id: str | None = None


class BufferCleared(msgspec.Struct, frozen=True):
    """``input_audio_buffer.cleared``: the endpoint has processed everything before our ``clear``."""


class StreamEnded(msgspec.Struct, frozen=True):
    """The endpoint has processed everything before our end of the stream; no such event in OpenAI's protocol."""


class TranscriptDelta(msgspec.Struct, frozen=True):
    """``conversation.item.input_audio_transcription.delta``: append to the text of the item."""

    item_id: str | None = None
    delta: str = ""
    """May end with the first half of a surrogate pair, or begin with the second half."""
    content_index: int = 0


class TranscriptSnapshot(msgspec.Struct, frozen=True):
    """The whole text of an item so far; it replaces the deltas, and is not final.

    Some providers send it as ``...transcription.updated``, others as ``.completed`` with a ``status`` that is not
    ``completed``.
    """

    item_id: str | None = None
    text: str = ""
    content_index: int = 0


class TranscriptCompleted(msgspec.Struct, frozen=True):
    """``conversation.item.input_audio_transcription.completed``: the authoritative text."""

    item_id: str | None = None
    transcript: str | None = ""
    """None if the event has none: the deltas are the text. An empty text is a text."""
    language: str | None = None
    content_index: int = 0
    usage: TurnUsage | None = None
    """What the endpoint charges; None if it does not say."""
    confidence: float | None = None
    """Geometric mean of the probabilities of the tokens, 0 to 1; None without log probabilities."""
    other_text: str | None = None
    """The text under another name; it counts where nothing else tells the words."""


class TranscriptSegment(msgspec.Struct, frozen=True):
    """``conversation.item.input_audio_transcription.segment``: a part of an item that one speaker said."""

    item_id: str | None = None
    text: str = ""
    speaker: str | None = None
    start_s: float | None = None
    """From the start of the item, seconds."""
    end_s: float | None = None


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
    | BufferCleared
    | StreamEnded
    | TranscriptDelta
    | TranscriptSnapshot
    | TranscriptSegment
    | TranscriptCompleted
    | TranscriptFailed
    | ErrorEvent
    | Ignored
    | Malformed
    | ConversationEvent
    | TranslationEvent
)
"""What a codec makes of the messages of an endpoint."""
