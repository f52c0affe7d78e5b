"""Playback on a virtual clock: what of a reply has sounded at any sample of the timeline. Pure.

Audio sounds from the moment of its arrival, or behind the audio before it, without a buffer: positions are exact.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from rt_cli.audio.format import BYTES_PER_SAMPLE

Content = tuple[str, int]
"""Item id and content index of a spoken message."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Audio that has sounded."""

    start: int
    """Timeline position of its first sample."""
    pcm: bytes


@dataclass(slots=True)
class _Segment:
    content: Content
    start: int
    pcm: bytes

    @property
    def samples(self) -> int:
        return len(self.pcm) // BYTES_PER_SAMPLE

    def split(self, now: int) -> bytes:
        """Take off what has sounded before ``now``."""
        size = max(0, min(self.samples, now - self.start)) * BYTES_PER_SAMPLE
        head, self.pcm = self.pcm[:size], self.pcm[size:]
        self.start += size // BYTES_PER_SAMPLE
        return head


class Playback:
    """The loudspeaker of a conversation without one. Times are timeline positions, in samples; they never go back."""

    def __init__(self) -> None:
        self.end = 0
        """Position at which all audio so far has sounded."""
        self._segments: deque[_Segment] = deque()
        self._played: dict[Content, int] = {}
        self._heard: list[Heard] = []

    def add(self, content: Content, pcm: bytes, now: int) -> int:
        """Play audio behind all audio so far; return the position of its first sample.

        Args:
            content: The message that it belongs to.
            pcm: int16 mono, whole samples.
            now: The present position.
        """
        start = max(self.end, now)
        self.end = start + len(pcm) // BYTES_PER_SAMPLE
        self._played.setdefault(content, 0)
        if pcm:
            self._segments.append(_Segment(content, start, pcm))
        return start

    def played(self, content: Content, now: int) -> int:
        """Return the samples of a message that have sounded before ``now``."""
        self._advance(now)
        return self._played.get(content, 0)

    def sounding(self, now: int) -> bool:
        """Return whether audio sounds, or waits for its turn."""
        return self.end > now

    def stop(self, now: int) -> None:
        """Fall silent at ``now``: what has not sounded never will."""
        self._advance(now)
        self._segments.clear()
        self.end = min(self.end, now)

    def take_heard(self, now: int) -> list[Heard]:
        """Return what has sounded since the last call."""
        self._advance(now)
        heard, self._heard = self._heard, []
        return heard

    def _advance(self, now: int) -> None:
        while self._segments and self._segments[0].start < now:
            segment = self._segments[0]
            start = segment.start
            if pcm := segment.split(now):
                self._played[segment.content] += len(pcm) // BYTES_PER_SAMPLE
                self._heard.append(Heard(start, pcm))
            if segment.pcm:
                return
            self._segments.popleft()
