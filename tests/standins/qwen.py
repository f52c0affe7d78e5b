"""Qwen on DashScope: the flat session, ids with every message, ``session.finish``; Qwen-Omni converses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.exact import read_back
from tests.standins.conversing import ConversingScript
from tests.standins.standin import TRANSCRIPTION, Call, Hearing, Message, error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL, OMNI = "qwen3-asr-flash-realtime", "qwen3-omni-flash-realtime"


def wrong(message: Message) -> Message | None:
    """Return the error for a message without what every message has."""
    if isinstance(message.get("event_id"), str):
        return None
    return error("invalid_request_error", "event_id is required", param="event_id")


def refused_detection(detection: dict[str, Any] | None) -> list[Message]:
    """Return the error for turn detection out of its limits."""
    limits = {"threshold": (-1, 1), "silence_duration_ms": (200, 6_000)}
    for name, (low, high) in limits.items():
        if detection is not None and not low <= detection.get(name, low) <= high:
            return [error("invalid_value", f"Invalid value: {name}", param=f"session.turn_detection.{name}")]
    return []


class QwenScript(Hearing):
    """Qwen3-ASR: interim texts in two parts, no commit while it finds the turns, and an end that is answered."""

    rate_hz = 16_000

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._model = call.query.get("model", [""])[0]

    @classmethod
    def refuses(cls, call: Call) -> tuple[int, str] | None:
        """One path."""
        return None if call.path == "/api-ws/v1/realtime" else (404, "")

    def greeting(self) -> list[Message]:
        """The defaults, or why there is no session."""
        if self._model != MODEL:
            return [error("ModelNotFound", "Model not exist."), {"type": "close", "code": 1011}]
        session = {
            "id": "sess_1",
            "object": "realtime.session",
            "model": MODEL,
            "modalities": ["text"],
            "input_audio_format": "pcm",
            "input_audio_transcription": None,
            "turn_detection": {"type": "server_vad", "threshold": 0.2, "silence_duration_ms": 800},
        }
        return [{"type": "session.created", "event_id": "event_0", "session": session}]

    def take(self, message: Message) -> list[Message]:
        """An id is wanted."""
        refusal = wrong(message)
        return super().take(message) if refusal is None else [refusal]

    def configure(self, message: Message) -> list[Message]:
        """The fields that there are."""
        session = message["session"]
        unknown = session.keys() - {
            *("modalities", "voice", "input_audio_format", "output_audio_format", "sample_rate"),
            *("input_audio_transcription", "turn_detection"),
        }
        if unknown or session["input_audio_transcription"].keys() - {"language", "corpus"}:
            return [error("invalid_value", f"unknown: {sorted(unknown)}", param="session")]
        if session["input_audio_format"] != "pcm" or session["sample_rate"] != self.rate_hz:
            return [error("invalid_value", "audio", param="session.sample_rate")]
        detection = session["turn_detection"]
        self.detects = detection is not None
        self.silence_ms = detection["silence_duration_ms"] if detection else 0
        return refused_detection(detection) or [{"type": "session.updated", "event_id": "event_1", "session": session}]

    def hear(self, samples: NDArray[np.int16]) -> list[Message]:
        """Turns, and the text of the one that goes on: a part that stays, and one that may change."""
        answers = super().hear(samples)
        if self._start is None:
            return answers
        spoken = self.audio[self._start : self.audio.size // 2 * 2]
        words = read_back(spoken[spoken != 0])
        text = {"item_id": self.item, "content_index": 0, "language": "en", "emotion": "neutral"}
        return [*answers, {"type": f"{TRANSCRIPTION}.text", **text, "text": words[:1], "stash": words[1:]}]

    def ended(self, at: int) -> list[Message]:
        """The turn and its words."""
        stopped = {"type": "input_audio_buffer.speech_stopped", "item_id": self.item, "audio_end_ms": self.ms(at)}
        return [stopped, *self._item_of(at)]

    def commit(self, message: Message) -> list[Message]:
        """Only where the client makes the turns."""
        if self.detects:
            text = "commit is not allowed with turn detection"
            return [error("invalid_request_error", text, event_id=message["event_id"])]
        self.items += 1
        return self._item_of(self.audio.size)

    def other(self, message: Message) -> list[Message]:
        """The end of the session: the last turn first."""
        if message["type"] != "session.finish":
            return super().other(message)
        last: list[Message] = []
        if self._start is not None:
            self._start = None
            last = self.ended(self.audio.size)
        return [*last, {"type": "session.finished", "event_id": "event_9"}]

    def _item_of(self, end: int) -> list[Message]:
        item = {"id": self.item, "object": "realtime.item", "type": "message", "status": "in_progress", "role": "user"}
        words = {"item_id": self.item, "content_index": 0, "transcript": self.words(end)}
        return [
            {"type": "input_audio_buffer.committed", "item_id": self.item, "previous_item_id": ""},
            {"type": "conversation.item.created", "item": item},
            {"type": f"{TRANSCRIPTION}.completed", **words, "language": "en", "emotion": "neutral"},
        ]


class OmniScript(ConversingScript):
    """Qwen-Omni: words without interim texts; only silence ends a turn."""

    rate_hz = 16_000

    @classmethod
    def refuses(cls, call: Call) -> tuple[int, str] | None:
        """The model of the conversation is in the URL."""
        return None if call.query.get("model") == [OMNI] else (400, "")

    def greeting(self) -> list[Message]:
        """The flat session."""
        session = {"id": "sess_1", "modalities": ["text", "audio"], "input_audio_format": "pcm16", "model": OMNI}
        return [{"type": "session.created", "event_id": "event_0", "session": session}]

    def take(self, message: Message) -> list[Message]:
        """An id is wanted."""
        refusal = wrong(message)
        return super().take(message) if refusal is None else [refusal]

    def configure(self, message: Message) -> list[Message]:
        """The flat session; no replies."""
        session = message["session"]
        detection = session["turn_detection"]
        if session["input_audio_format"] != "pcm16" or "audio" in session or session["modalities"] != ["text"]:
            return [error("invalid_value", "not this shape", param="session")]
        self.silence_ms = detection["silence_duration_ms"]
        self.replies = detection.get("create_response", True)
        return refused_detection(detection) or [{"type": "session.updated", "session": session}]

    def ended(self, at: int) -> list[Message]:
        """The turn without interim texts."""
        return [each for each in super().ended(at) if each["type"] != f"{TRANSCRIPTION}.delta"]

    def commit(self, message: Message) -> list[Message]:
        """Not while it finds the turns."""
        return [error("invalid_request_error", "not with turn detection", event_id=message["event_id"])]

    def other(self, message: Message) -> list[Message]:
        """Older models say that the session is over, newer ones do not."""
        if message["type"] == "session.finish":
            return [{"type": "session.finished", "event_id": "event_9"}]
        return super().other(message)
