"""stdout and stderr: pipes, and whoever reads them."""

from __future__ import annotations

import errno
import io
import os
from typing import TYPE_CHECKING

import greenlet

from tests.simulation.machine.world import Parking

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.machine.world import World

PIPE_BYTES = 1_024
"""Room in the pipe: few, so that a slow reader is felt."""


class Reader:
    """The program at the other end of stdout or stderr.

    Args:
        world: Where it is.
        rate: Bytes per second that it reads.
    """

    def __init__(self, world: World, rate: float) -> None:
        self.world, self.rate = world, rate
        self.taken = bytearray()
        """All bytes that the pipe has taken."""
        self.gone = False
        self.gone_at = 0.0
        self.stopped = 0
        """Faults that keep it from reading now."""
        self.on_write: Callable[[], None] = lambda: None
        self._in_pipe = 0.0
        self._since = world.now
        self._room = Parking()

    def write(self, data: bytes) -> int:
        """Write into the pipe; blocks while it is full."""
        while True:
            if self.world.dead:
                raise greenlet.GreenletExit
            if self.gone:
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
            self._drain()
            room = int(PIPE_BYTES - self._in_pipe)
            if room > 0:
                break
            self._room.park(self.world, 1.0 if self.stopped else max(0.001, PIPE_BYTES / 2 / self.rate))
        part = bytes(data[:room])
        self.taken += part
        self._in_pipe += len(part)
        self.on_write()
        return len(part)

    def leave(self) -> None:
        """Close the pipe."""
        self.gone, self.gone_at = True, self.world.now
        self._room.wake()

    def stop(self, stopped: int) -> None:
        """Read no more, or again."""
        self._drain()
        self.stopped += stopped
        self._room.wake()

    def _drain(self) -> None:
        if not self.stopped:
            self._in_pipe = max(0.0, self._in_pipe - (self.world.now - self._since) * self.rate)
        self._since = self.world.now


class Stream:
    """``sys.stdout`` or ``sys.stderr``: the text layer over a pipe."""

    encoding, errors, closed = "utf-8", "backslashreplace", False

    def __init__(self, reader: Reader) -> None:
        self.buffer = _Buffer(reader)

    def write(self, text: str) -> int:
        """Write all of a text."""
        rest = text.encode("utf-8", "backslashreplace")
        while rest:
            rest = rest[self.buffer.raw.write(rest) :]
        return len(text)

    def flush(self) -> None:
        """Nothing waits here."""

    def isatty(self) -> bool:
        """It is a pipe."""
        return False

    def fileno(self) -> int:
        """There is no descriptor."""
        raise io.UnsupportedOperation


class _Buffer:
    def __init__(self, reader: Reader) -> None:
        self.raw = reader
