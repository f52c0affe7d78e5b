"""vLLM: no session, no ids, one stream of text that a first commit starts and a final one ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.exact import read_back
from tests.standins.standin import Call, Message, Script

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL = "voxtral"


class VllmScript(Script):
    """``model`` at the top level; nothing is answered; what comes before the end of a generation is thrown away."""

    rate_hz = 16_000

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._validated = self._generating = False
        self._told_to = 0

    def greeting(self) -> list[Message]:
        """No session in it."""
        return [{"type": "session.created", "id": "sess-1", "created": 1_760_000_000}]

    def configure(self, message: Message) -> list[Message]:
        """No answer but a refusal."""
        if message.get("model") != MODEL:
            name = message.get("model")
            return [{"type": "error", "error": f"The model `{name}` does not exist.", "code": "model_not_found"}]
        self._validated = True
        return []

    def hear(self, samples: NDArray[np.int16]) -> list[Message]:
        """Text comes as it is spoken: here at each silence."""
        del samples
        if not self._generating or self.audio[-1]:
            return []
        spoken = self.audio[self._told_to :]
        self._told_to = self.audio.size
        text = read_back(spoken[spoken != 0])
        return [{"type": "transcription.delta", "delta": text}] if text else []

    def commit(self, message: Message) -> list[Message]:
        """Start or end the generation."""
        if not self._validated:
            return [{"type": "error", "error": "no model", "code": "model_not_validated"}]
        if not message.get("final"):
            self._generating = True
            return []
        if not self._generating:
            return []
        self._generating = False
        self._told_to = self.audio.size
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        return [{"type": "transcription.done", "text": self.words(self.audio.size), "usage": usage}]
