"""Lines to a standard stream, from a thread of its own: a slow reader must not slow the capture of sound."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from typing import TextIO

PASSING_LIMIT = 1_000
"""Lines that may wait before passing ones are left out."""


class _Raw(Protocol):
    """The part of an unbuffered file that is used here."""

    def write(self, data: bytes, /) -> int | None: ...


class Sink:
    """The unbuffered end of a standard stream; UTF-8 whatever the locale says.

    Not through the stream itself: a thread that blocks inside its buffer holds a lock that the interpreter wants at
    exit, and what stays in the buffer of a closed pipe is a traceback at exit.

    Args:
        stream: ``sys.stdout``, ``sys.stderr`` or an open text file; None (closed before we began) breaks at once.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        # What a host program puts in the place of sys.stdout need not have a buffer, nor a buffer a raw end.
        buffer = getattr(stream, "buffer", None)
        self._raw: _Raw | None = getattr(buffer, "raw", buffer)
        self._is_terminal = False  # asked now: one that hung up denies it
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                self._is_terminal = stream.isatty()
                stream.flush()

    def write(self, text: str) -> None:
        """Write all of ``text``, however long the reader takes.

        Raises:
            OSError: The reader is gone, or the disk is full.
            ValueError: The stream was closed on our side.
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
        """Whether ``error``, raised by :meth:`write`, only says that nobody reads any more."""
        if isinstance(error, BrokenPipeError | ConnectionResetError | ValueError):
            return True
        number = error.errno if isinstance(error, OSError) else None
        if number == errno.EINVAL:  # a closed pipe on Windows
            return sys.platform == "win32"
        return number == errno.EIO and self._is_terminal

    def discard(self) -> None:
        """Let the descriptor lead nowhere, so that nothing written to it at exit can fail."""
        if self._stream is None:
            return
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, self._stream.fileno())
            finally:
                os.close(nowhere)


Written = Callable[[], None] | None
"""What is called when a line has been written."""


class LineWriter:
    """Owns a stream: whole lines, in order, each written as soon as the reader takes it.

    Lines wait in memory without a limit, because results must not be lost and capture must not wait: an hour of
    speech is about 60 kB of them. What could grow, the partials, is *passing* and does have a limit.

    Args:
        stream: Where the lines go; see :class:`Sink`.
        on_broken: Called once, on the writer's thread, when the reader is gone or writing failed; ``failure`` tells
            which. Meant for ``call_soon_threadsafe``.
    """

    def __init__(self, stream: TextIO | None, *, on_broken: Callable[[], None]) -> None:
        self.failure: OSError | None = None
        """Why lines could not be written, if it was not the reader who left: a full disk, for one."""
        self._sink = Sink(stream)
        self._on_broken = on_broken
        self._lines: deque[tuple[str, Written]] = deque()
        self._changed = threading.Condition()
        self._broken = False
        self._closing = False
        # A daemon: a reader that never reads must not keep the process.
        self._thread = threading.Thread(target=self._run, name="rt-writer", daemon=True)
        self._thread.start()

    @property
    def broken(self) -> bool:
        """Whether the stream is gone; what is written then is swallowed."""
        return self._broken

    def write(self, line: str, *, passing: bool = False, written: Written = None) -> None:
        """Hand over a line, without its line end. Returns at once; never raises; any thread may call it.

        Args:
            line: Text without line ends. Lone surrogates are written as escapes.
            passing: Later lines will say the same and more; leave it out while many wait.
            written: Called on the writer's thread when the reader's end has the line; must not raise.
        """
        with self._changed:
            if self._broken or self._closing or (passing and len(self._lines) >= PASSING_LIMIT):
                return
            self._lines.append((line, written))
            self._changed.notify()

    def close(self, deadline_s: float | None = None) -> bool:
        """Write what waits and end. Blocks; idempotent.

        Args:
            deadline_s: Seconds that the reader may take; None waits for ever.

        Returns:
            Whether nothing waits any more. If not, it is given up.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(deadline_s)
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raise UsageError if lines could not be written; that the reader left is no failure. After :meth:`close`."""
        if self.failure is not None:
            raise UsageError(f"cannot write the output: {self.failure.strerror}", "make room, or write elsewhere")

    def _run(self) -> None:
        while (waiting := self._next()) is not None:
            line, written = waiting
            try:
                self._sink.write(line + "\n")
            except (OSError, ValueError) as error:
                self._give_up(error)
                return
            if written is not None:
                written()

    def _next(self) -> tuple[str, Written] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closing)
            return self._lines.popleft() if self._lines else None

    def _give_up(self, error: OSError | ValueError) -> None:
        gone = self._sink.lost_its_reader(error)
        if gone:
            self._sink.discard()
        elif isinstance(error, OSError):
            self.failure = error
        with self._changed:
            self._broken = True
            self._lines.clear()
        # The event loop may have closed first: then nobody is left to be told.
        with contextlib.suppress(RuntimeError):
            self._on_broken()
