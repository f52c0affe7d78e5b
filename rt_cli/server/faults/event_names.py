"""Event types of clients and of the embedded endpoint, and their short names. Pure."""

from __future__ import annotations

from rt_cli.protocol.recording_format import TRANSLATION_APPEND

CLIENT_EVENTS = (
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "output_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "conversation.item.delete",
    "response.create",
    "response.cancel",
)
COMMITTED = "input_audio_buffer.committed"
COMPLETED = "conversation.item.input_audio_transcription.completed"
FAILED = "conversation.item.input_audio_transcription.failed"
SERVER_EVENTS = (
    "error",
    "session.created",
    "session.updated",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.timeout_triggered",
    COMMITTED,
    "input_audio_buffer.cleared",
    "output_audio_buffer.cleared",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "conversation.item.deleted",
    "conversation.item.input_audio_transcription.delta",
    COMPLETED,
    FAILED,
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
)

TRANSLATION_CLIENT_EVENTS = (TRANSLATION_APPEND, "session.close")
TRANSLATION_SERVER_EVENTS = (
    "session.input_transcript.delta",
    "session.output_transcript.delta",
    "session.output_audio.delta",
    "session.closed",
)
"""Event types of translations alone. A short name that others have, too, means theirs."""


def resolve(name: str, known: tuple[str, ...]) -> list[str]:
    """The event types with this name: the full type, a group such as ``response.*``, or all types in ``.name``."""
    if name.endswith(".*"):
        return [name] if any(is_of(full, name) for full in known) else []
    return [name] if name in known else [full for full in known if name and full.endswith(f".{name}")]


def is_of(type_: object, pattern: str) -> bool:
    """True if an event type is this one, or belongs to the group ``prefix.*``."""
    if pattern.endswith(".*"):
        return isinstance(type_, str) and type_.startswith(pattern[:-1])
    return type_ == pattern
