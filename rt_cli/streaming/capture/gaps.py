"""Gaps that grow piece by piece, told in two: when they begin, and what they came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.timeline.tape import Hole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Gaps:
    """Tells of a gap when it begins, and of its growth in one piece when it is over.

    Args:
        on_hole: Told of every part of every gap, once.
    """

    def __init__(self, on_hole: Callable[[Hole], None]) -> None:
        self._on_hole = on_hole
        self._growth: Hole | None = None
        """Of the present gap, what was not told."""

    def report(self, holes: Sequence[Hole]) -> None:
        """Take in holes, in order; one that goes on where the last one ended makes it grow."""
        for hole in holes:
            growth = self._growth
            if growth is not None and (growth.end, growth.reason) == (hole.start, hole.reason):
                self._growth = Hole(growth.start, hole.end, growth.reason)
                continue
            self.end()
            self._on_hole(hole)
            self._growth = Hole(hole.end, hole.end, hole.reason)

    def end(self) -> None:
        """The gap is over, if there was one."""
        if self._growth is not None and self._growth.end > self._growth.start:
            self._on_hole(self._growth)
        self._growth = None
