"""Azure Voice Live: the flat session of a conversation, at a path of its own; events as its SDK parses them."""

from __future__ import annotations

from typing import Any

from tests.standins.conversing import ConversingScript
from tests.standins.standin import TRANSCRIPTION, Call, Message, error

MODELS = {"whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "mai-transcribe-1", "azure-speech"}
_DETECTIONS = {"server_vad", "azure_semantic_vad", "azure_semantic_vad_en", "azure_semantic_vad_multilingual"}


class VoiceLiveScript(ConversingScript):
    """Replies unless it is asked not to; a commit closes the turn that it finds."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.replies = True
        self._session: dict[str, Any] = {
            "id": "sess_1",
            "model": call.query.get("model", [""])[0],
            "modalities": ["text", "audio"],
            "input_audio_format": "pcm16",
            "input_audio_sampling_rate": 24_000,
            "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500},
        }

    @classmethod
    def refuses(cls, call: Call) -> tuple[int, str] | None:
        """Path, version, and a model or an agent."""
        if call.path != "/voice-live/realtime":
            return 404, '{"error":{"code":"404","message":"Resource not found"}}'
        if "api-version" not in call.query or not call.query.keys() & {"model", "agent-name"}:
            return 400, '{"error":{"code":"BadRequest"}}'
        return None

    def greeting(self) -> list[Message]:
        """The flat session, without a type."""
        return [{"type": "session.created", "event_id": "event_0", "session": self._session}]

    def configure(self, message: Message) -> list[Message]:
        """Take the fields, and refuse what there is not."""
        asked = message["session"]
        transcription = asked.get("input_audio_transcription") or {}
        detection = asked.get("turn_detection")
        refused = {
            "session.type": "type" in asked or "audio" in asked,
            "session.input_audio_transcription.model": transcription.get("model", "azure-speech") not in MODELS,
            "session.turn_detection.type": detection is not None and detection["type"] not in _DETECTIONS,
        }
        for param, wrong in refused.items():
            if wrong:
                return [error("invalid_value", f"Invalid value for {param}", param=param)]
        self._session = {**self._session, **asked}
        self.detects = detection is not None
        if detection is not None:
            self.silence_ms = detection["silence_duration_ms"]
            self.replies = detection.get("create_response", True)
        return [{"type": "session.updated", "event_id": "event_1", "session": self._session}]

    def commit(self, message: Message) -> list[Message]:
        """What is there is a turn."""
        if self.audio.size - self.done_to < self.rate_hz // 10:
            text = "Error committing input audio buffer: buffer too small."
            return [error("input_audio_buffer_commit_empty", text, event_id=message.get("event_id"))]
        if self._start is None:
            self.items += 1
        self._start, self._searched = None, self.audio.size
        return [each for each in self.ended(self.audio.size) if each["type"] != "input_audio_buffer.speech_stopped"]

    def ended(self, at: int) -> list[Message]:
        """With the fields that the SDK wants."""
        answers = super().ended(at)
        for number, answer in enumerate(answers):
            answer["event_id"] = f"event_{self.items}_{number}"
            if answer["type"] == "conversation.item.created":
                answer.setdefault("previous_item_id", None)
            if answer["type"] == f"{TRANSCRIPTION}.completed":
                answer["phrases"] = [{"offset_milliseconds": 0, "duration_milliseconds": 600, "text": "words"}]
        return answers
