"""A provider that shares nothing with OpenAI but the WebSocket: its dialect and codec, in one file as any other's.

The URL says everything, nobody greets, audio is binary, there is no commit and no clear, turns are numbered segments
that carry times in seconds, and the end of the stream is a message that is answered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.codec import Codec
from rt_cli.protocol.dialects.dialect import Dialect, SessionRequest
from rt_cli.protocol.message import Binary
from rt_cli.protocol.server_events import (
    Committed,
    ErrorEvent,
    ErrorInfo,
    Ignored,
    Malformed,
    SpeechStarted,
    SpeechStopped,
    StreamEnded,
    TranscriptCompleted,
    TranscriptSnapshot,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.protocol.server_events import ServerEvent
    from rt_cli.settings import SessionSettings, TurnDetection

LONGEST_MESSAGE = 4_800


class ForeignCodec(Codec):
    """Remembers which segments were announced."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def audio_messages(self, pcm: bytes, size: int) -> Sequence[bytes]:
        """Raw PCM in binary frames of at most 100 ms."""
        size = min(size, LONGEST_MESSAGE)
        return [Binary(pcm[at : at + size]) for at in range(0, len(pcm), size)]

    def end_message(self, event_id: str) -> bytes:
        """Ask for the rest."""
        return json.dumps({"finish": event_id}).encode()

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """A result is the start of a segment, its words so far, or its end."""
        try:
            fields = json.loads(message)
        except ValueError:
            return (Malformed("not JSON"),)
        match fields:
            case {"finished": _}:
                return (StreamEnded(),)
            case {"problem": str(problem)}:
                return (ErrorEvent(ErrorInfo(code=problem, message=problem)),)
            case {"segment": int(number), "from": float(start), "to": float(end), "words": str(words), "last": last}:
                item = f"segment {number}"
                started = () if number in self._open else (SpeechStarted(item, round(start * 1000)),)
                self._open.add(number)
                if not last:
                    return (*started, TranscriptSnapshot(item, words))
                stopped = SpeechStopped(item, round(end * 1000))
                return (*started, stopped, Committed(item), TranscriptCompleted(item, words))
        return (Ignored("other"),)


@dataclass(frozen=True)
class ForeignDialect(Dialect):
    """The provider."""

    def path(self, path: str) -> str:
        """Always the same."""
        return path.rstrip("/") or "/listen"

    def request(
        self, settings: SessionSettings, model: str, turns: TurnDetection | None, *, embedded: bool
    ) -> SessionRequest:
        """The model and the silence stand in the URL."""
        del embedded
        if turns not in {None, "server_vad"}:
            raise UsageError(f"{self.name} makes the turns", "leave out --turn-detection")
        query = (("rate", str(self.rate_hz)), ("model", model), ("pause", str(settings.silence_ms)))
        return SessionRequest("server_vad", self.rate_hz, query=query)

    def codec(self, request: SessionRequest) -> Codec:
        """One for each connection."""
        del request
        return ForeignCodec()


FOREIGN = ForeignDialect(
    name="foreign",
    hosts=(".foreign.example",),
    key_variable="FOREIGN_API_KEY",
    key_header="X-Foreign",
    key_prefix="",
    default_model="ears",
    greets=False,
    confirms=False,
    clears=False,
    ends_stream=True,
)
