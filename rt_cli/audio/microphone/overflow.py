"""How much an overflow lost, told from the times at which the converter took the samples. Pure.

An overflow flag says that samples went missing, not how many. Where the converter's time stamps advance exactly with
the samples, the step across the overflow is the answer. Some drivers give zeros or guesses (PulseAudio through ALSA
jumps by whole blocks with nothing lost); there no number is better than a wrong one.
"""

from __future__ import annotations

TOLERANCE_S = 0.002
"""How far a time stamp may be off its sample and still count as steady."""
STEADY_S = 1.0
"""How long the time stamps must have been steady before one is believed."""
LONGEST_S = 60.0
"""A longer step is a clock that was set, not a loss."""


class AdcClock:
    """Follows the time stamps of one stream.

    Args:
        rate_hz: Frames per second.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._expected = 0.0
        self._steady_frames = 0

    def lost(self, adc_time_s: float, frames: int, *, overflowed: bool) -> int | None:
        """Warn one block; called once for each, in order.

        Args:
            adc_time_s: When its first frame was taken, on any clock; 0 where the driver does not know.
            frames: Its length.
            overflowed: Whether the driver says that frames went missing just before it.

        Returns:
            Frames missing before the block: 0 without overflow, None where there was one and its length is unknown.
        """
        step = adc_time_s - self._expected
        believed = adc_time_s > 0 and self._steady_frames >= STEADY_S * self._rate_hz
        self._expected = adc_time_s + frames / self._rate_hz
        if overflowed:
            return round(step * self._rate_hz) if believed and 0 < step < LONGEST_S else None
        self._steady_frames = self._steady_frames + frames if abs(step) < TOLERANCE_S else 0
        return 0
