"""A WAV stream on stdout, written from a thread that never holds up the loop."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from rt_cli.disk.serial_thread import SerialThread
from rt_cli.disk.wav_writer import wav_header
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

_MOST_WAITING_BYTES = 64 * 1024 * 1024
_LAST_WRITES_S = 2.0


class WavStream:
    """A WAV stream of unknown length on stdout. No method blocks or raises, but for ``close``.

    Args:
        rate_hz: Of the audio.
        name: What it is, for people.
        on_closed: Called on another thread when the reader is gone.
    """

    def __init__(self, rate_hz: int, name: str, on_closed: Callable[[], None]) -> None:
        self.error: UsageError | None = None
        """The reader is too slow. One that leaves is no error."""
        self._name = name
        self._on_closed = on_closed
        self._lock = threading.Lock()
        self._waiting = 0
        self._stream: BinaryIO | None = None if sys.stdout is None else sys.stdout.buffer
        self._thread = SerialThread("rt-wav")
        self.write(wav_header(None, rate_hz))

    def write(self, data: bytes) -> None:
        """Append int16 audio, mono. Beyond 64 MiB that wait for the reader, nothing more is written."""
        with self._lock:
            self._waiting += len(data)
        if self._waiting > _MOST_WAITING_BYTES and self.error is None:
            message = f"the reader of the {self._name} is too slow"
            self.error = UsageError(message, "write it to a file", code="too_slow")
        if self.error is None:
            self._thread.do(lambda: self._write_now(data))

    def close(self) -> None:
        """Write what is left, for two seconds at most. Blocks."""
        self._thread.close(_LAST_WRITES_S)

    def _write_now(self, data: bytes) -> None:
        with self._lock:
            self._waiting -= len(data)
        if self._stream is None:
            return
        try:
            self._stream.write(data)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None
            self._on_closed()
