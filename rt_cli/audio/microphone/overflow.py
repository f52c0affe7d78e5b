"""Length of an overflow, computed from the time stamps of the A/D converter, or from the arrival of the blocks. Pure.

The overflow flag of a driver does not say how many samples were lost. If the time stamps advance exactly with the
samples, the step of the time stamps across the overflow gives the length. Some drivers report zeros or guesses
(PulseAudio through ALSA jumps by whole blocks without a loss). For those the arrival of the blocks gives an estimate:
a block is often late and never early, so the least lateness before the overflow and after it differ by its length.
"""

from __future__ import annotations

import math

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


SETTLE_S = 0.3
"""Time without a further overflow for which the arrival of blocks is observed."""
LONGEST_HOLD_S = 1.0
"""Longest observation, in overflows that follow each other closely."""
SHORTEST_S = 0.005
"""A shorter estimate is no loss, because it may as well be an inaccuracy of the arrival times."""
_FLOOR_S = 2.0
"""Time after which the least lateness is measured anew: the clocks of device and computer drift apart."""


class ArrivalClock:
    """Estimates the length of overflows from the times at which blocks arrive.

    Args:
        rate_hz: Frames per second.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._frames = 0
        self._began_s: float | None = None
        self._floor_since_s = 0.0
        self._floor_s = self._floor_before_s = math.inf
        """Least lateness of a block, against a start that is the same for all, in this period and the one before."""
        self._overflow_s: float | None = None
        """Arrival of the first block after the overflow that is being measured."""
        self._last_overflow_s = 0.0
        self._least_s = math.inf
        """Least lateness since the latest overflow."""

    def lost(self, arrived_s: float, frames: int, lost: int | None) -> int | None:
        """Return the frames lost before a block, or before the blocks that are held. Call once per block, in order.

        Args:
            arrived_s: Time of arrival on a monotonic clock.
            frames: Length of the block.
            lost: Frames lost before the block as far as the driver says; None for an overflow of unknown length.

        Returns:
            None if the length is being measured: hold the block. The number, after that, stands before all held blocks.
        """
        self._frames += frames + (lost or 0)
        late_s = arrived_s - self._frames / self._rate_hz
        if self._began_s is None:
            self._began_s = self._floor_since_s = arrived_s
        if lost is None and arrived_s - self._began_s >= STEADY_S:
            self._overflow_s = arrived_s if self._overflow_s is None else self._overflow_s
            self._last_overflow_s, self._least_s = arrived_s, math.inf
        if self._overflow_s is None:
            self._lower_floor(arrived_s, late_s)
            return lost or 0
        self._least_s = min(self._least_s, late_s)
        settled = arrived_s - self._last_overflow_s >= SETTLE_S or arrived_s - self._overflow_s >= LONGEST_HOLD_S
        return self.estimate() if settled else None

    def estimate(self) -> int:
        """End the measurement and return the frames lost, as far as they are known. 0 without a measurement."""
        least_s, self._least_s, self._overflow_s = self._least_s, math.inf, None
        lost_s = least_s - min(self._floor_s, self._floor_before_s)
        if not SHORTEST_S <= lost_s < math.inf:
            return 0
        lost = round(lost_s * self._rate_hz)
        self._frames += lost
        return lost

    def _lower_floor(self, arrived_s: float, late_s: float) -> None:
        if arrived_s - self._floor_since_s >= _FLOOR_S:
            self._floor_before_s, self._floor_s = self._floor_s, math.inf
            self._floor_since_s = arrived_s
        self._floor_s = min(self._floor_s, late_s)
