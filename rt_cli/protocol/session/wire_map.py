"""Map sample offsets of one connection to the timeline. Offsets restart with each session; padding has no position."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class WireMap:
    """Timeline position of each range that was sent on a connection.

    Args:
        start: Timeline position at which the connection begins to send.
    """

    def __init__(self, start: int) -> None:
        self.wire = 0
        """Samples sent on this connection, including padding."""
        self.position = start
        """Timeline position after the last sample that was sent or skipped."""
        # One entry per range: first wire sample, first timeline position, length in samples.
        self._wires = [0]
        self._positions = [start]
        self._lengths = [0]

    def sent(self, samples: int) -> None:
        """Note that the next ``samples`` of the timeline were sent."""
        if not samples:
            return
        if (self._wires[-1] + self._lengths[-1], self._positions[-1] + self._lengths[-1]) != (self.wire, self.position):
            self._wires.append(self.wire)
            self._positions.append(self.position)
            self._lengths.append(0)
        self._lengths[-1] += samples
        self.wire += samples
        self.position += samples

    def padded(self, samples: int) -> None:
        """Note that ``samples`` of silence were sent that are not on the timeline."""
        self.wire += samples

    def skipped(self, samples: int) -> None:
        """Note that the next ``samples`` of the timeline are not sent."""
        self.position += samples

    def timeline(self, wire: int) -> int:
        """Return the timeline position of a wire sample; inside padding, the end of the audio before it.

        Clipped to the ranges that are still stored. The end of all sent audio maps to after the samples skipped since.
        """
        wire = max(wire, 0)
        return self.position if wire >= self.wire else self._at(bisect_right(self._wires, wire) - 1, wire)

    def end(self, wire: int) -> int:
        """Return the timeline position of an end offset: at a skipped range, the position before that range."""
        return self._at(bisect_left(self._wires, wire) - 1, wire)

    def forget(self, settled: int) -> None:
        """Delete the ranges before this position; callers no longer need them."""
        count = bisect_right(self._positions, settled) - 1
        if count > 0:
            del self._wires[:count], self._positions[:count], self._lengths[:count]

    def _at(self, index: int, wire: int) -> int:
        if index < 0:
            return self._positions[0]
        return self._positions[index] + min(wire - self._wires[index], self._lengths[index])
