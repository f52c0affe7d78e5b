"""A stand-in for translation sessions: the words that the recogniser hears, marked with the language asked for.

Nothing is translated: ``es:`` before each word stands for Spanish, so that a test can tell every word. The sound comes
back as it was, a second later. A session of another kind hears the words, behind this one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pybase64

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_ms, to_samples
from rt_cli.server.session import wire
from rt_cli.server.session.conversation.conversation import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from rt_cli.server.session.session import Close, ServerSession

    Send = Callable[[bytes], Awaitable[None]]

RATE_HZ = 24_000
DELAY_MS = 1_000
"""The translated sound is so far behind."""
FRAME_MS = 200
"""Times are those of frames of this length."""
_MARKS = ".!?…"
_NORMAL = 1000
_MOST_LANGUAGE, _MOST_CHARS = 35, 200
_HEARD = "conversation.item.input_audio_transcription."
HEARING: Mapping[str, Any] = {
    "type": "transcription",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": RATE_HZ},
            "transcription": {"model": "rt-transcribe"},
            "turn_detection": {"type": "server_vad"},
        }
    },
}
"""The session that hears the words."""


@dataclass(slots=True)
class _Item:
    start_ms: int = 0
    end_ms: int | None = None
    text: str | None = None


class TranslationSession:
    """Serves one client of translations.

    Args:
        make_hearing: Makes the session that hears the words, with the function that it sends with.
        send: As of :class:`~rt_cli.server.session.session.ServerSession`.
        close: Closes the connection.
        model: As the client named it.
    """

    def __init__(
        self, make_hearing: Callable[[Send], ServerSession], send: Send, close: Close, model: str | None
    ) -> None:
        self._hearing = make_hearing(self._hear)
        self._send = send
        self._close = close
        self._model = model or "rt-translate"
        self._language: str | None = None
        self._transcription: dict[str, str] | None = None
        self._noise_reduction: dict[str, str] | None = None
        self._expires_at: int | None = None
        self._items: dict[str, _Item] = {}
        self._received = 0
        """Samples."""
        self._delayed = bytearray()
        self._returned = 0
        """Samples of the sound that has come back."""
        self._closing = False

    async def run(self, messages: AsyncIterator[str | bytes]) -> None:
        """Serve until ``messages`` ends, or until the client has closed the session and has got everything."""
        await self._hearing.run(self._take(messages))
        if self._closing:
            await self._return_sound(everything=True)
            await self._event("session.closed")
            await self._close(_NORMAL, "")

    # -- the client ---------------------------------------------------------------------------------------------------

    async def _take(self, messages: AsyncIterator[str | bytes]) -> AsyncIterator[str | bytes]:
        """Yield what the session behind this one gets of the messages."""
        async for message in messages:
            event = wire.ClientEvent()
            try:
                event = wire.decode(message)
                match event.type:
                    case "session.input_audio_buffer.append":
                        pcm = wire.decode_audio(event.audio)
                        yield json.dumps({"type": "input_audio_buffer.append", "audio": event.audio})
                        await self._take_sound(pcm)
                    case "session.update":
                        self._update(event.session)
                        await self._event("session.updated", session=self._describe())
                    case "session.close":
                        self._closing = True
                        yield json.dumps({"type": "input_audio_buffer.commit"})
                        return
                    case other:
                        await self._send_event(wire.error(_unknown(other), event.event_id))
            except wire.Rejected as rejected:
                await self._send_event(wire.error(rejected, event.event_id))

    def _update(self, session: object) -> None:
        source = _object(_object(session, "session").get("audio"), "session.audio")
        heard = _object(source.get("input"), "session.audio.input")
        output = _object(source.get("output"), "session.audio.output")
        transcription = self._transcription
        if "transcription" in heard:
            transcription = _chosen(heard, "transcription", "model")
        noise_reduction = self._noise_reduction
        if "noise_reduction" in heard:
            noise_reduction = _chosen(heard, "noise_reduction", "type")
        language = output.get("language", self._language)
        if language is not None and not (isinstance(language, str) and 0 < len(language) <= _MOST_LANGUAGE):
            raise wire.Rejected("invalid_value", "language must be a code as es.", "session.audio.output.language")
        self._language, self._transcription = language, transcription
        self._noise_reduction = noise_reduction

    async def _take_sound(self, pcm: bytes) -> None:
        self._received += len(pcm) // BYTES_PER_SAMPLE
        self._delayed += pcm
        await self._return_sound()

    async def _return_sound(self, *, everything: bool = False) -> None:
        kept = 0 if everything else to_samples(DELAY_MS, RATE_HZ) * BYTES_PER_SAMPLE
        size = max(0, len(self._delayed) - kept)
        if not everything and self._items:
            # Behind the words: who reads times takes sound without words before it for silence.
            size = min(size, BYTES_PER_SAMPLE * max(0, self._first_open() - self._returned))
        due = bytes(self._delayed[:size])
        if not due:
            return
        del self._delayed[: len(due)]
        self._returned += len(due) // BYTES_PER_SAMPLE
        await self._event(
            "session.output_audio.delta",
            delta=pybase64.b64encode(due).decode(),
            channels=1,
            sample_rate=RATE_HZ,
            format="pcm16",
            elapsed_ms=_frame(to_ms(self._returned, RATE_HZ)),
        )

    def _first_open(self) -> int:
        """Return the sample at which the first item begins whose words are not told."""
        return to_samples(next(iter(self._items.values())).start_ms, RATE_HZ)

    # -- the session behind -------------------------------------------------------------------------------------------

    async def _hear(self, data: bytes) -> None:
        event = msgspec.json.decode(data)
        match event["type"]:
            case "session.created":
                self._expires_at = event["session"]["expires_at"]
                await self._event("session.created", session=self._describe())
            case "error" if not self._closing:
                await self._send_event(event)
            case "input_audio_buffer.speech_started":
                self._items.setdefault(event["item_id"], _Item(event["audio_start_ms"]))
            case "input_audio_buffer.speech_stopped":
                self._items.setdefault(event["item_id"], _Item()).end_ms = event["audio_end_ms"]
            case "input_audio_buffer.committed":
                item = self._items.setdefault(event["item_id"], _Item())
                item.end_ms = to_ms(self._received, RATE_HZ) if item.end_ms is None else item.end_ms
            case kind if kind in {f"{_HEARD}completed", f"{_HEARD}failed"}:
                self._items.setdefault(event["item_id"], _Item()).text = event.get("transcript", "")
                await self._tell()

    async def _tell(self) -> None:
        """Tell the words of the items, in their order, whatever the order in which they are recognised."""
        while self._items:
            item_id, item = next(iter(self._items.items()))
            if item.text is None:
                return
            del self._items[item_id]
            words = item.text.split()
            if words and words[-1][-1] not in _MARKS:
                words[-1] += "."
            end_ms = to_ms(self._received, RATE_HZ) if item.end_ms is None else item.end_ms
            if self._transcription is not None:
                for number, word in enumerate(words, 1):
                    at = item.start_ms + (end_ms - item.start_ms) * number // len(words)
                    await self._event("session.input_transcript.delta", delta=f" {word}", elapsed_ms=_frame(at))
            for word in words:
                marked = f" {self._language}:{word}" if self._language else f" {word}"
                await self._event("session.output_transcript.delta", delta=marked, elapsed_ms=_frame(end_ms))

    # -- events -------------------------------------------------------------------------------------------------------

    def _describe(self) -> dict[str, Any]:
        return {
            "id": self._hearing.id,
            "type": "translation",
            "model": self._model,
            "expires_at": self._expires_at,
            "audio": {
                "input": {"transcription": self._transcription, "noise_reduction": self._noise_reduction},
                "output": {"language": self._language},
            },
        }

    async def _event(self, kind: str, **fields: Any) -> None:
        await self._send_event({"type": kind, **fields})

    async def _send_event(self, event: wire.Event) -> None:
        await self._send(msgspec.json.encode({"event_id": new_id("event"), **event}))


def _unknown(kind: object) -> wire.Rejected:
    return wire.Rejected("invalid_value", f"Unknown event type: {str(kind)[:100]!r}.", "type")


def _object(value: object, param: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wire.Rejected("invalid_type", f"{param} must be an object.", param)
    return value


def _chosen(owner: Mapping[str, Any], name: str, key: str) -> dict[str, str] | None:
    """Return an object with the one text that counts; None for null."""
    param = f"session.audio.input.{name}"
    if owner[name] is None:
        return None
    text = _object(owner[name], param).get(key)
    if not isinstance(text, str) or not 0 < len(text) <= _MOST_CHARS:
        raise wire.Rejected("missing_required_parameter", f"{name} needs a {key}.", f"{param}.{key}")
    return {key: text}


def _frame(ms: int) -> int:
    return ms - ms % FRAME_MS
