"""Print the results of concurrent sources one source after the other, in the order of their start. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rt_cli.events import Final, Partial, Progress, RawEvent, Translation

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Event, Label

    PrintEvent = Callable[[Event, Label], None]

_OVERHEAD = 400
"""Approximate memory of an event without its text, bytes."""


class SourceQueue:
    """The events of one source: printed at once if the source is first in the order, held until then.

    Args:
        order: The order that the queue belongs to.
        print_event: Prints an event.
    """

    def __init__(self, order: SourceOrder, print_event: PrintEvent) -> None:
        self._order = order
        self._print_event = print_event
        self._held: list[tuple[Event, Label]] = []
        self._first = False
        self._on_printed: Callable[[], None] | None = None
        self.ended = False

    def take(self, event: Event, label: Label) -> None:
        """Print an event now or later. A partial or progress event is dropped if it cannot be printed now."""
        if self._first:
            self._print_event(event, label)
        elif not isinstance(event, Partial | Progress):
            self._held.append((event, label))
            self._order.held_bytes += memory_bytes(event)

    def end(self) -> None:
        """End the source: the next one is printed after this one. Idempotent."""
        self.ended = True
        self._order.advance()

    def call_when_printed(self, act: Callable[[], None]) -> None:
        """After :meth:`end`: call ``act`` once all events are printed, which may be now."""
        if self._first:
            act()
        else:
            self._on_printed = act

    def become_first(self) -> None:
        """Become first in the order: print the held events. Idempotent."""
        self._first = True
        for event, label in self._held:
            self._order.held_bytes -= memory_bytes(event)
            self._print_event(event, label)
        self._held.clear()
        if self._on_printed is not None:
            self._on_printed()
            self._on_printed = None


class SourceOrder:
    """The queues of the sources, in the order they were opened."""

    def __init__(self) -> None:
        self.held_bytes = 0
        """Approximate memory of all held events, bytes."""
        self._queues: deque[SourceQueue] = deque()

    def open(self, print_event: PrintEvent) -> SourceQueue:
        """Open a queue after all open queues."""
        queue = SourceQueue(self, print_event)
        self._queues.append(queue)
        self.advance()
        return queue

    def advance(self) -> None:
        """Remove ended queues from the head and make the next queue first."""
        while self._queues:
            self._queues[0].become_first()
            if not self._queues[0].ended:
                return
            self._queues.popleft()


def memory_bytes(event: Event) -> int:
    """Return the approximate memory of a held event, bytes."""
    match event:
        case Final() | Translation():
            return _OVERHEAD + 4 * len(event.text)
        case RawEvent():
            return _OVERHEAD + 4 * len(str(event.event))
    return _OVERHEAD
