"""Codecs of servers that speak OpenAI's protocol but for a few events. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from rt_cli.protocol.openai.codec import OpenAiCodec
from rt_cli.protocol.openai.compatible import LISTENING, ListeningCodec
from rt_cli.protocol.openai.conversation import ConversationCodec
from rt_cli.protocol.openai.decode import Fields, decode, text_of
from rt_cli.protocol.openai.encode import append_events, with_event_id
from rt_cli.protocol.server_events import ErrorEvent, StreamEnded, TranscriptFailed, TranscriptSnapshot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rt_cli.protocol.server_events import ServerEvent


class LocalAiCodec(OpenAiCodec):
    """LocalAI has an ``error`` where a transcription fails, and names no item in it."""

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Decode one message, which is one event."""
        event = decode(message)
        if isinstance(event, ErrorEvent) and event.error.code == "transcription_failed":
            return (TranscriptFailed(None, event.error),)
        return (event,)


class QwenCodec(ListeningCodec):
    """Qwen wants an id with every message, and has words of its own for interim texts and for the end."""

    def __init__(self, session: Mapping[str, object]) -> None:
        super().__init__(session)
        self._appends = 0

    def audio_messages(self, pcm: bytes, size: int) -> Sequence[bytes]:
        """Encode as ``input_audio_buffer.append``, each with its own id."""
        messages = append_events(pcm, size)
        first, self._appends = self._appends + 1, self._appends + len(messages)
        return [with_event_id(message, f"rt_audio_{at}") for at, message in enumerate(messages, first)]

    def end_message(self, event_id: str) -> bytes:
        """Encode ``session.finish``."""
        return msgspec.json.encode({"type": "session.finish", "event_id": event_id})

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Decode one message, which is one event."""
        return (decode(message, _QWEN),)


class QwenConversationCodec(ConversationCodec, QwenCodec):
    """A conversation with Qwen-Omni."""


def _interim(fields: Fields) -> ServerEvent:
    """Read an interim text: words that stay, and words that may change."""
    text = f"{text_of(fields, 'text') or ''}{text_of(fields, 'stash') or ''}"
    return TranscriptSnapshot(text_of(fields, "item_id"), text)


def _finished(_fields: Fields) -> ServerEvent:
    return StreamEnded()


_QWEN = {
    **LISTENING,
    "conversation.item.input_audio_transcription.text": _interim,
    "session.finished": _finished,
}
