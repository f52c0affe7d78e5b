"""Holes in a track of sound, by the time stamps of its frames. Pure."""

from __future__ import annotations

from rt_cli.audio.decode.diagnose import TOLERANCE_S

_ROUNDING_S = 0.005
"""Time stamps are rounded, to a millisecond in Matroska, and the clock of a recording is no clock of samples."""
_LONGEST_HOLE_S = 3600.0
"""A jump beyond this is another clock, as in broadcasts, not lost sound."""


class Timestamps:
    """Compares the time stamp of each frame with the end of the frame before it.

    Differences add up, so that many small holes are found as well; jitter in both directions cancels out.
    """

    def __init__(self) -> None:
        self.jumped = False
        """The clock of the track has changed."""
        self._end: float | None = None
        self._late_s = 0.0
        self._failed = False
        self._failed_s = 0.0

    @property
    def failed(self) -> bool:
        """True if packets behind the last frame could not be decoded."""
        return self._failed

    def skip(self, start_s: float | None, length_s: float) -> None:
        """Note a packet that cannot be decoded; ``start_s`` is None if it has no time stamp."""
        if self._end is None:
            self._end = start_s
        self._failed = True
        self._failed_s += length_s

    def advance(self, start_s: float | None, length_s: float) -> float:
        """Take the time stamp and the length of the next frame, in seconds.

        Returns:
            Seconds lost directly before the frame; 0 for none.
        """
        if (
            start_s is not None
            and self._end is not None
            and not self._failed
            and -_ROUNDING_S <= start_s - self._end <= _ROUNDING_S
        ):
            self._end = start_s + length_s
            return 0.0
        known = start_s is not None and self._end is not None
        gap = start_s - self._end if start_s is not None and self._end is not None else self._failed_s
        self._end = (start_s if start_s is not None else (self._end or 0.0) + gap) + length_s
        failed, self._failed = self._failed, False
        failed_s, self._failed_s = self._failed_s, 0.0
        if abs(gap) > _LONGEST_HOLE_S:
            self.jumped, self._late_s = True, 0.0
            return failed_s
        if failed or abs(gap) > _ROUNDING_S:
            self._late_s += gap
        if self._late_s > (_ROUNDING_S if failed and known else TOLERANCE_S) or (failed and not known):
            lost, self._late_s = self._late_s, 0.0
            return max(0.0, lost)
        if self._late_s < -TOLERANCE_S:
            self._late_s = 0.0  # the clock was set back: sound is there twice, not lost
        return 0.0
