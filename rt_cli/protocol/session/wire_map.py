"""From samples of one connection to the timeline: offsets restart with each session, padding maps to nothing."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class WireMap:
    """Where each stretch that was sent on a connection stands on the timeline.

    Args:
        start: Timeline position at which the connection begins to send.
    """

    def __init__(self, start: int) -> None:
        self.wire = 0
        """Samples sent on this connection, padding included."""
        self.position = start
        """Timeline position after the last sample that was sent or left out."""
        # A stretch: the wire sample at which it begins, where it stands on the timeline, and its length in both.
        self._wires = [0]
        self._positions = [start]
        self._lengths = [0]

    def sent(self, samples: int) -> None:
        """The next ``samples`` of the timeline were handed to the connection."""
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
        """Silence that stands nowhere on the timeline was sent."""
        self.wire += samples

    def skipped(self, samples: int) -> None:
        """The next ``samples`` of the timeline are not sent at all."""
        self.position += samples

    def timeline(self, wire: int) -> int:
        """The timeline position of a wire sample; within padding, that of the end of the sound before it.

        Clipped to what was sent and not forgotten. The end of all that was sent stands behind what was left out since.
        """
        wire = max(wire, 0)
        return self.position if wire >= self.wire else self._at(bisect_right(self._wires, wire) - 1, wire)

    def end(self, wire: int) -> int:
        """The same for the end of something: where sound was left out just there, it stands before that."""
        return self._at(bisect_left(self._wires, wire) - 1, wire)

    def forget(self, settled: int) -> None:
        """Nobody will ask for what lies before this position any more."""
        gone = bisect_right(self._positions, settled) - 1
        if gone > 0:
            del self._wires[:gone], self._positions[:gone], self._lengths[:gone]

    def _at(self, index: int, wire: int) -> int:
        if index < 0:
            return self._positions[0]
        return self._positions[index] + min(wire - self._wires[index], self._lengths[index])
