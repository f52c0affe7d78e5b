"""The audio that a session may still need, by position. Pure."""

from __future__ import annotations

from rt_cli.audio.format import BYTES_PER_SAMPLE


class AudioBuffer:
    """The last stretch of a stream of s16le audio; positions are samples from the start of the stream."""

    def __init__(self) -> None:
        self._start = 0
        self._pcm = bytearray()

    @property
    def end(self) -> int:
        """Position after the last sample."""
        return self._start + len(self._pcm) // BYTES_PER_SAMPLE

    def append(self, pcm: bytes) -> None:
        """Take more."""
        self._pcm += pcm

    def between(self, start: int, end: int) -> bytes:
        """The samples ``[start, end)``, as far as they are held."""
        first = max(0, start - self._start) * BYTES_PER_SAMPLE
        last = max(0, end - self._start) * BYTES_PER_SAMPLE
        with memoryview(self._pcm) as view:
            return bytes(view[first:last])

    def forget(self, before: int) -> None:
        """Let go of what lies before a position."""
        cut = max(self._start, min(before, self.end))
        del self._pcm[: (cut - self._start) * BYTES_PER_SAMPLE]
        self._start = cut
