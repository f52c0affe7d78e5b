"""Decode client events and build server events, in the shapes of OpenAI's GA realtime protocol. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
import pybase64

from rt_cli.protocol.openai.encode import MAX_APPEND_BYTES

Event = dict[str, Any]
"""A server event, still without ``event_id``."""

_MAX_EVENT_ID = 512
_MAX_VALUES = 100_000
"""Values per event. Each value is a Python object: 24 MiB of empty lists would take 600 MB and seconds of CPU time."""
_TRANSCRIPTION = "conversation.item.input_audio_transcription."


class ClientEvent(msgspec.Struct, frozen=True):
    """A client event. Only checked to be a JSON object; the fields are untrusted."""

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
    """The client event is invalid: the session answers with ``error`` and changes nothing.

    Args:
        code: OpenAI's error code.
        message: One sentence for people.
        param: Path of the invalid field.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


def decode(message: str | bytes) -> ClientEvent:
    """Decode a message of a client.

    Args:
        message: str for a text frame, bytes for a binary frame.

    Raises:
        Rejected: Not JSON, not an object, a binary frame, or too many values. No other exception is raised.
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
    """Decode the base64 audio of an append or of an audio part.

    Args:
        audio: Value of the field, untrusted.
        param: Its path in the event.
        sample_bytes: 2 for PCM, 1 for G.711.

    Raises:
        Rejected: Missing, not base64, not a whole number of samples, or more than 15 MiB.
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
    """``error``: the client event ``event_id`` had no effect. An id that is no string, or too long, is not echoed."""
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
    """The item of a committed turn."""
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }


def item_committed(item_id: str, previous_item_id: str | None) -> list[Event]:
    """``committed``, ``item.added``, ``item.done``: the events of a commit, in this order."""
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
    """``...transcription.completed``: the final text of an item with ``seconds`` of audio."""
    return {
        "type": _TRANSCRIPTION + "completed",
        "item_id": item_id,
        "content_index": 0,
        "transcript": transcript,
        "usage": {"type": "duration", "seconds": seconds},
    }


def transcript_failed(item_id: str, message: str) -> Event:
    """``...transcription.failed``: the item gets no text."""
    return {
        "type": _TRANSCRIPTION + "failed",
        "item_id": item_id,
        "content_index": 0,
        "error": {"type": "server_error", "code": "server_error", "message": message, "param": None},
    }


def item_created(item: Event, previous_item_id: str | None) -> list[Event]:
    """``item.added`` and ``item.done``: the answer to ``conversation.item.create``."""
    kinds = ("conversation.item.added", "conversation.item.done")
    return [{"type": kind, "item": item, "previous_item_id": previous_item_id} for kind in kinds]


def session_expired(minutes: float) -> Event:
    """``error``, sent when a session reaches its maximum duration, before the close."""
    message = f"Your session hit the maximum duration of {minutes:g} minutes."
    return error(Rejected("session_expired", message), None)
