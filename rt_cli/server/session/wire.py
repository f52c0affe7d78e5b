"""What the embedded endpoint reads and says, in the shapes of OpenAI's GA realtime protocol. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
import pybase64

Event = dict[str, Any]
"""A server event before its ``event_id`` is put in."""

MAX_APPEND_BYTES = 15 * 1024 * 1024
"""Decoded, per append: what OpenAI documents."""
_MAX_EVENT_ID = 512
_MAX_VALUES = 100_000
"""In an event: each is an object of ours, so that 24 MiB of empty lists would be 600 MB and seconds of CPU time."""
_TRANSCRIPTION = "conversation.item.input_audio_transcription."


class ClientEvent(msgspec.Struct, frozen=True):
    """A client event as it came; nothing but its being an object has been checked."""

    type: Any = None
    event_id: Any = None
    audio: Any = None
    session: Any = None
    item: Any = None
    item_id: Any = None
    previous_item_id: Any = None
    content_index: Any = 0
    audio_end_ms: Any = None
    response: Any = None
    response_id: Any = None


class Rejected(Exception):
    """A client event that is answered by an ``error`` and has no other effect.

    Args:
        code: As OpenAI names it.
        message: One sentence for a person.
        param: Path of the offending field.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


def decode(message: str | bytes) -> ClientEvent:
    """Read a message of a client.

    Args:
        message: Text frames come as str, binary ones as bytes.

    Raises:
        Rejected: Not JSON, not an object, a binary frame, or too many values; nothing else is ever raised.
    """
    if isinstance(message, bytes):
        raise Rejected("invalid_event", "Binary frames are not supported; send JSON text.")
    if message.count(",") > _MAX_VALUES:
        raise Rejected("invalid_event", f"The event has more than {_MAX_VALUES} values, or commas.")
    try:
        return msgspec.json.decode(message, type=ClientEvent)
    except msgspec.ValidationError:
        raise Rejected("invalid_event", "An event must be a JSON object.") from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise Rejected("invalid_json", "The message is not valid JSON.") from None


def decode_audio(audio: object, param: str = "audio", sample_bytes: int = 2) -> bytes:
    """The samples of an append, or of an audio part: a whole number of them.

    Args:
        audio: As it came.
        param: Its path in the event.
        sample_bytes: 2 for PCM, 1 for G.711.

    Raises:
        Rejected: Missing, not base64, half a sample too many, or more than 15 MiB.
    """
    if not isinstance(audio, str):
        raise Rejected("invalid_value", f"{param} must be a base64 string.", param)
    try:
        samples = pybase64.b64decode(audio, validate=True)
    except ValueError:
        raise Rejected("invalid_value", f"{param} is not valid base64.", param) from None
    if len(samples) % sample_bytes:
        raise Rejected("invalid_value", f"{param} must hold whole 16-bit samples; its length is odd.", param)
    if len(samples) > MAX_APPEND_BYTES:
        raise Rejected("invalid_value", f"{param} is longer than 15 MiB; send it in several events.", param)
    return samples


def error(reason: Rejected, event_id: object) -> Event:
    """``error``: the client event named by ``event_id`` had no effect; an id that is no short text is not echoed."""
    return {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "code": reason.code,
            "message": reason.message,
            "param": reason.param,
            "event_id": event_id if isinstance(event_id, str) and len(event_id) <= _MAX_EVENT_ID else None,
        },
    }


def speech_started(item_id: str, audio_start_ms: int) -> Event:
    """``input_audio_buffer.speech_started``; the start includes the prefix padding."""
    return {"type": "input_audio_buffer.speech_started", "item_id": item_id, "audio_start_ms": audio_start_ms}


def speech_stopped(item_id: str, audio_end_ms: int) -> Event:
    """``input_audio_buffer.speech_stopped``; the end includes the silence that ended the turn."""
    return {"type": "input_audio_buffer.speech_stopped", "item_id": item_id, "audio_end_ms": audio_end_ms}


def turn(item_id: str) -> Event:
    """The item of a turn that was committed."""
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }


def item_committed(item_id: str, previous_item_id: str | None) -> list[Event]:
    """``committed``, ``item.added``, ``item.done``: what a commit is answered with, in this order."""
    item = turn(item_id)
    return [
        {"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": previous_item_id},
        {"type": "conversation.item.added", "item": item, "previous_item_id": previous_item_id},
        {"type": "conversation.item.done", "item": item, "previous_item_id": previous_item_id},
    ]


def cleared() -> Event:
    """``input_audio_buffer.cleared``."""
    return {"type": "input_audio_buffer.cleared"}


def transcript_delta(item_id: str, delta: str) -> Event:
    """``...transcription.delta``: words to append."""
    return {"type": _TRANSCRIPTION + "delta", "item_id": item_id, "content_index": 0, "delta": delta}


def transcript_completed(item_id: str, transcript: str, seconds: float) -> Event:
    """``...transcription.completed``: the authoritative text of an item of ``seconds`` of audio."""
    return {
        "type": _TRANSCRIPTION + "completed",
        "item_id": item_id,
        "content_index": 0,
        "transcript": transcript,
        "usage": {"type": "duration", "seconds": seconds},
    }


def transcript_failed(item_id: str, message: str) -> Event:
    """``...transcription.failed``: this item will have no text."""
    return {
        "type": _TRANSCRIPTION + "failed",
        "item_id": item_id,
        "content_index": 0,
        "error": {"type": "server_error", "code": "server_error", "message": message, "param": None},
    }


def item_created(item: Event, previous_item_id: str | None) -> list[Event]:
    """``item.added`` and ``item.done``: what a client's item is answered with."""
    kinds = ("conversation.item.added", "conversation.item.done")
    return [{"type": kind, "item": item, "previous_item_id": previous_item_id} for kind in kinds]


def session_expired(minutes: float) -> Event:
    """The ``error`` before the end of a session that has lasted as long as it may."""
    message = f"Your session hit the maximum duration of {minutes:g} minutes."
    return error(Rejected("session_expired", message), None)
