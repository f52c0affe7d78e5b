"""One client of the embedded endpoint: its messages in, the conversation's decisions carried out, events back."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_ms
from rt_cli.local import wire
from rt_cli.local.config import SessionConfig, SessionType
from rt_cli.local.conversation import Abandon, Action, Conversation, Feed, Finish, Open, Pause, Send, TurnEnded
from rt_cli.local.deltas import Deltas
from rt_cli.local.recognizer import Ears, RecognizerFailed, Transcription
from rt_cli.local.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

    from rt_cli.audio.vad import SpeechDetector

Observe = Callable[[dict[str, Any]], None]

EXPIRES_S = 3600
"""What ``expires_at`` announces, as OpenAI does; a session that goes on longer is not ended."""
_SLICE_FRAMES = 8
"""Frames that the detector takes at once: about 15 ms of CPU, most of it holding the GIL."""
_NOT_BUILT = frozenset(
    {
        "conversation.item.create",
        "conversation.item.delete",
        "conversation.item.retrieve",
        "conversation.item.truncate",
        "output_audio_buffer.clear",
        "response.cancel",
        "response.create",
    }
)


class _Heard:
    """An item whose words are on their way."""

    def __init__(self, transcription: Transcription) -> None:
        self.transcription = transcription
        self.seconds = 0.0
        self.complete = asyncio.Event()
        """It was committed, and the client knows."""
        self.report: asyncio.Task[None] | None = None


class Session:
    """Serves one client.

    Messages are handled strictly in order, each to its end: while audio waits for recognition no other message is
    read, so that whoever feeds :meth:`run` feels the back-pressure.

    Args:
        type_: What the URL asked for.
        ears: The recogniser.
        send: Sends a text frame; must not raise when the client is gone.
        observe: Told what happens; must return at once and must not raise.
        save_audio: Existing directory for what is received.
    """

    def __init__(
        self,
        type_: SessionType,
        ears: Ears,
        send: Callable[[bytes], Awaitable[None]],
        observe: Observe,
        save_audio: Path | None,
    ) -> None:
        self.id = f"sess_{secrets.token_hex(10)}"
        self._ears = ears
        self._send = send
        self._observe = observe
        self._expires_at = int(time.time()) + EXPIRES_S
        self._conversation = Conversation(SessionConfig(type_), lambda: f"item_{secrets.token_hex(10)}")
        self._detector: SpeechDetector | None = None
        self._recording = Recording(save_audio / f"{self.id}.wav") if save_audio is not None else None
        self._items: dict[str, _Heard] = {}
        self._reports: asyncio.TaskGroup

    async def run(self, messages: AsyncIterator[str | bytes]) -> None:
        """Serve until ``messages`` ends. Cancelled, it leaves nothing behind."""
        self._note("session_opened")
        try:
            async with asyncio.TaskGroup() as self._reports:
                await self._tell({"type": "session.created", "session": self._describe()})
                async for message in messages:
                    await self._handle(message)
                for item in self._items.values():
                    self._forget(item)
        finally:
            self._stop_recording()
            received, rate_hz = self._conversation.received, self._conversation.config.rate_hz
            self._note(
                "session_closed",
                received_samples=received,
                received_ms=to_ms(received, rate_hz),
                rate_hz=rate_hz,
                turns=self._conversation.turns,
            )

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
                await self._append(wire.decode_audio(event.audio))
            case "input_audio_buffer.commit":
                await self._perform(self._conversation.commit())
            case "input_audio_buffer.clear":
                await self._perform(self._conversation.clear())
            case "session.update":
                self._conversation.update(event.session)
                await self._tell({"type": "session.updated", "session": self._describe()})
            case str(name) if name in _NOT_BUILT:
                message = f"{name} is not built into the embedded endpoint: it transcribes, and gives no replies."
                raise wire.Rejected("not_implemented", message, "type")
            case other:
                raise wire.Rejected("invalid_value", f"Unknown event type: {str(other)[:100]!r}.", "type")

    async def _append(self, pcm: bytes) -> None:
        if not pcm:
            return
        await self._record(pcm)
        detector = self._detector or await self._begin()
        step = _SLICE_FRAMES * detector.frame_samples * BYTES_PER_SAMPLE
        for start in range(0, len(pcm), step):
            part = pcm[start : start + step]
            probabilities = await asyncio.to_thread(detector.push, part)
            await self._perform(self._conversation.hear(part, probabilities))

    async def _begin(self) -> SpeechDetector:
        from rt_cli.audio.vad import SpeechDetector

        self._detector = await asyncio.to_thread(SpeechDetector, self._conversation.config.rate_hz)
        self._conversation.listen(self._detector.frame_samples)
        return self._detector

    async def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(event):
                    await self._tell(event)
                case TurnEnded(item_id, start_ms, end_ms):
                    self._note("turn", item=item_id, start_ms=start_ms, end_ms=end_ms)
                case Open(item_id):
                    item = _Heard(await self._ears.open(self._conversation.config.rate_hz))
                    self._items[item_id] = item
                    item.report = self._reports.create_task(self._report(item_id, item), name=f"words of {item_id}")
                case Feed(item_id, pcm):
                    await self._items[item_id].transcription.feed(pcm)
                case Pause(item_id):
                    self._items[item_id].transcription.pause()
                case Finish(item_id, seconds):
                    item = self._items.pop(item_id)
                    item.seconds = seconds
                    item.complete.set()
                    item.transcription.finish()
                case Abandon(item_id):
                    self._forget(self._items.pop(item_id))

    async def _report(self, item_id: str, item: _Heard) -> None:
        """Tell the client an item's words, the last of them only after the item itself."""
        deltas = Deltas()
        try:
            async for hypothesis in item.transcription.hypotheses():
                text = hypothesis.text
                delta = deltas.finish(text) if hypothesis.final else deltas.push(text)
                if delta:
                    await self._tell(wire.transcript_delta(item_id, delta))
            await item.complete.wait()
            await self._tell(wire.transcript_completed(item_id, text, item.seconds))
            self._note("transcript", item=item_id, text=text)
        except RecognizerFailed as failure:
            await item.complete.wait()
            await self._tell(wire.transcript_failed(item_id, str(failure)))
            self._note("transcription_failed", item=item_id, reason=str(failure))

    def _forget(self, item: _Heard) -> None:
        item.transcription.abandon()
        if item.report is not None:
            item.report.cancel()

    async def _record(self, pcm: bytes) -> None:
        if self._recording is None:
            return
        try:
            await asyncio.to_thread(self._recording.write, pcm, self._conversation.config.rate_hz)
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

    def _describe(self) -> dict[str, Any]:
        return {"id": self.id, **self._conversation.config.describe(), "expires_at": self._expires_at}

    async def _tell(self, event: wire.Event) -> None:
        await self._send(msgspec.json.encode({"event_id": f"event_{secrets.token_hex(10)}", **event}))

    def _note(self, type_: str, **facts: Any) -> None:
        self._observe({"type": type_, "session": self.id, **facts})
