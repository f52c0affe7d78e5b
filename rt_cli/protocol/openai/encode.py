"""Encode OpenAI's client events to the bytes of a message. Pure.

Encoding an append is the hot path: a template around base64, without a JSON encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pybase64

if TYPE_CHECKING:
    from collections.abc import Mapping

_APPEND_HEAD = b'{"type":"input_audio_buffer.append","audio":"'
_APPEND_TAIL = b'"}'
MAX_APPEND_BYTES = 15 * 1024 * 1024
"""Audio that one append may hold."""


def append_event(pcm: bytes | memoryview) -> bytes:
    """Encode one ``input_audio_buffer.append`` message. It has no ``event_id``, because endpoints do not answer it.

    Args:
        pcm: Audio in the session's format, at most :data:`MAX_APPEND_BYTES`.
    """
    return b"".join((_APPEND_HEAD, pybase64.b64encode(pcm), _APPEND_TAIL))


def with_event_id(append: bytes, event_id: str) -> bytes:
    """Add an ``event_id`` (letters, digits and ``_``) to a message of :func:`append_event`."""
    return b'%b,"event_id":"%b"}' % (append[:-1], event_id.encode())


def appended_bytes(message: bytes) -> int | None:
    """Return the number of audio bytes in a message of :func:`append_event`, with an id or without; else None."""
    if message.startswith(_APPEND_HEAD) and message.endswith(_APPEND_TAIL):
        return decoded_size(message[len(_APPEND_HEAD) :].partition(b'"')[0])
    return None


def append_events(pcm: bytes, size: int) -> list[bytes]:
    """Encode one append message for every ``size`` bytes of ``pcm``; the last one may hold fewer."""
    size = min(size, MAX_APPEND_BYTES)
    if 0 < len(pcm) <= size:
        return [append_event(pcm)]
    with memoryview(pcm) as view:
        return [append_event(view[at : at + size]) for at in range(0, len(pcm), size)]


def commit_event(event_id: str) -> bytes:
    """Encode ``input_audio_buffer.commit``: the audio so far is a turn. A refusal repeats the ``event_id``."""
    return msgspec.json.encode({"type": "input_audio_buffer.commit", "event_id": event_id})


def session_update_event(session: Mapping[str, object], event_id: str) -> bytes:
    """Encode ``session.update`` with the session object of a dialect.

    Raises:
        TypeError: The session object is not JSON.
    """
    return msgspec.json.encode({"type": "session.update", "event_id": event_id, "session": dict(session)})


def clear_event(event_id: str) -> bytes:
    """``input_audio_buffer.clear``: its answer proves that the endpoint has processed all audio before it."""
    return msgspec.json.encode({"type": "input_audio_buffer.clear", "event_id": event_id})


def decoded_size(base64: bytes) -> int:
    """Return the number of bytes that base64 text stands for."""
    return len(base64.rstrip(b"=")) * 3 // 4
