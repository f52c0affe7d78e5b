"""The codec of xAI's speech to text: binary audio, utterances without ids, times in seconds. Pure.

An utterance comes as interim texts, as chunks of some seconds whose text stays, and as a whole when it ends. The end
of the stream is answered with what is in no utterance yet, and with the length of all audio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.dialects.codec import Codec
from rt_cli.protocol.message import Binary
from rt_cli.protocol.openai.decode import Fields, decode, number, read_object, text_of
from rt_cli.protocol.server_events import (
    Committed,
    Malformed,
    ServerEvent,
    SessionCreated,
    SpeechStarted,
    SpeechStopped,
    StreamEnded,
    TranscriptCompleted,
    TranscriptSnapshot,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_END = b'{"type":"audio.done"}'
_PREFIX_S = 0.3
"""Sound kept from before the first word: the times of words are rounded, and a word is heard before it is certain."""
_TOLERANCE_S = 0.05
"""Times are rounded: a chunk that begins so little before an utterance is in it."""


class XaiCodec(Codec):
    """Numbers the utterances, and keeps the chunks of the present one.

    Args:
        silence_ms: Silence that ends an utterance.
    """

    def __init__(self, silence_ms: int) -> None:
        self._silence_s = silence_ms / 1000
        self._utterances = 0
        self._open = False
        self._ended_at = 0.0
        """Seconds."""
        self._chunks: list[tuple[float, str]] = []
        """Where each chunk of the utterance begins, seconds, and its text."""

    def audio_messages(self, pcm: bytes, size: int) -> Sequence[bytes]:
        """Cut into binary messages."""
        return [Binary(pcm[at : at + size]) for at in range(0, len(pcm), size)]

    def end_message(self, event_id: str) -> bytes:
        """Encode the end of the audio; its answer repeats no id."""
        del event_id
        return _END

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Decode one message; an utterance begins with its first words."""
        fields = read_object(message)
        if isinstance(fields, Malformed):
            return (fields,)
        match fields.get("type"):
            case "transcript.created":
                return (SessionCreated(session_id=text_of(fields, "id")),)
            case "transcript.partial":
                return self._partial(fields)
            case "transcript.done":
                return (*self._rest(fields), StreamEnded())
        return (decode(message),)

    def _partial(self, fields: Fields) -> Sequence[ServerEvent]:
        text = (text_of(fields, "text") or "").strip()
        start = number(fields, "start")
        ends = fields.get("is_final") is True and fields.get("speech_final") is True
        if not (text or (ends and self._open)):
            return ()
        started = self._begin(start)
        if ends:
            return (*started, *self._finish(self._whole(text, start), self._end(fields), text_of(fields, "language")))
        whole = self._whole(text, start)
        if fields.get("is_final") is True:
            self._chunks.append((start or 0.0, text))
        return (*started, TranscriptSnapshot(self._item, whole))

    def _rest(self, fields: Fields) -> Sequence[ServerEvent]:
        """Finish what is in no utterance yet."""
        text = (text_of(fields, "text") or "").strip()
        if not (text or self._open):
            return ()
        start = number(_word(fields, 0), "start")
        started = self._begin(start)
        return (
            *started,
            *self._finish(self._whole(text, start), number(fields, "duration"), text_of(fields, "language")),
        )

    def _end(self, fields: Fields) -> float | None:
        """Return a moment in the silence behind the utterance, seconds: its words say best where they end."""
        spoken_to = number(_word(fields, -1), "end")
        if spoken_to is not None:
            return spoken_to + self._silence_s / 2
        start, length = number(fields, "start"), number(fields, "duration")
        return None if start is None or length is None else start + length

    def _begin(self, start: float | None) -> Sequence[ServerEvent]:
        if self._open:
            return ()
        self._open = True
        self._utterances += 1
        begins = None if start is None else max(self._ended_at, start - _PREFIX_S)
        return (SpeechStarted(self._item, None if begins is None else round(begins * 1000)),)

    def _finish(self, text: str, end: float | None, language: str | None) -> Sequence[ServerEvent]:
        self._open = False
        self._chunks.clear()
        self._ended_at = end or self._ended_at
        stopped = SpeechStopped(self._item, None if end is None else round(end * 1000))
        return (stopped, Committed(self._item), TranscriptCompleted(self._item, text, language))

    def _whole(self, text: str, start: float | None) -> str:
        """Return the text of the utterance: the chunks before ``start``, which ``text`` does not cover, and it."""
        covered = -1.0 if start is None else start - _TOLERANCE_S
        before = [chunk for begins, chunk in self._chunks if begins < covered or not text]
        return " ".join(filter(None, (*before, text)))

    @property
    def _item(self) -> str:
        return f"utterance_{self._utterances}"


def _word(fields: Fields, at: int) -> Fields:
    """Return the first or the last word; an empty object if there is none."""
    words = fields.get("words")
    word = words[at] if isinstance(words, list) and words else None
    return word if isinstance(word, dict) else {}
