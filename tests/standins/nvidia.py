"""NVIDIA Riva: hears what is committed, a final result at each pause, and a last one when all is sent."""

from __future__ import annotations

import base64

import numpy as np

from tests.standins.results import Results
from tests.standins.standin import TRANSCRIPTION, Call, Message

MODEL = "conformer"


class NvidiaScript(Results):
    """Names of its own for the session, OpenAI's for the rest."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._pending = np.zeros(0, "<i2")
        self._timed = False
        assert call.query.get("intent") == ["transcription"]

    def greeting(self) -> list[Message]:
        """A conversation."""
        return [{"type": "conversation.created", "event_id": "event_1", "conversation": {"id": "conv_1"}}]

    def take(self, message: Message) -> list[Message]:
        """Answer a message."""
        match message:
            case {"type": "transcription_session.update"}:
                return self.configure(message)
            case {"type": "input_audio_buffer.append", "audio": str(audio)}:
                samples = np.frombuffer(base64.b64decode(audio), "<i2")
                self._pending = np.concatenate((self._pending, samples))
                self.call.heard += samples.size
                return []
            case {"type": "input_audio_buffer.done"}:
                rest = self.rest() or self.final("", 0, 0)
                return [*rest[:-1], {**rest[-1], "is_last_result": True}]
        return super().take(message)

    def configure(self, message: Message) -> list[Message]:
        """The model it has, or none."""
        session = message["session"]
        if (model := session["input_audio_transcription"].get("model", MODEL)) != MODEL:
            return [
                {"type": "error", "error": {"type": "invalid_request_error", "message": f"{model} is not available"}}
            ]
        self.silence_ms = session.get("endpointing_config", {}).get("stop_history", self.silence_ms)
        self._timed = session["recognition_config"]["enable_word_time_offsets"]
        return [{"type": "transcription_session.updated", "session": session}]

    def commit(self, message: Message) -> list[Message]:
        """What was appended is heard."""
        del message
        samples, self._pending = self._pending, self._pending[:0]
        self.audio = np.concatenate((self.audio, samples))
        return self.hear(samples)

    def interim(self, text: str) -> list[Message]:
        """All words so far."""
        return [{"type": f"{TRANSCRIPTION}.delta", "item_id": "item_1", "content_index": 0, "delta": text}]

    def final(self, text: str, start_ms: int, end_ms: int) -> list[Message]:
        """One item id for all."""
        word = {"word": text, "start_time": start_ms, "end_time": end_ms, "confidence": 0.9, "speaker_tag": 0}
        return [
            {
                "type": f"{TRANSCRIPTION}.completed",
                "item_id": "item_1",
                "content_index": 0,
                "transcript": text,
                "words_info": {"words": [word] if text and self._timed else []},
                "is_last_result": False,
            }
        ]
