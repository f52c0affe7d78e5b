"""The sound of a scenario, and where on the timeline each of its numbers is spoken. Pure."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from tests.exact import speech

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
        self._firsts: list[int] = []
        self._starts: list[int] = []
        for speech_ms, silence_ms in turns:
            pairs = speech_ms * MS // 2
            self._firsts.append(first)
            self._starts.append(at)
            parts += [speech(first, pairs), bytes(2 * MS * silence_ms)]
            first, at = first + pairs, at + (speech_ms + silence_ms) * MS
        self.pcm = b"".join(parts)
        self.stop = first
        """Behind the last number that is spoken."""
        self.samples = at

    def position(self, number: int) -> int:
        """Return the timeline position of the first sample of a number."""
        turn = bisect_right(self._firsts, number) - 1
        return self._starts[turn] + 2 * (number - self._firsts[turn])


@lru_cache(8)
def sound_of(before_ms: int, turns: tuple[tuple[int, int], ...]) -> Sound:
    """Return the sound of a scenario."""
    return Sound(before_ms, turns)
