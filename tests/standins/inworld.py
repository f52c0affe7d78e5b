"""Inworld: messages without a type, no greeting, what is charged behind the last result, and then the end."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

from tests.standins.results import Results

if TYPE_CHECKING:
    from tests.standins.standin import Message

MODEL = "inworld/inworld-stt-1"


class InworldScript(Results):
    """Refuses with gRPC's numbers and a normal close."""

    def greeting(self) -> list[Message]:
        """Nothing."""
        return []

    @staticmethod
    def is_audio(message: Message) -> bool:
        """By its name."""
        return "audioChunk" in message

    def take(self, message: Message) -> list[Message]:
        """Answer a message."""
        match message:
            case {"transcribeConfig": {"modelId": str(model), "sampleRateHertz": 16_000} as config}:
                self.silence_ms = config["inworldSttV1Config"]["minEndOfTurnSilenceWhenConfident"]
                if model == MODEL:
                    return []
                return self._refusal(3, f"No STT client found for model: {model}")
            case {"audioChunk": {"content": str(audio)}}:
                samples = np.frombuffer(base64.b64decode(audio), "<i2")
                self.audio = np.concatenate((self.audio, samples))
                self.call.heard = self.audio.size
                return self.hear(samples)
            case {"closeStream": {}}:
                usage = {"transcribedAudioMs": self.ms(self.audio.size), "modelId": MODEL}
                return [*self.rest(), {"result": {"usage": usage}}, {"type": "close", "code": 1000}]
        return self._refusal(3, "unknown message")

    @staticmethod
    def _refusal(code: int, message: str) -> list[Message]:
        return [{"error": {"code": code, "message": message, "details": []}}, {"type": "close", "code": 1000}]

    def started(self, at: int) -> list[Message]:
        """Where speech begins."""
        super().started(at)
        return [{"result": {"speechStarted": {"startTimeMs": self.ms(at), "confidence": 0.9}}}]

    def interim(self, text: str) -> list[Message]:
        """All words so far."""
        return [{"result": {"transcription": {"transcript": text, "isFinal": False}}}]

    def final(self, text: str, start_ms: int, end_ms: int) -> list[Message]:
        """The words of a turn with their times."""
        word = {"word": text, "startTimeMs": start_ms, "endTimeMs": end_ms, "confidence": 0.9}
        result = {"transcript": text, "isFinal": True, "wordTimestamps": [word]}
        return [{"result": {"transcription": result}}, {"result": {"speechStopped": {}}}]
