"""FLAC files whose header states a wrong length."""

from __future__ import annotations

import io

MAGIC = b"fLaC"
_TOTAL = slice(21, 26)
_TOTAL_BITS = 36


def header_frames(head: bytes) -> int:
    """Number of frames that the header of a FLAC states; 0 for unknown."""
    return int.from_bytes(head[_TOTAL], "big") & ((1 << _TOTAL_BITS) - 1)


class EndlessFlac(io.FileIO):
    """A FLAC file whose header reads as "number of frames unknown" (0).

    libsndfile stops at the number in the header. A file that was joined or cut without a new header has a wrong number,
    and libsndfile would drop the frames beyond it without an error.
    """

    failure: OSError | None = None
    """The error of a failed read. libsndfile cannot pass it on: exceptions in its callbacks are only printed."""

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # a buffer of any kind
        """Read into ``buffer``. A read error ends the file and is stored in ``failure``."""
        at = self.tell()
        try:
            count = super().readinto(buffer) or 0
        except OSError as error:
            self.failure = error
            return 0
        view = memoryview(buffer).cast("B")
        for place in range(max(at, _TOTAL.start), min(at + count, _TOTAL.stop)):
            # The first of these bytes also holds four bits of another field.
            view[place - at] &= 0xF0 if place == _TOTAL.start else 0
        return count
