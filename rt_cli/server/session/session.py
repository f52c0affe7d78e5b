"""One session of the embedded endpoint: reads client events, executes the actions of both sides, sends events."""

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
    AbandonItem,
    Action,
    AudioInput,
    FeedItem,
    FinishItem,
    InterruptReply,
    OpenItem,
    PauseItem,
    Respond,
    SendEvent,
    TurnEnded,
)
from rt_cli.server.session.input.transcription import TurnTranscriber

if TYPE_CHECKING:
    from pathlib import Path

    from rt_cli.audio.speech.vad import SpeechDetector
    from rt_cli.server.replies.interface import Replier

OnEvent = Callable[[dict[str, Any]], None]
Close = Callable[[int, str], Awaitable[None]]
"""Closes the connection with a code and a reason; the message iterator then ends."""

EXPIRES_S = 3600.0
"""Maximum duration of a session, as at OpenAI."""
GOING_AWAY = 1001
_SLICE_FRAMES = 8
"""Frames per call of the detector: about 15 ms of CPU time, most of it with the GIL held."""


class ServerSession:
    """Serves one client.

    The session handles one message at a time. While audio waits for recognition, the session reads no message: this
    is the back-pressure on the caller of :meth:`run`. Responses run concurrently, in tasks.

    Args:
        type_: Session type that the URL requests.
        recognizer_session: The recogniser's side of this session.
        send: Sends a text frame and waits while the client reads slowly; must not raise after a disconnect.
        on_event: Receives the server's log events; must return at once and must not raise.
        save_audio: Existing directory for a WAV file of the received audio.
        replier: Writes the replies; None: responses have no output.
        close: Closes an expired session. None: the client gets the error, and the session continues.
        expires_s: Maximum duration in seconds.
        languages: Languages of the recogniser (ISO 639-1); None: any.
        settings: Initial ``session.update``. If it is invalid, the client gets an error after ``session.created``,
            and the session starts with the defaults.
    """

    def __init__(
        self,
        type_: SessionType,
        recognizer_session: RecognizerSession,
        send: Callable[[bytes], Awaitable[None]],
        on_event: OnEvent,
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
        self._previous_item_id: str | None = None
        self._transcriber: TurnTranscriber
        self._conversation: Conversation

    async def run(self, messages: AsyncIterator[str | bytes]) -> None:
        """Serve until ``messages`` ends. Cancellation ends all tasks and closes the recording."""
        self._notify("session_opened")
        try:
            async with asyncio.TaskGroup() as group:
                on_hypothesis = self._audio_input.set_words
                self._transcriber = TurnTranscriber(
                    self._recognizer_session, group, self._items, self._send_event, self._notify, on_hypothesis
                )
                self._conversation = Conversation(
                    *(
                        self._audio_input,
                        self._items,
                        self._transcriber,
                        self._replier,
                        group,
                        self._send_event,
                        self._notify,
                    )
                )
                await self._send_created()
                expiry = group.create_task(self._expire(), name=f"end of {self.id}")
                async for message in messages:
                    await self._handle(message)
                expiry.cancel()
                self._conversation.close()
                await self._transcriber.close()
        finally:
            self._stop_recording()
            self._free_memory()
            received, rate_hz = self._audio_input.received, self._audio_input.config.rate_hz
            self._notify(
                "session_closed",
                received_samples=received,
                received_ms=to_ms(received, rate_hz),
                rate_hz=rate_hz,
                turns=self._audio_input.turns,
            )

    async def _send_created(self) -> None:
        wrong = None
        try:
            self._update(self._settings or {"type": self._audio_input.config.type})
        except wire.Rejected as rejected:
            wrong = rejected
            self._update({"type": self._audio_input.config.type})
        await self._send_event({"type": "session.created", "session": self._describe()})
        if wrong is not None:
            await self._send_event(wire.error(wrong, None))

    def _update(self, session: object) -> None:
        self._audio_input.update(session)
        self._audio_input.needs_words = self._conversation.needs_words()

    async def _expire(self) -> None:
        await asyncio.sleep(self._expires_s)
        await self._send_event(wire.session_expired(self._expires_s / 60))
        if self._close is not None:
            await self._close(GOING_AWAY, "session expired")

    async def _handle(self, message: str | bytes) -> None:
        event = wire.ClientEvent()
        try:
            event = wire.decode(message)
            await self._execute(event)
        except wire.Rejected as rejected:
            await self._send_event(wire.error(rejected, event.event_id))

    async def _execute(self, event: wire.ClientEvent) -> None:
        match event.type:
            case "input_audio_buffer.append":
                await self._append_audio(
                    audio_format.decode(event.audio, "audio", self._audio_input.config.input_format)
                )
            case "input_audio_buffer.commit":
                await self._perform(self._audio_input.commit())
            case "input_audio_buffer.clear":
                await self._perform(self._audio_input.clear())
            case "session.update":
                self._update(event.session)
                await self._send_event({"type": "session.updated", "session": self._describe()})
            case other:
                if not await self._conversation.handle(event):
                    wrong = (
                        f"Unknown event type: {other[:100]!r}." if isinstance(other, str) else "type must be a string."
                    )
                    raise wire.Rejected("invalid_value", wrong, "type")

    async def _append_audio(self, pcm: bytes) -> None:
        if not pcm:
            return
        self._audio_input.check_room(len(pcm) // BYTES_PER_SAMPLE)
        await self._record(pcm)
        detector = self._detector or await self._load_detector()
        step = _SLICE_FRAMES * detector.frame_samples * BYTES_PER_SAMPLE
        for start in range(0, len(pcm), step):
            part = pcm[start : start + step]
            # A tenth of a millisecond each: a frame is done sooner than a thread is woken.
            short = len(part) <= detector.frame_samples * BYTES_PER_SAMPLE
            probabilities = detector.push(part) if short else await asyncio.to_thread(detector.push, part)
            await self._perform(self._audio_input.append(part, probabilities))

    async def _load_detector(self) -> SpeechDetector:
        from rt_cli.audio.speech.vad import SpeechDetector

        self._detector = await asyncio.to_thread(SpeechDetector, self._audio_input.config.rate_hz)
        self._audio_input.start(self._detector.frame_samples)
        return self._detector

    async def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case SendEvent(event):
                    await self._send_event(self._with_previous_item(event))
                case TurnEnded(item_id, start_ms, end_ms, pcm):
                    self._conversation.keep_audio(item_id, pcm)
                    self._notify("turn", item=item_id, start_ms=start_ms, end_ms=end_ms)
                case Respond():
                    self._conversation.answer()
                case InterruptReply():
                    self._conversation.interrupt()
                case OpenItem() | FeedItem() | PauseItem() | FinishItem() | AbandonItem():
                    await self._recognise(action)

    async def _recognise(self, action: OpenItem | FeedItem | PauseItem | FinishItem | AbandonItem) -> None:
        match action:
            case OpenItem(item_id):
                config = self._audio_input.config
                to_client = config.transcription is not None
                await self._transcriber.open(item_id, config.rate_hz, _hints(config), to_client=to_client)
            case FeedItem(item_id, pcm):
                await self._transcriber.feed(item_id, pcm)
            case PauseItem(item_id):
                self._transcriber.pause(item_id)
            case FinishItem(item_id, seconds):
                self._transcriber.finish(item_id, seconds)
            case AbandonItem(item_id):
                self._transcriber.abandon(item_id)

    def _with_previous_item(self, event: wire.Event) -> wire.Event:
        """Set ``previous_item_id`` at the time of sending: a response may have added an item since the commit."""
        if event["type"] == "input_audio_buffer.committed":
            self._previous_item_id = self._conversation.add_turn(event["item_id"])
        return {**event, "previous_item_id": self._previous_item_id} if "previous_item_id" in event else event

    async def _record(self, pcm: bytes) -> None:
        if self._recording is None:
            return
        try:
            await asyncio.to_thread(self._recording.write, pcm, self._audio_input.config.rate_hz)
        except OSError as exc:
            self._notify("warning", message=f"{self._recording.path}: not recorded any further: {exc.strerror}")
            self._stop_recording()

    def _stop_recording(self) -> None:
        recording, self._recording = self._recording, None
        if recording is None:
            return
        try:
            recording.close()
        except OSError as exc:
            self._notify("warning", message=f"{recording.path}: incomplete: {exc.strerror}")

    def _free_memory(self) -> None:
        """Free audio and items now: session and conversation form a reference cycle, which only the collector frees."""
        self._items.clear()
        self._audio_input.clear()
        self._detector = None

    def _describe(self) -> dict[str, Any]:
        return {"id": self.id, **self._audio_input.config.describe(), "expires_at": self._expires_at}

    async def _send_event(self, event: wire.Event) -> None:
        await self._send(msgspec.json.encode({"event_id": new_id("event"), **event}))

    def _notify(self, type_: str, **facts: Any) -> None:
        self._on_event({"type": type_, "session": self.id, **facts})


def _hints(config: SessionConfig) -> Hints:
    """Recogniser hints from the ``transcription`` field; keywords are added to the prompt."""
    transcription = config.transcription or {}
    languages = transcription.get("languages") or [None]
    expected = [transcription.get("prompt"), ", ".join(transcription.get("keywords") or [])]
    return Hints(transcription.get("language") or languages[0], " ".join(filter(None, expected)) or None)
