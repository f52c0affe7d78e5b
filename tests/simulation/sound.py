"""The sound of a scenario, and where on the timeline each of its numbers is spoken. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.exact import speech

if TYPE_CHECKING:
    from numpy.typing import NDArray

MS = 24
"""Samples per millisecond."""
FIRST = 3_000
"""The first number that is spoken: lower ones are too quiet for speech."""


class Sound:
    """Sound that spells its own numbers: two samples each.

    Args:
        before_ms: Silence at the start.
        turns: Milliseconds of speech, and of silence behind it.
    """

    def __init__(self, before_ms: int, turns: tuple[tuple[int, int], ...]) -> None:
        parts, at, first = [bytes(2 * MS * before_ms)], before_ms * MS, FIRST
        firsts: list[int] = []
        starts: list[int] = []
        for speech_ms, silence_ms in turns:
            pairs = speech_ms * MS // 2
            firsts.append(first)
            starts.append(at)
            parts += [speech(first, pairs), bytes(2 * MS * silence_ms)]
            first, at = first + pairs, at + (speech_ms + silence_ms) * MS
        self.pcm = b"".join(parts)
        self.stop = first
        """Behind the last number that is spoken."""
        self.samples = at
        self._firsts, self._starts = np.array(firsts), np.array(starts)

    def positions(self, numbers: NDArray[Any]) -> NDArray[np.int64]:
        """Return the timeline positions of the first sample of numbers."""
        turns = np.searchsorted(self._firsts, numbers, side="right") - 1
        return self._starts[turns] + 2 * (numbers - self._firsts[turns])


@lru_cache(8)
def sound_of(before_ms: int, turns: tuple[tuple[int, int], ...]) -> Sound:
    """Return the sound of a scenario."""
    return Sound(before_ms, turns)
