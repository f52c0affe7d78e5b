"""What waits to be sent of sound that does not wait, and what is done when that is too much. I/O is nobody's here."""

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
"""Given up at a time at least: to an endpoint that is a little too slow a gap now and then, not one in every word."""


def start_of_newest(end: int, samples: int, blanks: Iterable[tuple[int, int]]) -> int:
    """Where the newest ``samples`` before ``end`` begin, with the blanks before them. Pure.

    Negative where there are not so many.

    Args:
        end: Timeline position.
        samples: How many.
        blanks: Starts and ends of what does not count, in any order; none reaches beyond ``end``.
    """
    at = end
    for start, stop in sorted(blanks, key=lambda blank: blank[1], reverse=True):
        if (sound := max(0, at - stop)) > samples:
            break
        samples -= sound
        at = min(at, start)
    return at - samples


def first_kept(*, sent: int, captured: int, oldest: int, limit: int, least: int, blanks: list[tuple[int, int]]) -> int:
    """Before which position nothing is to be sent any more, so that no more than ``limit`` samples wait. Pure.

    Args:
        sent: Timeline position up to which everything is sent.
        captured: Position up to which there is sound.
        oldest: What this was before; it never goes back.
        limit: Samples that may wait.
        least: Samples that a gap has at least; one that is there grows by as much as it must.
        blanks: Starts and ends of what does not count as waiting.
    """
    first = start_of_newest(captured, limit, blanks)
    if oldest <= sent < first:
        first = max(first, min(sent + least, captured))
    return max(oldest, first)


class OverflowPolicy:
    """Sees to it that no more waits than may.

    Holes do not count, nor what is not to be sent: a gate holds nobody up. After a loss everything unsettled waits.

    Args:
        tape: Where it waits; kept off the disk for any policy but ``spool``, which leaves it to the tape.
        policy: What is done.
        limit_s: Seconds of sound that may wait.
        send_ranges: What is sent, where not all of it is.
        on_hole: Told of what is given up.
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
        """Give up what is too much, or say why nothing more is to be captured; after every change for the worse."""
        tape = self._tape
        if self._policy == "spool":
            return None
        over = tape.sent < tape.oldest
        if not over:
            self._gaps.end()
        if not over and tape.captured - tape.settled <= self._limit:
            return None
        if self._policy == "fail":
            return self._too_much() if self._fails() else None
        self._give_up()
        return None

    def end(self) -> None:
        """Nothing more will be given up."""
        self._gaps.end()

    def _give_up(self) -> None:
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
        at = min(tape.sent, tape.oldest)
        for start, end in [*self._unsent(tape.sent, tape.oldest), (tape.oldest, tape.oldest)]:
            self._gaps.report(tape.drop(at, start, "full"))
            at = end

    def _blanks(self) -> list[tuple[int, int]]:
        return self._tape.holes + self._unsent(self._tape.settled, self._tape.captured)

    def _unsent(self, start: int, end: int) -> list[tuple[int, int]]:
        send_ranges = self._send_ranges()
        return [] if send_ranges is None else send_ranges.unsent(start, end)

    def _fails(self) -> bool:
        return self._tape.full or start_of_newest(self._tape.captured, self._limit, self._blanks()) > self._tape.sent

    def _too_much(self) -> RtError:
        what = "sound than the memory takes" if self._tape.full else f"than {self._limit_s:g} s of sound"
        return ConnectionLost(
            f"more {what} waited for the endpoint: nothing more was captured",
            "check the network and the endpoint, or let it wait (--on-full spool)",
            code="full",
        )
