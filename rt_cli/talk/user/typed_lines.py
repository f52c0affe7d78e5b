"""LineSource that the user types, or pipes in: read on a thread, because a read of stdin cannot be cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from rt_cli.protocol.sanitize import whole_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

LONGEST_LINE_BYTES = 64 * 1024
_MOST_WAITING = 64


class LineSource(Protocol):
    """LineSource, one after the other."""

    @property
    def interactive(self) -> bool:
        """Whether a person types them, and may interrupt."""
        ...

    @property
    def ended(self) -> bool:
        """Whether no line follows those that wait."""
        ...

    @property
    def waiting(self) -> bool:
        """Whether there is a line."""
        ...

    def take(self) -> str:
        """Return the next line, without its end."""
        ...


class GivenLines:
    """LineSource that are known.

    Args:
        lines: The lines.
    """

    interactive = False
    ended = True

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = deque(lines)

    @property
    def waiting(self) -> bool:
        """Whether there is a line."""
        return bool(self._lines)

    def take(self) -> str:
        """Return the next line."""
        return self._lines.popleft()


class TypedLines:
    """The lines that nobody has taken yet. Made in the running loop.

    Args:
        stream: Read until its end; never closed.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.ended = False
        """The stream has ended."""
        self.interactive = stream.isatty()
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._lines: deque[str] = deque()
        self._answer: asyncio.Future[str] | None = None
        """Gets the next line instead."""
        self._room = threading.Semaphore(_MOST_WAITING)
        # A daemon thread: the end of the program does not wait for a line.
        threading.Thread(target=self._read, name="rt-lines", daemon=True).start()

    @property
    def waiting(self) -> bool:
        """Whether there is a line."""
        return bool(self._lines)

    def take(self) -> str:
        """Return the next line, without its end."""
        self._room.release()
        return self._lines.popleft()

    async def next_line(self) -> str:
        """Return the next line that is typed, which is then no line of the conversation; empty at the end of all.

        One caller at a time. Safe to cancel.
        """
        if self.ended:
            return ""
        self._answer = self._loop.create_future()
        return await self._answer

    def _read(self) -> None:
        with suppress(RuntimeError):  # the loop may have closed first
            try:
                while line := self._stream.readline(LONGEST_LINE_BYTES):
                    self._room.acquire()
                    text = whole_text(line.decode("utf-8", "replace")).strip()
                    self._loop.call_soon_threadsafe(self._add, text)
            except (OSError, ValueError):
                pass  # a stream that fails or is closed has ended
            self._loop.call_soon_threadsafe(self._end)

    def _add(self, text: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(text)
            self._room.release()
        elif text:
            self._lines.append(text)
        else:
            self._room.release()

    def _end(self) -> None:
        self.ended = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_result("")
