"""The tape: every sample between *captured* and *settled*, and the account of where each is. Pure but for its store.

Four marks stand on one timeline, ``captured >= sent >= acknowledged >= settled``. The ledger is the distances between
them, so it balances by construction; holes are ranges that will be in no final, each with its reason.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.errors import RtError
from rt_cli.events import Ledger
from rt_cli.timeline.sample_store import SampleStore

if TYPE_CHECKING:
    from rt_cli.audio.source import LossReason

MEMORY_S = 60
LIMIT_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Hole:
    """A half-open range of the timeline that is accounted for as dropped."""

    start: int
    end: int
    reason: LossReason


class Tape:
    """The only buffer of the program.

    Args:
        rate_hz: The wire rate, which is the timeline's.
        memory_s: Seconds kept in memory; what is older and unsettled goes to a temporary file.
        limit_bytes: Bytes kept in all; beyond it new sound is a hole (``full``).
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
        """Nothing before it is sent from now on: what was not is given up, what was is not sent again."""
        self.full = False
        """The last piece found no room."""
        self._holes: list[Hole] = []
        self._dropped_below = 0
        self.suspended = 0
        """Samples in holes during which the machine slept; nobody is to blame for those."""
        limit = limit_bytes // BYTES_PER_SAMPLE
        self._store = SampleStore(memory=round(memory_s * rate_hz) if on_disk else limit, limit=limit)

    def restore(self, settled: int, dropped: int, suspended: int = 0) -> None:
        """Begin where an earlier process came to: everything before ``settled`` is, ``dropped`` of it as holes.

        Of these the machine slept through ``suspended``.
        """
        self.captured = self.sent = self.acknowledged = self.settled = settled
        self._dropped_below, self.suspended = dropped, suspended
        self._store.skip(settled)

    @property
    def waiting(self) -> int:
        """Samples captured that are still to be sent, holes included."""
        return self.captured - max(self.sent, self.oldest)

    @property
    def holes(self) -> list[tuple[int, int]]:
        """Start and end of each hole from *settled* on."""
        return [(hole.start, hole.end) for hole in self._holes]

    @property
    def dropped(self) -> int:
        """Samples in holes, everywhere."""
        return self._dropped_below + sum(hole.end - hole.start for hole in self._holes)

    def append(self, pcm: bytes) -> list[Hole]:
        """Capture: whole samples of s16le. Returns the hole that came of it where neither memory nor disk has room."""
        start, self.captured = self.captured, self.captured + len(pcm) // BYTES_PER_SAMPLE
        self.full = not self._store.append(pcm)
        return self._add_hole(start, self.captured, "full") if self.full else []

    def lose(self, samples: int, reason: LossReason) -> list[Hole]:
        """Capture a gap: silence takes its place, so that the timeline stays true."""
        start, self.captured = self.captured, self.captured + samples
        self._store.skip(samples)
        self.suspended += samples if reason == "suspended" else 0
        return self._add_hole(start, self.captured, reason)

    def read(self, start: int, end: int) -> bytes:
        """The PCM of a range between *settled* and *captured*."""
        if not self.settled <= start <= end <= self.captured:
            raise RtError(f"tape read outside its marks: [{start}, {end}) of [{self.settled}, {self.captured})")
        return self._store.read(start, end)

    def mark_sent(self, to: int) -> None:
        """Everything before ``to`` was handed to the connection."""
        if not self.sent <= to <= self.captured:
            raise RtError(f"sent mark cannot go from {self.sent} to {to}, captured is {self.captured}")
        self.sent = to

    def mark_acknowledged(self, to: int) -> None:
        """Everything before ``to`` was read by the endpoint; never goes back, never beyond *sent*."""
        self.acknowledged = max(self.acknowledged, min(to, self.sent))

    def settle(self, to: int) -> None:
        """Everything before ``to`` is in a printed final, or known to hold none, or a hole. Lets the sound go."""
        if to <= self.settled:
            return
        if to > self.captured:
            raise RtError(f"settled mark cannot go to {to}, captured is {self.captured}")
        self.settled = to
        self.acknowledged = max(self.acknowledged, to)
        self.sent = max(self.sent, to)
        self._store.release(to)
        while self._holes and self._holes[0].end <= to:
            hole = self._holes.pop(0)
            self._dropped_below += hole.end - hole.start
        if self._holes and self._holes[0].start < to:
            hole = self._holes[0]
            self._dropped_below += to - hole.start
            self._holes[0] = Hole(to, hole.end, hole.reason)

    def drop(self, start: int, end: int, reason: LossReason) -> list[Hole]:
        """Give a captured range up. Returns the parts that were neither settled nor dropped before."""
        return self._add_hole(max(start, self.settled), min(end, self.captured), reason)

    def forget(self, to: int) -> None:
        """Nothing before ``to`` will be sent (again): its sound is let go, its place in the account stays."""
        self.oldest = max(self.oldest, min(to, self.captured))
        self._store.release(self.oldest)

    def rewind(self) -> None:
        """A new connection knows nothing of the old one: *sent* and *acknowledged* go back to *settled*."""
        self.sent = self.acknowledged = self.settled

    def ledger(self, padding: int = 0) -> Ledger:
        """Where every captured sample is, now."""
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
        """Let go of memory and file; the marks stay readable."""
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
            self._keep(hole)
        return added

    def _keep(self, hole: Hole) -> None:
        """Put a hole in its place; with its neighbours of the same reason it is one."""
        place = bisect_right(self._holes, hole.start, key=_end_of)
        before, after = place, place
        if place and self._holes[place - 1].end == hole.start and self._holes[place - 1].reason == hole.reason:
            before -= 1
        if (
            place < len(self._holes)
            and self._holes[place].start == hole.end
            and self._holes[place].reason == hole.reason
        ):
            after += 1
        joined = [*self._holes[before:place], hole, *self._holes[place:after]]
        self._holes[before:after] = [Hole(joined[0].start, joined[-1].end, hole.reason)]


def _end_of(hole: Hole) -> int:
    return hole.end
