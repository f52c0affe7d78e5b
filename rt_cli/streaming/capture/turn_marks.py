"""Where turns open and close in the analysed audio. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from rt_cli.audio.speech.endpointing import TurnCloses, TurnOpens


class TurnMarks:
    """Where turns open and close in the analysed audio; marks are kept until their audio is settled.

    Args:
        start: Timeline position at which the run begins.
    """

    def __init__(self, start: int = 0) -> None:
        self.analysed = start
        """Timeline position up to which the marks are known."""
        self.earliest_close = start
        """Timeline position before which no turn closes but the known ones; at least :attr:`analysed`."""
        self._marks: list[TurnOpens | TurnCloses] = []
        self._left_out = start

    def add(self, marks: list[TurnOpens | TurnCloses]) -> None:
        """Add marks in order; a mark inside audio that is not sent moves to the end of it.

        A turn that has no audio then has no marks.
        """
        for mark in marks:
            moved = replace(mark, at=max(mark.at, self._left_out))
            if isinstance(moved, TurnCloses) and self._marks and self._marks[-1] == TurnOpens(moved.at):
                self._marks.pop()
            else:
                self._marks.append(moved)

    def known(self, to: int) -> None:
        """Note that all marks before ``to`` are known."""
        self.analysed = max(self.analysed, to)
        self.earliest_close = max(self.earliest_close, to)

    def closes_after(self, position: int) -> int | None:
        """Return the first position at or after ``position`` where a turn closes; None if unknown."""
        return next((mark.at for mark in self._marks if isinstance(mark, TurnCloses) and mark.at >= position), None)

    def opens_in(self, start: int, end: int) -> int | None:
        """Return where a turn opens in ``[start, end)``; None if no turn does."""
        return next((m.at for m in self._marks if isinstance(m, TurnOpens) and start <= m.at < end), None)

    def leave_out(self, start: int, end: int) -> None:
        """Remove the marks of a range that is not sent. A turn that is open at its end opens there instead."""
        before = [mark for mark in self._marks if mark.at < start]
        inside = [mark for mark in self._marks if start <= mark.at <= end]
        last = next(reversed([*before, *inside]), None)
        opens = [TurnOpens(end)] if isinstance(last, TurnOpens) else []
        self._marks = [*before, *opens, *(mark for mark in self._marks if mark.at > end)]
        self._left_out = end

    def forget(self, settled: int) -> None:
        """Drop the marks before ``settled``: no replay needs them."""
        while self._marks and self._marks[0].at < settled:
            self._marks.pop(0)
