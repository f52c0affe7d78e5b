"""Where turns open and close, as far as the sound was analysed. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from rt_cli.audio.speech.endpointing import TurnCloses, TurnOpens


class TurnMarks:
    """Where turns open and close, as far as the sound was looked at; kept until it is settled.

    Args:
        start: Timeline position at which the run begins.
    """

    def __init__(self, start: int = 0) -> None:
        self.analysed = start
        """Timeline position up to which the marks are known."""
        self._marks: list[TurnOpens | TurnCloses] = []
        self._left_out = start

    def add(self, marks: list[TurnOpens | TurnCloses]) -> None:
        """Add marks, in order; none stands in what is not sent."""
        self._marks += [replace(mark, at=max(mark.at, self._left_out)) for mark in marks]

    def closes_after(self, position: int) -> int | None:
        """The first place at or behind ``position`` where a turn closes."""
        return next((mark.at for mark in self._marks if isinstance(mark, TurnCloses) and mark.at >= position), None)

    def opens_in(self, start: int, end: int) -> int | None:
        """Where a turn opens in ``[start, end)``, if one does."""
        return next((m.at for m in self._marks if isinstance(m, TurnOpens) and start <= m.at < end), None)

    def leave_out(self, start: int, end: int) -> None:
        """Nothing of this range is sent: what is said at its end is a turn that opens there."""
        before = [mark for mark in self._marks if mark.at < start]
        inside = [mark for mark in self._marks if start <= mark.at <= end]
        last = next(reversed([*before, *inside]), None)
        opens = [TurnOpens(end)] if isinstance(last, TurnOpens) else []
        self._marks = [*before, *opens, *(mark for mark in self._marks if mark.at > end)]
        self._left_out = end

    def forget(self, settled: int) -> None:
        """Drop the marks that no replay can meet again."""
        while self._marks and self._marks[0].at < settled:
            self._marks.pop(0)
