"""The tape: every sample between *captured* and *settled*, and the state of each. No I/O except by its store.

The timeline has four marks: ``captured >= sent >= acknowledged >= settled``. The ledger counts the samples between the
marks, so its sum is always right. Holes are ranges that no final will cover, each with its reason.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from msgspec import Struct

from rt_cli.audio.format import BYTES_PER_SAMPLE, silence
from rt_cli.errors import RtError
from rt_cli.events import Ledger
from rt_cli.timeline.sample_store import SampleStore

if TYPE_CHECKING:
    from rt_cli.events import LossReason

MEMORY_S = 60
LIMIT_BYTES = 1 << 30


class Hole(Struct, frozen=True):
    """A half-open range of the timeline that counts as dropped."""

    start: int
    end: int
    reason: LossReason


class Tape:
    """The buffer between capture and delivery, and the only one.

    Args:
        rate_hz: The wire rate, which is also the rate of the timeline.
        memory_s: Seconds of audio in memory; older unsettled audio goes to a temporary file.
        limit_bytes: Most bytes in memory and files together. Beyond this, acknowledged audio leaves the tape; if there
            is none, new audio becomes a hole (``full``).
        on_disk: False keeps everything in memory.
    """

    def __init__(
        self, rate_hz: int, *, memory_s: float = MEMORY_S, limit_bytes: int = LIMIT_BYTES, on_disk: bool = True
    ) -> None:
        self.rate_hz = rate_hz
        self.captured = 0
        self.sent = 0
        self.acknowledged = 0
        self.settled = 0
        self.oldest = 0
        """Samples before this position are no longer sent, neither for the first time nor again."""
        self.full = False
        """True if the store refused the last piece."""
        self._holes: list[Hole] = []
        self._dropped_below = 0
        self.suspended = 0
        """Samples in holes that a suspend of the machine caused. Those are no fault of a component."""
        limit = limit_bytes // BYTES_PER_SAMPLE
        self._store = SampleStore(memory=round(memory_s * rate_hz) if on_disk else limit, limit=limit)
        self._again: SampleStore | None = None
        """Audio that had left the store and is read again from its source, from *settled* on."""

    def restore(self, settled: int, dropped: int, suspended: int = 0) -> None:
        """Continue at the marks of an earlier process.

        Args:
            settled: All four marks start at this position.
            dropped: Samples before it that are holes.
            suspended: Samples of ``dropped`` that a suspend of the machine caused.
        """
        self.captured = self.sent = self.acknowledged = self.settled = settled
        self._dropped_below, self.suspended = dropped, suspended
        self._store.skip(settled)

    @property
    def waiting(self) -> int:
        """Captured samples that are not sent yet, holes included."""
        return self.captured - max(self.sent, self.oldest)

    @property
    def readable(self) -> int:
        """Position up to which audio can be read. Before *captured* only while audio is read again from its source."""
        return self.captured if self._again is None or self.sent >= self._store.gone else self._again.end

    def gone_from(self, start: int) -> int | None:
        """Return where audio ends that was sent from ``start`` on, and has left the tape to make room; None if none."""
        at, gone = max(start, self.settled), max(self.oldest, self._store.gone)
        for hole in self._holes:
            at = hole.end if hole.start <= at < hole.end else at
        return gone if at < gone else None

    @property
    def missing(self) -> tuple[int, int]:
        """Start and end of the audio that :meth:`refill` expects; empty if none."""
        if self._again is None:
            return 0, 0
        self._again.skip(max(0, self.sent - self._again.end))  # settled meanwhile
        return min(self._again.end, self._store.gone), self._store.gone

    @property
    def holes(self) -> list[tuple[int, int]]:
        """Start and end of each hole from *settled* on."""
        return [(hole.start, hole.end) for hole in self._holes]

    @property
    def dropped(self) -> int:
        """Samples in holes, before and after *settled*."""
        return self._dropped_below + sum(hole.end - hole.start for hole in self._holes)

    def append(self, pcm: bytes) -> list[Hole]:
        """Append captured audio: whole samples of s16le.

        Returns:
            The new hole if neither memory nor disk has room for the audio, even without the acknowledged audio; else an
            empty list.
        """
        start, self.captured = self.captured, self.captured + len(pcm) // BYTES_PER_SAMPLE
        self.full = not self._store.append(pcm, spare=self.acknowledged)
        return self._add_hole(start, self.captured, "full") if self.full else []

    def lose(self, samples: int, reason: LossReason) -> list[Hole]:
        """Append a gap of lost samples as silence, so that later positions stay right. Returns the new hole."""
        start, self.captured = self.captured, self.captured + samples
        self._store.skip(samples)
        self.suspended += samples if reason == "suspended" else 0
        return self._add_hole(start, self.captured, reason)

    def read(self, start: int, end: int) -> bytes:
        """Return the PCM of a range between *settled* and *captured*."""
        if not self.settled <= start <= end <= self.captured:
            raise RtError(f"tape read outside its marks: [{start}, {end}) of [{self.settled}, {self.captured})")
        gone = self._store.gone
        if self._again is None or start >= gone:
            return self._store.read(start, end)
        return self._again.read(start, min(end, gone)) + self._store.read(gone, max(end, gone))

    def read_settled_as_silence(self, start: int, end: int) -> bytes:
        """Like :meth:`read`, but audio before *settled*, which is freed already, reads as silence."""
        first = min(max(start, self.settled), end)
        return silence(first - start) + (self.read(first, end) if first < end else b"")

    def mark_sent(self, to: int) -> None:
        """Advance *sent* to ``to``: the connection has taken everything before it."""
        if not self.sent <= to <= self.captured:
            raise RtError(f"sent mark cannot go from {self.sent} to {to}, captured is {self.captured}")
        self.sent = to

    def mark_acknowledged(self, to: int) -> None:
        """Advance *acknowledged* to ``to``, but not beyond *sent*: the endpoint has read everything before it."""
        self.acknowledged = max(self.acknowledged, min(to, self.sent))

    def settle(self, to: int) -> None:
        """Advance *settled* to ``to`` and release the audio before it.

        Everything before ``to`` is in a printed final, is known to contain none, or is a hole.
        """
        if to <= self.settled:
            return
        if to > self.captured:
            raise RtError(f"settled mark cannot go to {to}, captured is {self.captured}")
        self.settled = to
        self.acknowledged = max(self.acknowledged, to)
        self.sent = max(self.sent, to)
        self._store.release(to)
        if self._again is not None:
            self._again.release(to)
        while self._holes and self._holes[0].end <= to:
            hole = self._holes.pop(0)
            self._dropped_below += hole.end - hole.start
        if self._holes and self._holes[0].start < to:
            hole = self._holes[0]
            self._dropped_below += to - hole.start
            self._holes[0] = Hole(to, hole.end, hole.reason)

    def drop(self, start: int, end: int, reason: LossReason) -> list[Hole]:
        """Make a captured range a hole. Returns the parts that were neither settled nor a hole before."""
        return self._add_hole(max(start, self.settled), min(end, self.captured), reason)

    def forget(self, to: int) -> None:
        """Release the audio before ``to``, which is not sent any more. The ledger still counts its samples."""
        self.oldest = max(self.oldest, min(to, self.captured))
        self._store.release(self.oldest)

    def rewind(self, *, again: bool = False) -> list[Hole]:
        """Move *sent* and *acknowledged* back to *settled*, because a new connection has received nothing yet.

        Acknowledged audio that left the tape to make room cannot be sent again from it.

        Args:
            again: Whether :meth:`refill` will bring that audio; if not, it is a hole.

        Returns:
            The new holes.
        """
        self.sent = self.acknowledged = self.settled
        self._again = None
        if self._store.gone <= self.settled:
            return []
        if not again:
            return self._give_up_gone()
        limit = LIMIT_BYTES // BYTES_PER_SAMPLE
        self._again = SampleStore(memory=limit, limit=limit)  # it never has more than is in flight or about to be sent
        self._again.skip(self.settled)
        return []

    def refill(self, pcm: bytes) -> None:
        """Append audio at the start of :attr:`missing`, read again from its source."""
        start, end = self.missing
        if self._again is not None:
            self._again.release(self.acknowledged)
            self._again.append(pcm[: (end - start) * BYTES_PER_SAMPLE])

    def end_refill(self) -> list[Hole]:
        """End the refilling. Returns the new hole if audio is still missing."""
        start, end = self.missing
        if start == end:
            return []
        self._again = None
        return self._give_up_gone()

    def _give_up_gone(self) -> list[Hole]:
        gone = self._store.gone
        self.oldest = max(self.oldest, gone)
        return self._add_hole(self.sent, gone, "full")

    def ledger(self, padding: int = 0) -> Ledger:
        """Count the captured samples by their present state."""
        return Ledger(
            captured=self.captured,
            settled=self.settled - self._dropped_below,
            acknowledged=self._sound(self.settled, self.acknowledged),
            in_flight=self._sound(self.acknowledged, self.sent),
            waiting=self._sound(self.sent, self.captured),
            dropped=self.dropped,
            padding=padding,
        )

    def close(self) -> None:
        """Release memory and files. The marks stay readable."""
        self._store.close()

    def _sound(self, start: int, end: int) -> int:
        covered = sum(max(0, min(hole.end, end) - max(hole.start, start)) for hole in self._holes)
        return end - start - covered

    def _add_hole(self, start: int, end: int, reason: LossReason) -> list[Hole]:
        added: list[Hole] = []
        at = start
        for hole in self._holes[bisect_right(self._holes, start, key=_end_of) :]:
            if hole.start >= end:
                break
            if hole.start > at:
                added.append(Hole(at, hole.start, reason))
            at = hole.end
        if at < end:
            added.append(Hole(at, end, reason))
        for hole in added:
            self._insert(hole)
        return added

    def _insert(self, hole: Hole) -> None:
        """Insert a hole in timeline order and merge adjacent holes of the same reason."""
        index = bisect_right(self._holes, hole.start, key=_end_of)
        first, last = index, index
        if index and self._holes[index - 1].end == hole.start and self._holes[index - 1].reason == hole.reason:
            first -= 1
        if (
            index < len(self._holes)
            and self._holes[index].start == hole.end
            and self._holes[index].reason == hole.reason
        ):
            last += 1
        holes = [*self._holes[first:index], hole, *self._holes[index:last]]
        self._holes[first:last] = [Hole(holes[0].start, holes[-1].end, hole.reason)]


def _end_of(hole: Hole) -> int:
    return hole.end
