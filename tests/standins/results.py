"""What servers have in common that answer with interim and final results, each word with its times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.exact import read_back
from tests.standins.standin import Call, Hearing, Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Results(Hearing):
    """The whole of a turn is its only word."""

    rate_hz = 16_000

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._began = 0

    def interim(self, text: str) -> list[Message]:
        """Return what is said of speech that goes on."""
        raise NotImplementedError

    def final(self, text: str, start_ms: int, end_ms: int) -> list[Message]:
        """Return what is said of speech that has ended."""
        raise NotImplementedError

    def hear(self, samples: NDArray[np.int16]) -> list[Message]:
        """Answer audio: turns, and what is said so far of one that goes on."""
        answers = super().hear(samples)
        if self._start is None or not samples.size:
            return answers
        spoken = self.audio[self._start :]
        loud = spoken[spoken != 0]
        return [*answers, *self.interim(read_back(loud[: loud.size // 2 * 2]))]

    def started(self, at: int) -> list[Message]:
        """Nothing but the words."""
        self._began = at
        return []

    def ended(self, at: int) -> list[Message]:
        """The final result, without the silence."""
        spoken_to = at - self.silence_ms * self.rate_hz // 1000
        return self.final(self.words(at), self.ms(self._began), -(-spoken_to * 1000 // self.rate_hz))

    def rest(self) -> list[Message]:
        """Return the final result of speech that no silence has ended; none without."""
        if self._start is None:
            return []
        self._start, self._searched = None, self.audio.size
        end_ms = self.ms(self.audio.size)
        return self.final(self.words(self.audio.size), self.ms(self._began), end_ms)
