"""Bytes from the event loop to a thread that reads them as a file."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

_MOST_BYTES = 256 * 1024
"""Most bytes that wait for the reader. At this limit :meth:`Feed.put` waits."""


class Feed:
    """A bounded queue of bytes: coroutines put, one thread reads. Made in the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._parts: deque[bytes] = deque()
        self._waiting = 0
        self._ended = False
        self._room = asyncio.Event()

    async def put(self, data: bytes) -> None:
        """Append bytes, then wait while too many wait for the reader. Safe to cancel: the bytes are in."""
        with self._changed:
            if self._ended or not data:
                return
            self._parts.append(data)
            self._waiting += len(data)
            self._changed.notify()
        while self._is_full():
            self._room.clear()
            if self._is_full():  # the reader may have read before the event was cleared
                await self._room.wait()

    def end(self) -> None:
        """End the bytes: the reader gets those that wait, then the end. Idempotent."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def abandon(self) -> None:
        """End the bytes now, and drop those that wait. Idempotent."""
        with self._changed:
            self._ended = True
            self._parts.clear()
            self._waiting = 0
            self._changed.notify()
        self._room.set()

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes, as soon as there are some; empty at the end. Blocks; for the thread."""
        with self._changed:
            self._changed.wait_for(lambda: self._parts or self._ended)
            if not self._parts:
                return b""
            part = self._parts.popleft()
            if len(part) > size:
                self._parts.appendleft(part[size:])
                part = part[:size]
            was_full = self._waiting > _MOST_BYTES
            self._waiting -= len(part)
            has_room = was_full and self._waiting <= _MOST_BYTES
        if has_room:
            try:
                self._loop.call_soon_threadsafe(self._room.set)
            except RuntimeError:
                pass  # the event loop is closed: nobody waits
        return part

    def _is_full(self) -> bool:
        with self._changed:
            return self._waiting > _MOST_BYTES and not self._ended
