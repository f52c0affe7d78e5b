"""From samples of one connection to the timeline: offsets restart with each session, padding maps to nothing."""

from __future__ import annotations

from bisect import bisect_right


class WireMap:
    """Where each stretch that was sent on a connection stands on the timeline.

    Args:
        start: Timeline position at which the connection begins to send.
    """

    def __init__(self, start: int) -> None:
        self.wire = 0
        """Samples sent on this connection, padding included."""
        self.position = start
        """Timeline position after the last sample sent."""
        # Each entry: wire sample at which a stretch of the timeline begins, and where it stands there.
        self._wires = [0]
        self._positions = [start]

    def sent(self, samples: int) -> None:
        """The next ``samples`` of the timeline were handed to the connection."""
        self.wire += samples
        self.position += samples

    def padded(self, samples: int) -> None:
        """Silence that stands nowhere on the timeline was sent."""
        self.wire += samples
        if self._positions[-1] == self.position:
            # Nothing was sent since the padding before: the two are one.
            self._wires[-1] = self.wire
        else:
            self._wires.append(self.wire)
            self._positions.append(self.position)

    def timeline(self, wire: int) -> int:
        """The timeline position of a wire sample; within padding, the position at which it was put in.

        Clipped to what was sent and not forgotten.
        """
        wire = min(wire, self.wire)
        index = bisect_right(self._wires, wire) - 1
        if index < 0:
            return self._positions[0]
        position = self._positions[index] + wire - self._wires[index]
        return min(position, self._positions[index + 1]) if index + 1 < len(self._positions) else position

    def forget(self, settled: int) -> None:
        """Nobody will ask for what lies before this position any more."""
        gone = bisect_right(self._positions, settled) - 1
        if gone > 0:
            del self._wires[:gone], self._positions[:gone]
