"""Speaches: the flat session, a model in the URL, its own turn detection always, offsets that restart every turn."""

from __future__ import annotations

from typing import Any

from tests.standins.standin import TRANSCRIPTION, Call, Hearing, Message

MODEL = "Systran/faster-whisper-small"


class SpeachesScript(Hearing):
    """Errors have no code; fields that it does not know are dropped."""

    silence_ms = 550

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._transcribes = call.query.get("intent") == ["transcription"]
        self._session: dict[str, Any] = {
            "id": "sess_1",
            "modalities": ["audio", "text"],
            "speech_model": "speaches-ai/Kokoro-82M-v1.0-ONNX",
            "input_audio_format": "pcm16",
            "input_audio_transcription": {"model": MODEL},
            "turn_detection": {"type": "server_vad", "threshold": 0.9, "silence_duration_ms": 550},
        }

    @classmethod
    def refuses(cls, call: Call) -> tuple[int, str] | None:
        """A required parameter is missing."""
        return None if "model" in call.query else (403, "")

    def greeting(self) -> list[Message]:
        """The session in the flat shape."""
        return [{"type": "session.created", "session": self._session}]

    def configure(self, message: Message) -> list[Message]:
        """Take the fields that it knows."""
        asked = message["session"]
        detection = asked.get("turn_detection") or {}
        for refused in ("input_audio_format" in asked, "prefix_padding_ms" in detection):
            if refused:
                return [{"type": "error", "error": {"type": "invalid_request_error", "message": "not supported"}}]
        known = {name: value for name, value in asked.items() if name in self._session and value is not None}
        self._session = {**self._session, **known}
        self.silence_ms = self._session["turn_detection"]["silence_duration_ms"]
        return [{"type": "session.updated", "session": self._session}]

    def started(self, at: int) -> list[Message]:
        """From the start of the buffer."""
        offset = self.ms(at - self.done_to)
        return [{"type": "input_audio_buffer.speech_started", "item_id": self.item, "audio_start_ms": offset}]

    def ended(self, at: int) -> list[Message]:
        """The whole turn at once."""
        offset = self.ms(at - self.done_to)
        return [
            {"type": "input_audio_buffer.speech_stopped", "item_id": self.item, "audio_end_ms": offset},
            *self._item_of(at),
        ]

    def commit(self, message: Message) -> list[Message]:
        """Of at least 100 ms."""
        del message
        if self.audio.size - self.done_to < self.rate_hz // 10:
            text = "Error committing input audio buffer: buffer too small."
            return [{"type": "error", "error": {"type": "invalid_request_error", "message": text}}]
        if self._start is None:
            self.items += 1
        self._start, self._searched = None, self.audio.size
        return self._item_of(self.audio.size)

    def _item_of(self, end: int) -> list[Message]:
        item = {"id": self.item, "type": "message", "role": "user"}
        return [
            {"type": "input_audio_buffer.committed", "item_id": self.item, "previous_item_id": None},
            {"type": "conversation.item.created", "item": item},
            {"type": f"{TRANSCRIPTION}.completed", "item_id": self.item, "transcript": self.words(end)},
        ]
