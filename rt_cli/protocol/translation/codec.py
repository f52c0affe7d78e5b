"""The codec of a translation session. It keeps the turns of its connection, because the endpoint has none. Pure."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

import msgspec
import pybase64

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_ms
from rt_cli.protocol.dialects.codec import Codec
from rt_cli.protocol.openai.decode import decode, milliseconds
from rt_cli.protocol.openai.encode import MAX_APPEND_BYTES, session_update_event
from rt_cli.protocol.recording_format import TRANSLATION_APPEND
from rt_cli.protocol.server_events import ErrorEvent, ErrorInfo, Malformed, StreamEnded
from rt_cli.protocol.translation.events import TranslatedSound
from rt_cli.protocol.translation.turns import TurnMaker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rt_cli.protocol.openai.decode import Fields
    from rt_cli.protocol.server_events import ServerEvent
    from rt_cli.protocol.translation.events import TranslationEvent

_APPEND_HEAD = b'{"type":"%s","audio":"' % TRANSLATION_APPEND.encode()
_CLOSED = "the endpoint has closed the translation session"


class _Words(msgspec.Struct, frozen=True):
    """A transcript delta of either side."""

    translated: bool
    delta: str
    elapsed_ms: int | None


class _Closed(msgspec.Struct, frozen=True):
    """``session.closed``."""


class _Sound(msgspec.Struct, frozen=True):
    """``session.output_audio.delta``."""

    pcm: bytes
    elapsed_ms: int | None


class TranslationCodec(Codec):
    """The messages of one connection, and its turns.

    Args:
        session: The object of ``session.update``.
        rate_hz: Sample rate of the audio.
    """

    def __init__(self, session: Mapping[str, object], rate_hz: int) -> None:
        self._session = session
        self._rate_hz = rate_hz
        self._turns = TurnMaker()
        self._sent = 0
        """Samples."""
        self._closing = False

    def session_messages(self, event_id: str) -> Sequence[bytes]:
        """Return ``session.update``."""
        return (session_update_event(self._session, event_id),)

    def audio_messages(self, pcm: bytes, size: int) -> Sequence[bytes]:
        """Return one append for each ``size`` bytes."""
        self._sent += len(pcm) // BYTES_PER_SAMPLE
        size = min(size, MAX_APPEND_BYTES)
        with memoryview(pcm) as view:
            return [_append(view[at : at + size]) for at in range(0, len(pcm), size)]

    def end_message(self, event_id: str) -> bytes:
        """Return ``session.close``: the endpoint translates what it has, and answers ``session.closed``."""
        self._closing = True
        return msgspec.json.encode({"type": "session.close", "event_id": event_id})

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Decode one message; turns that it completes come as events of their own."""
        match event := decode(message, _READERS):
            case _Words(translated, delta, elapsed_ms):
                take = self._turns.translated if translated else self._turns.said
                return take(delta, self._elapsed(elapsed_ms))
            case _Sound(pcm, elapsed_ms):
                passed = [] if elapsed_ms is None else self._turns.passed(self._elapsed(elapsed_ms))
                return [TranslatedSound(pcm), *passed]
            case _Closed():
                return self._close()
        return (event,)

    def tick(self, read: int, now: float) -> Sequence[ServerEvent]:
        """Return the turns that a pause completes."""
        return self._turns.tick(to_ms(read, self._rate_hz), now)

    def _elapsed(self, elapsed_ms: int | None) -> int | None:
        """Return the position of an event: nobody has heard what was not sent."""
        return None if elapsed_ms is None else min(elapsed_ms, to_ms(self._sent, self._rate_hz))

    def _close(self) -> list[ServerEvent]:
        last: list[TranslationEvent] = self._turns.flush(all_read=self._closing)
        if self._closing:
            return [*last, StreamEnded()]
        return [*last, ErrorEvent(ErrorInfo(code="session_expired", message=_CLOSED))]


def _append(pcm: memoryview) -> bytes:
    return b"".join((_APPEND_HEAD, pybase64.b64encode(pcm), b'"}'))


def _said(fields: Fields) -> ServerEvent:
    return _words(fields, translated=False)


def _translated(fields: Fields) -> ServerEvent:
    return _words(fields, translated=True)


def _words(fields: Fields, *, translated: bool) -> ServerEvent:
    delta = fields.get("delta")
    # Not whole_text: the next delta may bring the second half of a surrogate pair.
    text = delta if isinstance(delta, str) else ""
    return _Words(translated, text, milliseconds(fields, "elapsed_ms"))  # type: ignore[return-value]  # for decode()


def _sound(fields: Fields) -> ServerEvent:
    delta = fields.get("delta")
    try:
        pcm = pybase64.b64decode(delta if isinstance(delta, str) else "", validate=True)
    except (binascii.Error, ValueError):
        return Malformed("audio that is not base64")
    if len(pcm) % BYTES_PER_SAMPLE:
        return Malformed("audio with half a sample")
    if fields.get("channels") not in {None, 1} or fields.get("format") not in {None, "pcm16"}:
        return Malformed("audio in another format")
    return _Sound(pcm, milliseconds(fields, "elapsed_ms"))  # type: ignore[return-value]  # for decode()


def _closed(_fields: Fields) -> ServerEvent:
    return _Closed()  # type: ignore[return-value]  # for decode()


_READERS = {
    "session.input_transcript.delta": _said,
    "session.output_transcript.delta": _translated,
    "session.output_audio.delta": _sound,
    "session.closed": _closed,
}
