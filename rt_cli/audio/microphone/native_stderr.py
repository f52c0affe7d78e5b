"""What C libraries print on stderr goes to the debug log, not to the user.

PortAudio, ALSA and JACK print when they start, when they open a device and, from a thread of their own, when one
disappears. On glibc their ``stderr`` is a variable: it is pointed at a pipe, once and for good, which leaves file
descriptor 2, and so Python's own stderr, alone. Elsewhere descriptor 2 itself is redirected while :func:`off_stderr`
lasts.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger("rt.portaudio")

_STDERR = 2
_UNBUFFERED = 2  # _IONBF of glibc's stdio.h
_PIPE_BYTES = 65536


class NativeStderr:
    """A pipe that native code prints into. What does not fit between two readings is gone; printing never blocks."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._lock = threading.Lock()
        self._depth = 0
        self._saved = -1
        self._partial = b""
        self._adopted = False

    def adopt_stdio(self) -> bool:
        """Point the C library's ``stderr`` at the pipe for the rest of the process; False where that is impossible."""
        with self._lock:
            if not self._adopted and _is_glibc():
                _point_c_stderr_at(self._write)
                self._adopted = True
            return self._adopted

    @contextmanager
    def redirected(self) -> Iterator[None]:
        """Redirect descriptor 2, process-wide; the outermost of several goes in first and out last, in any order."""
        with self._lock:
            if self._depth == 0:
                self._saved = os.dup(_STDERR)
                os.dup2(self._write, _STDERR)
            self._depth += 1
        try:
            yield
        finally:
            with self._lock:
                self._depth -= 1
                if self._depth == 0:
                    os.dup2(self._saved, _STDERR)
                    os.close(self._saved)

    def log(self) -> None:
        """Hand what was printed so far to the logger ``rt.portaudio``, line by line, at debug level. Never blocks."""
        with self._lock:
            text = self._partial + self._printed()
            *lines, self._partial = text.split(b"\n")
        for line in lines:
            _log.debug("%s", line.decode(errors="replace").rstrip())

    def _printed(self) -> bytes:
        try:
            return os.read(self._read, _PIPE_BYTES)
        except BlockingIOError:
            return b""


def _is_glibc() -> bool:
    """Elsewhere ``stderr`` is a constant (musl) or has another name (macOS, Windows)."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):
        return False


def _point_c_stderr_at(descriptor: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None)
    libc.fdopen.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(libc.fdopen(descriptor, b"w"))
    if stream.value is None:
        raise OSError("fdopen of a pipe failed")
    libc.setvbuf(stream, None, _UNBUFFERED, 0)
    ctypes.c_void_p.in_dll(libc, "stderr").value = stream.value


_noise: NativeStderr | None = None


def _shared() -> NativeStderr:
    global _noise  # noqa: PLW0603  # the C library's stderr is one per process too
    if _noise is None:
        _noise = NativeStderr()
    return _noise


@contextmanager
def off_stderr() -> Iterator[None]:
    """Keep native noise off the user's stderr, at the least until the block ends; then hand it to the debug log."""
    noise = _shared()
    try:
        if noise.adopt_stdio():
            yield
        else:
            with noise.redirected():
                yield
    finally:
        noise.log()


def log_noise() -> None:
    """Hand what was printed outside of :func:`off_stderr` to the debug log. Never blocks."""
    if _noise is not None:
        _noise.log()
