"""A lock-free byte ring between a writer thread that must never wait and a reader that may be late.

The writer changes only two growing counters and appends to a deque; the reader changes one growing counter. So neither
needs a lock. In any interleaving each byte passed to :meth:`Ring.write` is either read once, in order, or counted as
lost at its position.
"""

from __future__ import annotations

from collections import deque


class Ring:
    """Single producer, single consumer.

    Args:
        capacity: Bytes; a multiple of the frame size, so that no read splits a frame.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._view = memoryview(bytearray(capacity))
        self._written = 0
        self._read = 0
        self._lost = 0
        self._lost_in_holes = 0
        self._reported = 0
        # A hole is stored only before bytes in the ring, so there are at most as many holes as writes in the ring.
        self._holes: deque[tuple[int, int]] = deque()

    @property
    def waiting(self) -> int:
        """Bytes written but not read."""
        return self._written - self._read

    def write(self, data: memoryview) -> bool:
        """Producer: write all of ``data``. False if it does not fit; its bytes then count as lost at this position."""
        size = len(data)
        if size > self._capacity - (self._written - self._read):
            self._lost += size
            return False
        if self._lost != self._lost_in_holes:
            self._holes.append((self._written, self._lost))
            self._lost_in_holes = self._lost
        start = self._written % self._capacity
        head = min(size, self._capacity - start)
        self._view[start : start + head] = data[:head]
        if head < size:
            self._view[: size - head] = data[head:]
        # Updated last, so that the reader sees only complete bytes, and with them the hole before them.
        self._written += size
        return True

    def lose(self, size: int) -> None:
        """Producer: count ``size`` bytes as lost before the next write."""
        self._lost += size

    def read(self, limit: int) -> tuple[int, bytes]:
        """Consumer: read the next bytes, up to a hole or the end of the ring's memory.

        Args:
            limit: Largest number of bytes to return; a multiple of the frame size.

        Returns:
            The number of bytes lost directly before the data, and the data; ``(0, b"")`` if there is neither.
        """
        lost_total = self._lost
        end = self._written
        start = self._read
        lost = self._lost_before(start, lost_total if start == end else None)
        if self._holes:
            end = min(end, self._holes[0][0])
        offset = start % self._capacity
        size = min(end - start, limit, self._capacity - offset)
        data = bytes(self._view[offset : offset + size])
        self._read = start + size
        return lost, data

    def _lost_before(self, position: int, trailing: int | None) -> int:
        """Bytes lost at ``position`` and not reported yet. ``trailing`` is the total if no data follows, else None."""
        known = self._reported
        if self._holes and self._holes[0][0] == position:
            known = self._holes.popleft()[1]
        elif trailing is not None:
            known = trailing
        lost = known - self._reported
        self._reported = known
        return lost
