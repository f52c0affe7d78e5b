"""Buffer of recent input audio, addressed by sample position. Pure."""

from __future__ import annotations

from rt_cli.audio.format import BYTES_PER_SAMPLE


class AudioBuffer:
    """The end of a stream of s16le audio. Positions are samples from the start of the stream."""

    def __init__(self) -> None:
        self._start = 0
        self._pcm = bytearray()

    @property
    def end(self) -> int:
        """Position after the last sample."""
        return self._start + len(self._pcm) // BYTES_PER_SAMPLE

    def append(self, pcm: bytes) -> None:
        """Append s16le samples."""
        self._pcm += pcm

    def between(self, start: int, end: int) -> bytes:
        """The samples ``[start, end)``, without those that are discarded or not received yet."""
        first = max(0, start - self._start) * BYTES_PER_SAMPLE
        last = max(0, end - self._start) * BYTES_PER_SAMPLE
        with memoryview(self._pcm) as view:
            return bytes(view[first:last])

    def discard(self, before: int) -> None:
        """Discard all samples before a position."""
        cut = max(self._start, min(before, self.end))
        del self._pcm[: (cut - self._start) * BYTES_PER_SAMPLE]
        self._start = cut
