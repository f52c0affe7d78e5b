"""Several sources at once, printed one after the other: the order of their beginnings. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rt_cli.events import Final, Partial, Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Event, Label

    Print = Callable[[Event, Label], None]

_OVERHEAD = 400
"""About what an event takes in memory beside its text, bytes."""


class SourceQueue:
    """The events of one source: printed as they come when it is first, held back until then.

    Args:
        order: What it waits in.
        show: Prints.
    """

    def __init__(self, order: InOrder, show: Print) -> None:
        self._order = order
        self._show = show
        self._held: list[tuple[Event, Label]] = []
        self._first = False
        self._on_shown: Callable[[], None] | None = None
        self.ended = False

    def take(self, event: Event, label: Label) -> None:
        """Print it, now or later; of what is passing only what can be printed now."""
        if self._first:
            self._show(event, label)
        elif not isinstance(event, Partial | Progress):
            self._held.append((event, label))
            self._order.held_bytes += weight(event)

    def end(self) -> None:
        """Nothing more will come: the next may be printed when this one is. Idempotent."""
        self.ended = True
        self._order.advance()

    def when_shown(self, act: Callable[[], None]) -> None:
        """After :meth:`end`: do something once all of it is printed, which may be now."""
        if self._first:
            act()
        else:
            self._on_shown = act

    def lead(self) -> None:
        """Be the first: print what was held back. Idempotent."""
        self._first = True
        for event, label in self._held:
            self._order.held_bytes -= weight(event)
            self._show(event, label)
        self._held.clear()
        if self._on_shown is not None:
            self._on_shown()
            self._on_shown = None


class InOrder:
    """The lanes, in the order they were opened."""

    def __init__(self) -> None:
        self.held_bytes = 0
        """About what waits."""
        self._lanes: deque[SourceQueue] = deque()

    def open(self, show: Print) -> SourceQueue:
        """A lane behind all that are open."""
        lane = SourceQueue(self, show)
        self._lanes.append(lane)
        self.advance()
        return lane

    def advance(self) -> None:
        """Give way to the next where the first has ended."""
        while self._lanes:
            self._lanes[0].lead()
            if not self._lanes[0].ended:
                return
            self._lanes.popleft()


def weight(event: Event) -> int:
    """About what holding an event back takes, bytes."""
    return _OVERHEAD + (4 * len(event.text) if isinstance(event, Final) else 0)
