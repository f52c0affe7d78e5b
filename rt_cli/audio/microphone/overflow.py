"""Length of an overflow, computed from the time stamps of the A/D converter. Pure.

The overflow flag of a driver does not say how many samples were lost. If the time stamps advance exactly with the
samples, the step of the time stamps across the overflow gives the length. Some drivers report zeros or guesses
(PulseAudio through ALSA jumps by whole blocks without a loss); for those the length stays unknown, because a wrong
length would be worse.
"""

from __future__ import annotations

TOLERANCE_S = 0.002
"""Largest deviation of a time stamp that counts as steady."""
STEADY_S = 1.0
"""Time for which the time stamps must be steady before they are used."""
LONGEST_S = 60.0
"""A longer step is a change of the clock, not a loss."""


class AdcClock:
    """Tracks the time stamps of one stream.

    Args:
        rate_hz: Frames per second.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._expected = 0.0
        self._steady_frames = 0

    def lost(self, adc_time_s: float, frames: int, *, overflowed: bool) -> int | None:
        """Return the frames lost before a block. Call once per block, in order.

        Args:
            adc_time_s: Capture time of the first frame, on any clock; 0 if the driver does not know.
            frames: Length of the block.
            overflowed: True if the driver reports a loss directly before the block.

        Returns:
            0 without an overflow; None for an overflow of unknown length.
        """
        step = adc_time_s - self._expected
        reliable = adc_time_s > 0 and self._steady_frames >= STEADY_S * self._rate_hz
        self._expected = adc_time_s + frames / self._rate_hz
        if overflowed:
            return round(step * self._rate_hz) if reliable and 0 < step < LONGEST_S else None
        self._steady_frames = self._steady_frames + frames if abs(step) < TOLERANCE_S else 0
        return 0
