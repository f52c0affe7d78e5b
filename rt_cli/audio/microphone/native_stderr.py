"""Sends the stderr output of C libraries to the debug log instead of the user's terminal.

PortAudio, ALSA and JACK print when they start, when they open a device and, from their own threads, when a device
disappears. On glibc the C ``stderr`` is a variable, which this module points at a pipe for the rest of the process.
File descriptor 2, and so Python's stderr, stays as it is. On other systems :func:`off_stderr` redirects descriptor 2
while its block runs.
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
    """A pipe for the output of native code. Printing never blocks; text that does not fit into the pipe is lost."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._lock = threading.Lock()
        self._depth = 0
        self._saved = -1
        self._partial = b""
        self._stdio_adopted = False

    def adopt_stdio(self) -> bool:
        """Point the C library's ``stderr`` at the pipe for the rest of the process. False if that is not possible."""
        with self._lock:
            if not self._stdio_adopted and _is_glibc():
                _point_c_stderr_at(self._write)
                self._stdio_adopted = True
            return self._stdio_adopted

    @contextmanager
    def redirect(self) -> Iterator[None]:
        """Redirect descriptor 2, process-wide, until the last of all concurrent blocks ends."""
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
        """Log the text printed so far to ``rt.portaudio``, line by line, at debug level. Never blocks."""
        with self._lock:
            text = self._partial + self._read_pipe()
            *lines, self._partial = text.split(b"\n")
        for line in lines:
            _log.debug("%s", line.decode(errors="replace").rstrip())

    def _read_pipe(self) -> bytes:
        try:
            return os.read(self._read, _PIPE_BYTES)
        except BlockingIOError:
            return b""


def _is_glibc() -> bool:
    """True on glibc. Elsewhere ``stderr`` is a constant (musl) or has another name (macOS, Windows)."""
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


_instance: NativeStderr | None = None


def _shared() -> NativeStderr:
    global _instance  # noqa: PLW0603  # the C library has one stderr per process
    if _instance is None:
        _instance = NativeStderr()
    return _instance


@contextmanager
def off_stderr() -> Iterator[None]:
    """Keep native output off the user's stderr at least until the block ends, then write it to the debug log."""
    capture = _shared()
    try:
        if capture.adopt_stdio():
            yield
        else:
            with capture.redirect():
                yield
    finally:
        capture.log()


def log_native_stderr() -> None:
    """Write native output from outside of :func:`off_stderr` to the debug log. Never blocks."""
    if _instance is not None:
        _instance.log()
