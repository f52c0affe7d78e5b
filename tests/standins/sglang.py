"""SGLang: a transcription session, the served model only, no turn detection, a minute without a commit at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.standins.standin import TRANSCRIPTION, Call, Message, Script, error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL = "whisper-large"
LONGEST_S = 60


class SglangScript(Script):
    """Deltas before the commit have the id that the commit will announce."""

    longest_s = LONGEST_S

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._previous: str | None = None

    def greeting(self) -> list[Message]:
        """A transcription session."""
        return [{"type": "session.created", "session": {"id": "sess_1", "type": "transcription", "audio": {}}}]

    def configure(self, message: Message) -> list[Message]:
        """Refuse what is not served, each with its field."""
        session = message["session"]
        audio = session["audio"]["input"]
        refused = {
            "session.type": session["type"] != "transcription",
            "session.audio.input.turn_detection": audio.get("turn_detection") is not None,
            "session.audio.input.noise_reduction": "noise_reduction" in audio,
            "session.audio.input.transcription.prompt": "prompt" in audio["transcription"],
            "session.audio.input.transcription.model": audio["transcription"].get("model") not in {None, MODEL},
        }
        for param, wrong in refused.items():
            if wrong:
                return [error("not_supported", f"{param} is not supported", param=param)]
        return super().configure(message)

    def hear(self, samples: NDArray[np.int16]) -> list[Message]:
        """Text of speech that goes on; too much of all is the end."""
        if self.audio.size - self.done_to > self.longest_s * self.rate_hz:
            return [error("buffer_overflow", "too much uncommitted audio"), {"type": "close", "code": 1009}]
        if not samples.size or not samples[-1]:
            return []
        return [{"type": f"{TRANSCRIPTION}.delta", "item_id": self._item, "content_index": 0, "delta": "."}]

    def commit(self, message: Message) -> list[Message]:
        """An item and its words."""
        if self.audio.size - self.done_to < self.rate_hz // 10:
            return [error("input_audio_buffer_commit_empty", "too small", event_id=message.get("event_id"))]
        item, previous = self._item, self._previous
        self.items, self._previous = self.items + 1, item
        return [
            {"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": previous},
            {"type": "conversation.item.created", "item": {"id": item, "type": "message", "role": "user"}},
            {
                "type": f"{TRANSCRIPTION}.completed",
                "item_id": item,
                "content_index": 0,
                "transcript": self.words(self.audio.size),
            },
        ]

    @property
    def _item(self) -> str:
        return f"item_{self.items}"
