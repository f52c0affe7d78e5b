"""Codecs of servers that speak OpenAI's protocol but for a few events. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.openai.codec import OpenAiCodec
from rt_cli.protocol.openai.decode import decode
from rt_cli.protocol.server_events import ErrorEvent, TranscriptFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.protocol.server_events import ServerEvent


class LocalAiCodec(OpenAiCodec):
    """LocalAI has an ``error`` where a transcription fails, and names no item in it."""

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Decode one message, which is one event."""
        event = decode(message)
        if isinstance(event, ErrorEvent) and event.error.code == "transcription_failed":
            return (TranscriptFailed(None, event.error),)
        return (event,)
