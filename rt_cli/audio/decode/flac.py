"""A FLAC whose header is not believed when it says how long the sound is."""

from __future__ import annotations

import io

MAGIC = b"fLaC"
_TOTAL = slice(21, 26)
_TOTAL_BITS = 36


def promised_frames(head: bytes) -> int:
    """How many frames the header of a FLAC says there are; 0 for unknown."""
    return int.from_bytes(head[_TOTAL], "big") & ((1 << _TOTAL_BITS) - 1)


class EndlessFlac(io.FileIO):
    """The file, but for the number of frames, which is 0 for unknown.

    libsndfile stops at that number, and what was put together or cut without a new header has a wrong one: what is
    beyond it would be lost without a word.
    """

    failure: OSError | None = None
    """Why it could not be read; libsndfile knows no errors of files, and prints exceptions."""

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # a buffer of any kind
        """As every file, but that it ends where it cannot be read."""
        at = self.tell()
        try:
            count = super().readinto(buffer) or 0
        except OSError as error:
            self.failure = error
            return 0
        view = memoryview(buffer).cast("B")
        for place in range(max(at, _TOTAL.start), min(at + count, _TOTAL.stop)):
            # The first of its bytes shares them with the bits of a sample.
            view[place - at] &= 0xF0 if place == _TOTAL.start else 0
        return count
