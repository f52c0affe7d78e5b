"""Reports in the order of the items, not of their arrival: the words of a turn come after the reply has begun. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from rt_cli.events import Event

    Reports = Callable[[], Sequence[Event]]
    """Returns the events of an item. Called when its turn has come, so that it knows what the items before it are."""


def nothing() -> Sequence[Event]:
    """Return no events: an item that nobody is told of."""
    return ()


class ItemOrder:
    """Holds what is to be reported of an item until all items before it are reported."""

    def __init__(self) -> None:
        self._items: deque[Hashable] = deque()
        self._ready: dict[Hashable, Reports] = {}

    def add(self, item: Hashable) -> None:
        """Add an item behind all others."""
        self._items.append(item)

    def ready(self, item: Hashable, reports: Reports) -> None:
        """Set what is to be reported of an item; the first call counts."""
        if item in self._items:
            self._ready.setdefault(item, reports)

    def take(self) -> list[Event]:
        """Return the events whose time has come."""
        events: list[Event] = []
        while self._items and self._items[0] in self._ready:
            events += self._ready.pop(self._items.popleft())()
        return events

    def take_all(self) -> list[Event]:
        """Return all events that are ready: nothing more will come."""
        events: list[Event] = []
        while self._items:
            reports = self._ready.pop(self._items.popleft(), nothing)
            events += reports()
        return events
