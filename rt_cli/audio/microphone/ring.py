"""A ring of bytes between one thread that must never wait and one reader that may be late.

The writer's only shared writes are two counters that grow and an append, the reader's one counter that grows; so
neither needs a lock, and in any interleaving each byte offered is either read once, in order, or counted as lost at
the place where it is missing.
"""

from __future__ import annotations

from collections import deque


class Ring:
    """Single producer, single consumer.

    Args:
        capacity: Bytes; a multiple of the size of a frame, so that no read splits one.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._view = memoryview(bytearray(capacity))
        self._written = 0
        self._read = 0
        self._lost = 0
        self._marked = 0
        self._reported = 0
        # Each hole sits before bytes that are in the ring, so there are never more holes than writes that fit.
        self._holes: deque[tuple[int, int]] = deque()

    @property
    def waiting(self) -> int:
        """Bytes written and not yet read."""
        return self._written - self._read

    def write(self, data: memoryview) -> bool:
        """Producer: take all of ``data``, or none where it does not fit; then its bytes count as lost here."""
        size = len(data)
        if size > self._capacity - (self._written - self._read):
            self._lost += size
            return False
        if self._lost != self._marked:
            self._holes.append((self._written, self._lost))
            self._marked = self._lost
        start = self._written % self._capacity
        head = min(size, self._capacity - start)
        self._view[start : start + head] = data[:head]
        if head < size:
            self._view[: size - head] = data[head:]
        # Last, so that the reader never sees bytes, or a hole before them, that are not yet there.
        self._written += size
        return True

    def lose(self, size: int) -> None:
        """Producer: ``size`` bytes went missing before the next write."""
        self._lost += size

    def read(self, limit: int) -> tuple[int, bytes]:
        """Consumer: the next stretch without a hole in it.

        Args:
            limit: Most bytes to return; a multiple of the frame size.

        Returns:
            Bytes lost just before the stretch, and the stretch; ``(0, b"")`` where there is nothing to tell. Less
            than is waiting where the ring wraps or a hole follows.
        """
        lost_by_now = self._lost
        end = self._written
        start = self._read
        lost = self._lost_before(start, lost_by_now if start == end else None)
        if self._holes:
            end = min(end, self._holes[0][0])
        offset = start % self._capacity
        size = min(end - start, limit, self._capacity - offset)
        data = bytes(self._view[offset : offset + size])
        self._read = start + size
        return lost, data

    def _lost_before(self, position: int, trailing: int | None) -> int:
        """What is to be reported at ``position``; ``trailing`` is the count so far where nothing follows yet."""
        known = self._reported
        if self._holes and self._holes[0][0] == position:
            known = self._holes.popleft()[1]
        elif trailing is not None:
            known = trailing
        lost = known - self._reported
        self._reported = known
        return lost
