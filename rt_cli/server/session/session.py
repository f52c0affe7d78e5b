"""One client of the embedded endpoint: its messages in, the decisions of both sides carried out, events back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_ms
from rt_cli.disk.wav_writer import WavWriter
from rt_cli.server.recognition.interface import Hints, RecognizerSession
from rt_cli.server.session import wire
from rt_cli.server.session.config import ENGLISH, SessionConfig, SessionType
from rt_cli.server.session.conversation.conversation import Conversation, new_id
from rt_cli.server.session.conversation.items import Items
from rt_cli.server.session.input import audio_format
from rt_cli.server.session.input.input import (
    Abandon,
    Action,
    AudioInput,
    FeedItem,
    FinishItem,
    InterruptReply,
    Open,
    Pause,
    Respond,
    SendEvent,
    TurnEnded,
)
from rt_cli.server.session.input.transcription import TurnTranscriber

if TYPE_CHECKING:
    from pathlib import Path

    from rt_cli.audio.speech.vad import SpeechDetector
    from rt_cli.server.replies.interface import Replier

Observe = Callable[[dict[str, Any]], None]
Close = Callable[[int, str], Awaitable[None]]
"""Closes the connection with a code and a reason; the messages end."""

EXPIRES_S = 3600.0
"""How long a session may last, as at OpenAI."""
GOING_AWAY = 1001
_SLICE_FRAMES = 8
"""Frames that the detector takes at once: about 15 ms of CPU, most of it holding the GIL."""


class ServerSession:
    """Serves one client.

    Messages are handled strictly in order, each to its end: while audio waits for recognition no other message is
    read, so that whoever feeds :meth:`run` feels the back-pressure. Replies are made beside that.

    Args:
        type_: What the URL asked for.
        recognizer_session: The recogniser.
        send: Sends a text frame, waits for a client that is slow to read; must not raise when the client is gone.
        on_event: Told what happens; must return at once and must not raise.
        save_audio: Existing directory for what is received.
        replier: What answers turns; None: responses have no output.
        close: How a session that has expired is ended; None: it is told, and goes on.
        expires_s: How long it may last.
        languages: Those that can be recognised; None: any.
        settings: A ``session.update`` to begin with; if it is wrong the client is told, and begins without.
    """

    def __init__(
        self,
        type_: SessionType,
        recognizer_session: RecognizerSession,
        send: Callable[[bytes], Awaitable[None]],
        on_event: Observe,
        save_audio: Path | None,
        *,
        replier: Replier | None = None,
        close: Close | None = None,
        expires_s: float = EXPIRES_S,
        languages: frozenset[str] | None = ENGLISH,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.id = new_id("sess")
        self._recognizer_session = recognizer_session
        self._send = send
        self._on_event = on_event
        self._replier = replier
        self._close = close
        self._settings = settings
        self._expires_s = expires_s
        self._expires_at = int(time.time() + expires_s)
        self._items = Items()
        self._audio_input = AudioInput(
            SessionConfig(type_),
            lambda: new_id("item"),
            last_item=self._items.last,
            languages=languages,
        )
        self._detector: SpeechDetector | None = None
        self._recording = WavWriter(save_audio / f"{self.id}.wav") if save_audio is not None else None
        self._before: str | None = None
        self._transcriber: TurnTranscriber
        self._conversation: Conversation

    async def run(self, messages: AsyncIterator[str | bytes]) -> None:
        """Serve until ``messages`` ends. Cancelled, it leaves nothing behind."""
        self._note("session_opened")
        try:
            async with asyncio.TaskGroup() as group:
                said = self._audio_input.words_so_far
                self._transcriber = TurnTranscriber(
                    self._recognizer_session, group, self._items, self._tell, self._note, said
                )
                self._conversation = Conversation(
                    *(self._audio_input, self._items, self._transcriber, self._replier, group, self._tell, self._note)
                )
                await self._greet()
                expiry = group.create_task(self._expire(), name=f"end of {self.id}")
                async for message in messages:
                    await self._handle(message)
                expiry.cancel()
                self._conversation.close()
                await self._transcriber.close()
        finally:
            self._stop_recording()
            self._let_go()
            received, rate_hz = self._audio_input.received, self._audio_input.config.rate_hz
            self._note(
                "session_closed",
                received_samples=received,
                received_ms=to_ms(received, rate_hz),
                rate_hz=rate_hz,
                turns=self._audio_input.turns,
            )

    async def _greet(self) -> None:
        wrong = None
        try:
            self._update(self._settings or {"type": self._audio_input.config.type})
        except wire.Rejected as rejected:
            wrong = rejected
            self._update({"type": self._audio_input.config.type})
        await self._tell({"type": "session.created", "session": self._describe()})
        if wrong is not None:
            await self._tell(wire.error(wrong, None))

    def _update(self, session: object) -> None:
        self._audio_input.update(session)
        self._audio_input.needs_words = self._conversation.needs_words()

    async def _expire(self) -> None:
        await asyncio.sleep(self._expires_s)
        await self._tell(wire.session_expired(self._expires_s / 60))
        if self._close is not None:
            await self._close(GOING_AWAY, "session expired")

    async def _handle(self, message: str | bytes) -> None:
        event = wire.ClientEvent()
        try:
            event = wire.decode(message)
            await self._obey(event)
        except wire.Rejected as rejected:
            await self._tell(wire.error(rejected, event.event_id))

    async def _obey(self, event: wire.ClientEvent) -> None:
        match event.type:
            case "input_audio_buffer.append":
                await self._append(audio_format.decode(event.audio, "audio", self._audio_input.config.input_format))
            case "input_audio_buffer.commit":
                await self._perform(self._audio_input.commit())
            case "input_audio_buffer.clear":
                await self._perform(self._audio_input.clear())
            case "session.update":
                self._update(event.session)
                await self._tell({"type": "session.updated", "session": self._describe()})
            case other:
                if not await self._conversation.obey(event):
                    wrong = (
                        f"Unknown event type: {other[:100]!r}." if isinstance(other, str) else "type must be a string."
                    )
                    raise wire.Rejected("invalid_value", wrong, "type")

    async def _append(self, pcm: bytes) -> None:
        if not pcm:
            return
        self._audio_input.admit(len(pcm) // BYTES_PER_SAMPLE)
        await self._record(pcm)
        detector = self._detector or await self._begin()
        step = _SLICE_FRAMES * detector.frame_samples * BYTES_PER_SAMPLE
        for start in range(0, len(pcm), step):
            part = pcm[start : start + step]
            probabilities = await asyncio.to_thread(detector.push, part)
            await self._perform(self._audio_input.hear(part, probabilities))

    async def _begin(self) -> SpeechDetector:
        from rt_cli.audio.speech.vad import SpeechDetector

        self._detector = await asyncio.to_thread(SpeechDetector, self._audio_input.config.rate_hz)
        self._audio_input.listen(self._detector.frame_samples)
        return self._detector

    async def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case SendEvent(event):
                    await self._tell(self._placed(event))
                case TurnEnded(item_id, start_ms, end_ms, pcm):
                    self._conversation.keep(item_id, pcm)
                    self._note("turn", item=item_id, start_ms=start_ms, end_ms=end_ms)
                case Respond():
                    self._conversation.answer()
                case InterruptReply():
                    self._conversation.interrupt()
                case Open() | FeedItem() | Pause() | FinishItem() | Abandon():
                    await self._listen(action)

    async def _listen(self, action: Open | FeedItem | Pause | FinishItem | Abandon) -> None:
        match action:
            case Open(item_id):
                config = self._audio_input.config
                told = config.transcription is not None
                await self._transcriber.open(item_id, config.rate_hz, _hints(config), told=told)
            case FeedItem(item_id, pcm):
                await self._transcriber.feed(item_id, pcm)
            case Pause(item_id):
                self._transcriber.pause(item_id)
            case FinishItem(item_id, seconds):
                self._transcriber.finish(item_id, seconds)
            case Abandon(item_id):
                self._transcriber.abandon(item_id)

    def _placed(self, event: wire.Event) -> wire.Event:
        """The events of a commit, with the place that the item has now: a reply may have begun since it was decided."""
        if event["type"] == "input_audio_buffer.committed":
            self._before = self._conversation.place(event["item_id"])
        return {**event, "previous_item_id": self._before} if "previous_item_id" in event else event

    async def _record(self, pcm: bytes) -> None:
        if self._recording is None:
            return
        try:
            await asyncio.to_thread(self._recording.write, pcm, self._audio_input.config.rate_hz)
        except OSError as exc:
            self._note("warning", message=f"{self._recording.path}: not recorded any further: {exc.strerror}")
            self._stop_recording()

    def _stop_recording(self) -> None:
        recording, self._recording = self._recording, None
        if recording is None:
            return
        try:
            recording.close()
        except OSError as exc:
            self._note("warning", message=f"{recording.path}: incomplete: {exc.strerror}")

    def _let_go(self) -> None:
        """Free what is large now: session and dialogue know each other, and so wait for the collector of garbage."""
        self._items.clear()
        self._audio_input.clear()
        self._detector = None

    def _describe(self) -> dict[str, Any]:
        return {"id": self.id, **self._audio_input.config.describe(), "expires_at": self._expires_at}

    async def _tell(self, event: wire.Event) -> None:
        await self._send(msgspec.json.encode({"event_id": new_id("event"), **event}))

    def _note(self, type_: str, **facts: Any) -> None:
        self._on_event({"type": type_, "session": self.id, **facts})


def _hints(config: SessionConfig) -> Hints:
    """What the client says about the words; keywords are words to expect, too."""
    given = config.transcription or {}
    languages = given.get("languages") or [None]
    expected = [given.get("prompt"), ", ".join(given.get("keywords") or [])]
    return Hints(given.get("language") or languages[0], " ".join(filter(None, expected)) or None)
