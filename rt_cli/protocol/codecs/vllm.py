"""The codec of vLLM: one stream of text over all audio, no ids, no turns. Pure.

A first commit starts the generation over what is there and what still comes; a final one ends it. What comes between
the final commit and the end of the generation is thrown away there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from rt_cli.events import TurnUsage
from rt_cli.protocol.dialects.codec import Codec
from rt_cli.protocol.openai.decode import Fields, decode, milliseconds, text_of
from rt_cli.protocol.openai.encode import append_events
from rt_cli.protocol.server_events import (
    Committed,
    ErrorEvent,
    Ignored,
    ServerEvent,
    TranscriptCompleted,
    TranscriptDelta,
    TranscriptFailed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_START = b'{"type":"input_audio_buffer.commit"}'


class VllmCodec(Codec):
    """Starts a generation with the first audio of a turn, so that its text comes while it is spoken.

    Args:
        model: The name that the server has for it.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._generating = False
        self._ending = 0

    def session_messages(self, event_id: str) -> Sequence[bytes]:
        """Name the model, beside the type."""
        return (msgspec.json.encode({"type": "session.update", "event_id": event_id, "model": self._model}),)

    def audio_messages(self, pcm: bytes, size: int) -> Sequence[bytes]:
        """Encode as ``input_audio_buffer.append``; the first audio of a turn starts its generation."""
        messages = append_events(pcm, size)
        if not self._generating:
            self._generating = True
            messages.insert(1, _START)
        return messages

    def commit_message(self, event_id: str) -> bytes:
        """Encode the final commit, which ends the generation."""
        self._generating = False
        self._ending += 1
        return msgspec.json.encode({"type": "input_audio_buffer.commit", "event_id": event_id, "final": True})

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Decode one message; the end of a generation commits its turn and has its words."""
        event = decode(message, _READERS)
        match event:
            case TranscriptCompleted():
                return self._answer(event)
            case ErrorEvent(error) if self._ending and error.code == "processing_error":
                return self._answer(TranscriptFailed(None, error))
        return (event,)

    def _answer(self, outcome: ServerEvent) -> Sequence[ServerEvent]:
        if not self._ending:
            # It ended by itself, in the middle of a turn: the next audio starts another one.
            self._generating = False
            return (Ignored("transcription.done"),)
        self._ending -= 1
        return (Committed(), outcome)


def _delta(fields: Fields) -> ServerEvent:
    delta = fields.get("delta")
    return TranscriptDelta(None, delta if isinstance(delta, str) else "")


def _done(fields: Fields) -> ServerEvent:
    usage = fields.get("usage")
    tokens = usage if isinstance(usage, dict) else {}
    counts = {
        name: count
        for name, theirs in (
            ("input_tokens", "prompt_tokens"),
            ("output_tokens", "completion_tokens"),
            ("total_tokens", "total_tokens"),
        )
        if (count := milliseconds(tokens, theirs)) is not None
    }
    return TranscriptCompleted(None, text_of(fields, "text") or "", usage=TurnUsage(**counts) if counts else None)


_READERS = {"transcription.delta": _delta, "transcription.done": _done}
