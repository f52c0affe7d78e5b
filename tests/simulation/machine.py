"""The machine that the program believes to run on: clocks, threads, signals, stdio, disk, microphone.

:func:`install` replaces parts of the standard library, for good, before ``rt_cli`` is imported: only for a process that
does nothing but simulate.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import logging
import os
import queue
import random
import signal
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import greenlet

from tests.simulation import threads
from tests.simulation.threads import world
from tests.simulation.world import Parking, Violation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.simulation.sound import Sound
    from tests.simulation.world import World

SIGNALS: dict[int, Callable[..., object]] = {}
"""The handlers of the present process."""


class Exited(BaseException):
    """The program called ``os._exit``."""


def install() -> None:
    """Put the machine in the place of the real one."""
    threading.Thread = threads.Thread  # type: ignore[misc,assignment]
    threading.Timer = threads.Timer  # type: ignore[misc,assignment]
    threading.Lock = threads.Lock  # type: ignore[assignment]
    threading.Condition = threads.Condition  # type: ignore[misc,assignment]
    queue.SimpleQueue = threads.SimpleQueue  # type: ignore[misc,assignment]
    time.monotonic = lambda: world().now
    time.perf_counter = lambda: world().now
    time.time = lambda: world().time()
    time.clock_gettime = lambda clock: world().now + (world().asleep if clock == time.CLOCK_BOOTTIME else 0.0)
    signal.signal = _set_signal  # type: ignore[assignment]
    signal.getsignal = lambda number: SIGNALS.get(number, signal.SIG_DFL)  # type: ignore[assignment,return-value]
    signal.set_wakeup_fd = lambda *_args, **_options: -1  # type: ignore[assignment]
    gc.enable = lambda: None  # when garbage is collected is no part of a seed
    os._exit = _exit  # type: ignore[assignment]
    os.environ.clear()
    os.environ.update(HOME="/nonexistent", PATH="/usr/bin:/bin", TERM="dumb", RT_CONFIG="/dev/null")
    sys.unraisablehook = lambda _unraisable: None  # what a killed process leaves complains when it is collected
    logging.raiseExceptions = False
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")
    asyncio.events.new_event_loop = _no_loop  # type: ignore[assignment]
    _replace_parts()


def _replace_parts() -> None:
    """Replace what the program reaches hardware and models by, before others import the names."""
    from rt_cli.audio.microphone import reconnecting
    from rt_cli.audio.speech import vad
    from rt_cli.disk import outfile
    from tests.exact import ExactDetector

    vad.SpeechDetector = ExactDetector  # type: ignore[misc,assignment]
    reconnecting.open_reconnecting = open_microphone  # type: ignore[assignment]
    open_raw = outfile.open_raw

    def open_simulated(*args: Any, **options: Any) -> DiskFile:
        with open_raw(*args, **options) as file:
            return Disk.present.file(os.dup(file.fileno()))

    outfile.open_raw = open_simulated


def _no_loop() -> asyncio.AbstractEventLoop:
    raise Violation("an event loop outside a run")


def _set_signal(number: int, handler: Any) -> Any:
    before = SIGNALS.get(number, signal.SIG_DFL)
    SIGNALS[number] = handler
    return before


def _exit(code: int) -> None:
    raise Exited(code)


def send_signal(number: int) -> None:
    """Send the process a signal: its handler runs at once, in the main thread."""
    handler = SIGNALS.get(number)
    world().note(f"signal {signal.Signals(number).name}")
    if callable(handler):
        handler(number, None)


# -- disk -------------------------------------------------------------------------------------------------------------


class Disk:
    """The disk: a folder in memory, whose writes may be slow, refused, or cut in the middle by a kill."""

    present: Disk

    def __init__(self, world: World) -> None:
        self.world = world
        self.slow_s = 0.0
        """Seconds that a write takes."""
        self.full = 0
        """Faults that leave no room now."""
        self.torn = 0.0
        """Share of a write that is on disk before the rest."""
        self._files: list[DiskFile] = []

    def file(self, descriptor: int) -> DiskFile:
        """Return a file of this disk."""
        self._files.append(DiskFile(self, descriptor))
        return self._files[-1]

    def close(self) -> list[str]:
        """Close what a process has left open, as its end does. Return the names."""
        left = [file for file in self._files if not file.closed]
        names = [os.readlink(f"/proc/self/fd/{file.fileno()}").rpartition("/")[2] for file in left]
        for file in left:
            file.close()
        self._files.clear()
        return names


class DiskFile(io.FileIO):
    """A file of the disk."""

    def __init__(self, disk: Disk, descriptor: int) -> None:
        super().__init__(descriptor, "wb")
        self._disk = disk

    def write(self, data: Any) -> int:
        """Write; blocks as long as the disk takes."""
        disk, size = self._disk, len(data)
        if disk.world.dead:
            raise greenlet.GreenletExit
        if disk.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if not disk.slow_s:
            return super().write(data)
        first = int(size * disk.torn)
        super().write(bytes(data[:first]))
        disk.world.sleep(disk.slow_s)
        if disk.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(bytes(data[first:]))
        return size


# -- stdio ------------------------------------------------------------------------------------------------------------

PIPE_BYTES = 65_536


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


class Stdin:
    """``sys.stdin``: sound from another program, as it comes, or as fast as it is read."""

    closed = False

    def __init__(self, world: World, pcm: bytes, *, live: bool) -> None:
        self.buffer = self
        self._world, self._pcm, self._live = world, pcm, live
        self._began, self._at = world.now + world.asleep, 0

    def isatty(self) -> bool:
        """It is a pipe."""
        return False

    def fileno(self) -> int:
        """There is no descriptor."""
        raise io.UnsupportedOperation

    def read(self, size: int) -> bytes:
        """Return what is there; waits for the next sound."""
        if self._live:
            size = min(size, 4_800)
            due = self._began + (self._at + size) / 48_000
            if (wait := due - self._world.now - self._world.asleep) > 0 and self._at < len(self._pcm):
                self._world.sleep(wait)
        piece = self._pcm[self._at : self._at + size]
        self._at += len(piece)
        return piece


# -- microphone -------------------------------------------------------------------------------------------------------


class Microphone:
    """A live source that may lose sound."""

    present: Microphone

    def __init__(self, world: World, sound: Sound) -> None:
        from rt_cli.audio.source import SourceInfo

        self.info = SourceInfo("simulated microphone", "microphone", True, 24_000, 1)
        self.lost_until = -1.0
        """Monotonic time until which the device loses all sound."""
        self._world, self._pcm = world, sound.pcm
        self._stopped = asyncio.Event()

    async def blocks(self) -> AsyncIterator[Any]:
        """Yield the sound as time goes by."""
        from rt_cli.audio.source import Block

        world, began, at, lost = self._world, self._world.now, 0, 0
        while at < len(self._pcm) and not self._stopped.is_set():
            size = min(4_800, len(self._pcm) - at)
            wait = began + (at + size) / 48_000 - world.now
            if wait > 0:
                await asyncio.sleep(wait)
            if world.now < self.lost_until:
                lost += size // 2
            else:
                yield Block(self._pcm[at : at + size], lost, "device_lost")
                lost = 0
            at += size
        if lost:
            yield Block(b"", lost, "device_lost")

    def stop(self) -> None:
        """End."""
        self._stopped.set()

    async def aclose(self) -> None:
        """Nothing to close."""


async def open_microphone(*_: Any, **__: Any) -> Microphone:
    """Open the simulated one."""
    return Microphone.present


# -- the process ------------------------------------------------------------------------------------------------------


def run_program(
    world: World, argv: list[str], stdin: Stdin | None, stdout: Reader, stderr: Reader, make_loop: Callable[[], Any]
) -> int | None:
    """Run ``rt`` to its end. Returns its exit code; None if it was killed.

    Raises:
        Violation: It waits for ever, or never waits.
    """
    from rt_cli.__main__ import main
    from tests.simulation.world import Killed

    threads.Present.world = world
    SIGNALS.clear()
    random.seed(world.random.random())
    sys.argv = ["rt", *argv]
    real = sys.stdin, sys.stdout, sys.stderr, asyncio.events.new_event_loop
    sys.stdin, sys.stdout, sys.stderr = stdin, Stream(stdout), Stream(stderr)  # type: ignore[assignment]
    asyncio.events.new_event_loop = make_loop  # type: ignore[assignment]
    try:
        return main()
    except SystemExit as exc:
        return int(exc.code or 0)
    except Exited as exc:
        return int(exc.args[0])
    except Killed:
        return None
    finally:
        sys.stdin, sys.stdout, sys.stderr, asyncio.events.new_event_loop = real  # type: ignore[assignment]
        world.loop = None


def write_wav(path: Path, pcm: bytes) -> None:
    """Write a WAV file at 24 kHz."""
    head = b"RIFF" + (36 + len(pcm)).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\1\0\1\0"
    head += (24_000).to_bytes(4, "little") + (48_000).to_bytes(4, "little") + b"\2\0\x10\0data"
    path.write_bytes(head + len(pcm).to_bytes(4, "little") + pcm)
