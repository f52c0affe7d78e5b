"""Limits the unsent audio of a live source (``--on-full``). No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.errors import ConnectionLost
from rt_cli.streaming.capture.gaps import Gaps
from rt_cli.timeline.tape import MEMORY_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rt_cli.audio.speech.gate import SendRanges
    from rt_cli.errors import RtError
    from rt_cli.settings import OnFull
    from rt_cli.timeline.tape import Hole, Tape

LEAST_GAP_S = 1.0
"""Shortest gap. An endpoint that is a little too slow gets one gap now and then, not one in every word."""


def start_of_newest(end: int, samples: int, blanks: Iterable[tuple[int, int]]) -> int:
    """Return where the newest ``samples`` before ``end`` begin, blanks directly before them included. Pure.

    Negative if there are fewer.

    Args:
        end: Timeline position.
        samples: Number of samples.
        blanks: Starts and ends of ranges that do not count, in any order; none reaches beyond ``end``.
    """
    at = end
    for start, stop in sorted(blanks, key=lambda blank: blank[1], reverse=True):
        if (sound := max(0, at - stop)) > samples:
            break
        samples -= sound
        at = min(at, start)
    return at - samples


def first_kept(*, sent: int, captured: int, oldest: int, limit: int, least: int, blanks: list[tuple[int, int]]) -> int:
    """Return the position from which audio is kept, so that at most ``limit`` samples wait. Pure.

    Args:
        sent: Timeline position up to which everything is sent.
        captured: Position up to which audio is captured.
        oldest: The result of the last call; the position never goes back.
        limit: Most samples that may wait.
        least: Shortest new gap, samples; an existing gap grows by the necessary amount only.
        blanks: Starts and ends of ranges that do not count as waiting.
    """
    first = start_of_newest(captured, limit, blanks)
    if oldest <= sent < first:
        first = max(first, min(sent + least, captured))
    return max(oldest, first)


class OverflowPolicy:
    """Keeps the waiting audio within its limit.

    Holes and audio that the gate leaves out do not count. After a loss all unsettled audio waits again.

    Args:
        tape: The tape; on disk with policy ``spool`` only, which does nothing here.
        policy: What to do at the limit.
        limit_s: Limit of waiting audio, seconds.
        send_ranges: Returns which parts are sent; None if all audio is sent.
        on_hole: Receives the dropped audio.
    """

    def __init__(
        self,
        tape: Tape,
        policy: OnFull,
        *,
        limit_s: float = MEMORY_S,
        send_ranges: Callable[[], SendRanges | None] = lambda: None,
        on_hole: Callable[[Hole], None],
    ) -> None:
        self._tape = tape
        self._policy = policy
        self._limit_s = limit_s
        self._limit = round(limit_s * tape.rate_hz)
        self._least = min(round(LEAST_GAP_S * tape.rate_hz), self._limit)
        self._send_ranges = send_ranges
        self._gaps = Gaps(on_hole)

    def enforce(self) -> RtError | None:
        """Drop audio beyond the limit, or return the error that ends capture. Call it whenever waiting audio grows."""
        tape = self._tape
        if self._policy == "spool":
            return None
        dropping = tape.sent < tape.oldest
        within = not dropping and tape.captured - tape.settled <= self._limit
        if self._policy == "fail" and not within:
            return self._full_error() if self._exceeds_limit() else None
        dropped = [] if within else self._drop_oldest()
        # Report only now: whoever hears of a gap finds the waiting audio within its limit.
        if not dropping:
            self._gaps.end()
        for holes in dropped:
            self._gaps.add(holes)
        return None

    def end(self) -> None:
        """End the last gap: no further audio is dropped."""
        self._gaps.end()

    def _drop_oldest(self) -> list[list[Hole]]:
        tape = self._tape
        tape.forget(
            first_kept(
                sent=tape.sent,
                captured=tape.captured,
                oldest=tape.oldest,
                limit=self._limit,
                least=self._least,
                blanks=self._blanks(),
            )
        )
        dropped, at = [], min(tape.sent, tape.oldest)
        for start, end in [*self._unsent(tape.sent, tape.oldest), (tape.oldest, tape.oldest)]:
            dropped.append(tape.drop(at, start, "full"))
            at = end
        return dropped

    def _blanks(self) -> list[tuple[int, int]]:
        return self._tape.holes + self._unsent(self._tape.settled, self._tape.captured)

    def _unsent(self, start: int, end: int) -> list[tuple[int, int]]:
        send_ranges = self._send_ranges()
        return [] if send_ranges is None else send_ranges.unsent(start, end)

    def _exceeds_limit(self) -> bool:
        return self._tape.full or start_of_newest(self._tape.captured, self._limit, self._blanks()) > self._tape.sent

    def _full_error(self) -> RtError:
        what = "sound than the memory takes" if self._tape.full else f"than {self._limit_s:g} s of sound"
        return ConnectionLost(
            f"more {what} waited for the endpoint: nothing more was captured",
            "check the network and the endpoint, or let it wait (--on-full spool)",
            code="full",
        )
