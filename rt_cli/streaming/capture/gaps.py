"""Merges the pieces of a growing gap into two reports: its start, and its rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.timeline.tape import Hole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Gaps:
    """Reports a gap at its start, and its further growth as one piece at its end.

    Args:
        on_hole: Receives every part of every gap once.
    """

    def __init__(self, on_hole: Callable[[Hole], None]) -> None:
        self._on_hole = on_hole
        self._growth: Hole | None = None
        """The part of the present gap that is not reported yet."""

    def add(self, holes: Sequence[Hole]) -> None:
        """Add holes in order. A hole that begins at the end of the last one, with its reason, extends it."""
        for hole in holes:
            growth = self._growth
            if growth is not None and (growth.end, growth.reason) == (hole.start, hole.reason):
                self._growth = Hole(growth.start, hole.end, growth.reason)
                continue
            self.end()
            self._on_hole(hole)
            self._growth = Hole(hole.end, hole.end, hole.reason)

    def end(self) -> None:
        """End the present gap, if any, and report its growth."""
        if self._growth is not None and self._growth.end > self._growth.start:
            self._on_hole(self._growth)
        self._growth = None
