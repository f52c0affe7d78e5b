"""Events that wait for the program that iterates over them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from rt_cli.events import Event, Failed, Final, Partial, Progress, Translation, Warned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT_BYTES = 64 * 1024 * 1024
"""Most bytes of waiting events: a thousand hours of speech."""
_EVENT_BYTES = 200
"""About what an event takes without its text."""


class EventQueue:
    """A queue that keeps every event but the snapshots that a newer one replaces: partials of a turn, progress.

    Args:
        limit_bytes: Most bytes of waiting events.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._waiting: deque[list[Event]] = deque()
        """Each event alone in a list, so that a newer snapshot can take its place."""
        self._snapshots: dict[object, list[Event]] = {}
        self._bytes = 0
        self._closed = False
        self._changed = asyncio.Event()

    def put(self, event: Event) -> bool:
        """Append an event, or replace the waiting snapshot that it makes obsolete. False beyond the limit."""
        key = _snapshot_key(event)
        self._bytes += _size(event)
        waiting = None if key is None else self._snapshots.get(key)
        if waiting is not None:
            self._bytes -= _size(waiting[0])
            waiting[0] = event
        else:
            cell = [event]
            self._waiting.append(cell)
            if key is not None:
                self._snapshots[key] = cell
            self._changed.set()
        return self._bytes <= self._limit

    def close(self) -> None:
        """End the iteration after the waiting events. Idempotent."""
        self._closed = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield the events until :meth:`close`. Safe to cancel."""
        while True:
            while self._waiting:
                (event,) = self._waiting.popleft()
                self._snapshots.pop(_snapshot_key(event), None)
                self._bytes -= _size(event)
                yield event
            if self._closed:
                return
            self._changed.clear()
            await self._changed.wait()


def _snapshot_key(event: Event) -> object:
    match event:
        case Partial(turn):
            return turn
        case Progress():
            return Progress
    return None


def _size(event: Event) -> int:
    match event:
        case Partial() | Final() | Translation():
            return _EVENT_BYTES + 4 * len(event.text)
        case Warned() | Failed():
            return _EVENT_BYTES + 4 * len(event.message)
    return _EVENT_BYTES
