"""Write lines to a standard stream from a separate thread: a slow reader must not delay audio capture."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from typing import TextIO

DROPPABLE_LIMIT = 1_000
"""Waiting lines from which on droppable lines are dropped."""
DROPPABLE_BYTES = 1 << 20
"""The same, as memory."""
STATUS_BYTES = 1 << 22
"""Memory of the lines that wait for a stream with status or logs; further lines are left out and counted."""


class Backlog:
    """Decides which lines may wait, by the memory that waiting lines take. Pure.

    Args:
        limit_bytes: Memory from which on lines are left out and counted; None never leaves out a line.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._lines = 0
        self._missing = 0

    def takes(self, line: str, *, droppable: bool = False, needed: bool = False) -> bool:
        """Whether a line may wait; if so, it is counted as waiting.

        Args:
            line: The line.
            droppable: Later lines repeat its content.
            needed: It may wait whatever waits already.
        """
        if droppable and (self._lines >= DROPPABLE_LIMIT or self._bytes >= DROPPABLE_BYTES):
            return False
        if self._limit_bytes is not None and not needed and self._bytes >= self._limit_bytes:
            self._missing += 1
            return False
        self._lines += 1
        self._bytes += sys.getsizeof(line)
        return True

    def release(self, line: str) -> None:
        """Note that a line waits no more."""
        self._lines -= 1
        self._bytes -= sys.getsizeof(line)

    def take_note(self) -> str | None:
        """Return a line about the lines left out since the last call; None without any."""
        missing, self._missing = self._missing, 0
        return f"... {missing} lines left out: they came faster than they could be written" if missing else None


class _Raw(Protocol):
    """The part of an unbuffered file that :class:`Sink` uses."""

    def write(self, data: bytes, /) -> int | None: ...


class Sink:
    """The unbuffered file below a standard stream; UTF-8 in every locale.

    Does not use the stream's buffer: a thread that blocks in the buffer holds a lock that the interpreter needs at
    exit, and unwritten text in the buffer of a closed pipe causes a traceback at exit.

    Args:
        stream: ``sys.stdout``, ``sys.stderr`` or an open text file; None (closed before the start) fails at once.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        # A host program may replace sys.stdout by an object without a buffer, or with a buffer without a raw file.
        buffer = getattr(stream, "buffer", None)
        self._raw: _Raw | None = getattr(buffer, "raw", buffer)
        self._is_terminal = False  # read it now: isatty() is false after a hang-up
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                self._is_terminal = stream.isatty()
                stream.flush()

    def write(self, text: str) -> None:
        """Write all of ``text``. Blocks as long as the reader does.

        Raises:
            OSError: The reader has closed the stream, or the disk is full.
            ValueError: This process has closed the stream.
        """
        if self._stream is None:
            raise BrokenPipeError(errno.EPIPE, "closed before the start")
        if self._raw is None:
            self._stream.write(text)
            self._stream.flush()
            return
        rest = text.encode("utf-8", "backslashreplace")
        while rest:
            written = self._raw.write(rest)
            if written is None:  # another program made the shared descriptor non-blocking
                select.select([], [self._stream], [])
            else:
                rest = rest[written:]

    def lost_its_reader(self, error: Exception) -> bool:
        """Return whether ``error``, raised by :meth:`write`, only means that the reader has closed the stream."""
        if isinstance(error, BrokenPipeError | ConnectionResetError | ValueError):
            return True
        number = error.errno if isinstance(error, OSError) else None
        if number == errno.EINVAL:  # a closed pipe on Windows
            return sys.platform == "win32"
        return number == errno.EIO and self._is_terminal

    def discard(self) -> None:
        """Redirect the descriptor to the null device, so that a write at exit cannot fail."""
        if self._stream is None:
            return
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(null, self._stream.fileno())
            finally:
                os.close(null)


def write_texts(stream: TextIO | None, texts: Iterable[str], what: str) -> None:
    """Write texts at once, until the reader closes the stream.

    Args:
        stream: See :class:`Sink`.
        texts: Each with its line ends.
        what: Names the texts in an error, as *the help*.

    Raises:
        UsageError: They cannot be written, for example to a full disk.
    """
    sink = Sink(stream)
    for text in texts:
        try:
            sink.write(text)
        except (OSError, ValueError) as exc:
            if not sink.lost_its_reader(exc):
                raise UsageError(f"cannot write {what}: {exc}", "make room, or write elsewhere") from exc
            sink.discard()
            return


OnWritten = Callable[[], None] | None
"""Callback after a line was written, or is lost."""


class LineWriter:
    """Owns a stream and writes whole lines in order.

    The queue has no limit, because results must not be lost and capture must not wait: an hour of speech is about
    60 kB of lines. Partials, which could grow without limit, are *droppable*: they do have a limit. A stream of status
    lines has one for all lines.

    Args:
        stream: Destination of the lines; see :class:`Sink`.
        on_broken: Called once, on the writer's thread, when the reader has closed the stream (``failure`` is None) or a
            write failed (``failure`` is set). Meant for ``call_soon_threadsafe``.
        limit_bytes: Memory of waiting lines from which on further lines are left out and counted; None for no limit.
    """

    def __init__(self, stream: TextIO | None, *, on_broken: Callable[[], None], limit_bytes: int | None = None) -> None:
        self.failure: OSError | None = None
        """The error of a failed write, for example a full disk; None if the reader closed the stream."""
        self._sink = Sink(stream)
        self._on_broken = on_broken
        self._lines: deque[tuple[str, OnWritten, OnWritten]] = deque()
        self._writing: OnWritten = None
        """What to call if the line that is being written is lost."""
        self._idle = True
        self._backlog = Backlog(limit_bytes)
        self._changed = threading.Condition()
        self._broken = False
        self._closing = False
        # A daemon thread: a reader that never reads must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="rt-writer", daemon=True)
        self._thread.start()

    @property
    def broken(self) -> bool:
        """Whether the stream is closed or has failed; later lines are discarded."""
        return self._broken

    def write(
        self,
        line: str,
        *,
        droppable: bool = False,
        needed: bool = False,
        on_written: OnWritten = None,
        on_lost: OnWritten = None,
    ) -> None:
        """Queue a line. Returns at once; never raises; any thread may call it.

        Args:
            line: Text without line ends. Lone surrogates are written as escapes.
            droppable: Drop the line while many wait: later lines repeat its content.
            needed: Keep the line whatever waits.
            on_written: Called on the writer's thread after the line was written; must not raise.
            on_lost: Called, at once or on the writer's thread, if the stream is closed or has failed; must not raise.
        """
        with self._changed:
            broken = self._broken
            if not broken and not self._closing and self._backlog.takes(line, droppable=droppable, needed=needed):
                self._lines.append((line, on_written, on_lost))
                self._changed.notify()
        if broken and on_lost is not None:
            on_lost()

    def flush(self, deadline_s: float) -> bool:
        """Wait until no line waits. Blocks.

        Args:
            deadline_s: Maximum time, seconds.

        Returns:
            True if no line waits any more.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._lines and self._idle, deadline_s)

    def give_up(self) -> None:
        """Wait no longer for the reader: the lines that wait are lost, and all later ones. Any thread may call it."""
        with self._changed:
            self._broken = True
            lost = [self._writing, *(on_lost for _line, _on_written, on_lost in self._lines)]
            self._writing = None
            self._lines.clear()
        for call in lost:
            if call is not None:
                call()

    def close(self, deadline_s: float | None = None) -> bool:
        """Write the waiting lines and end the thread. Blocks; idempotent.

        Args:
            deadline_s: Maximum time, seconds; None waits without limit.

        Returns:
            True if no line waits any more; False if lines were given up at the deadline.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(deadline_s)
        return not self._thread.is_alive()

    def check(self) -> None:
        """Check for a failed write; call after :meth:`close`. A reader that closed the stream is not a failure.

        Raises:
            UsageError: Lines could not be written.
        """
        if self.failure is not None:
            raise UsageError(f"cannot write the output: {self.failure.strerror}", "make room, or write elsewhere")

    def _run(self) -> None:
        while (waiting := self._next()) is not None:
            line, on_written = waiting
            try:
                self._sink.write(line + "\n")
            except (OSError, ValueError) as error:
                self._fail(error)
                return
            if on_written is not None:
                on_written()

    def _next(self) -> tuple[str, OnWritten] | None:
        with self._changed:
            self._writing, self._idle = None, True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._lines or self._closing)
            if not self._lines:
                return (note, None) if (note := self._backlog.take_note()) is not None else None
            line, on_written, self._writing = self._lines.popleft()
            self._idle = False
            self._backlog.release(line)
            if len(self._lines) == 0 and (note := self._backlog.take_note()) is not None:
                line = f"{line}\n{note}"
            return line, on_written

    def _fail(self, error: OSError | ValueError) -> None:
        if self._sink.lost_its_reader(error):
            self._sink.discard()
        elif isinstance(error, OSError):
            self.failure = error
        self.give_up()
        with self._changed:
            self._idle = True
            self._changed.notify_all()
        # RuntimeError: the event loop is already closed, so no callback is needed.
        with contextlib.suppress(RuntimeError):
            self._on_broken()
