"""When the open piece of an item is read again, for words while one speaks. Pure."""

from __future__ import annotations

DRAFT_EVERY_S = 1.0
"""New audio between two drafts. Of less than a second, Whisper makes up an end."""


class DraftPace:
    """The drafts of one item: they take at most half of the time.

    Args:
        every_s: Least new audio between two drafts, in seconds; more than 0.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._read_s = 0.0
        self._earliest_s: float | None = None

    def is_due(self, open_s: float, now_s: float) -> bool:
        """True if the piece should be read now.

        Args:
            open_s: Seconds of audio in the open piece.
            now_s: Any monotonic clock, in seconds.
        """
        if self._earliest_s is None:
            # Audio that comes faster than it is spoken is complete before: the one reading at its end is enough.
            self._earliest_s = now_s + self._every_s
        return open_s - self._read_s >= self._every_s and now_s >= self._earliest_s

    def read(self, open_s: float, began_s: float, now_s: float) -> None:
        """Note a reading of ``open_s`` seconds of audio, which took from ``began_s`` until ``now_s``."""
        self._read_s = open_s
        self._earliest_s = now_s + (now_s - began_s)

    def cut(self) -> None:
        """Note that the open piece is complete and another begins."""
        self._read_s = 0.0
