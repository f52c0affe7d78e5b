"""Temporary files for samples that memory has no room for, written from a thread."""

from __future__ import annotations

import os
import threading
from typing import IO

FILE_BYTES = 1 << 26
"""Length at which a new file is started, so that deleting old files frees disk space."""


class SpillFile:
    """A temporary file of pieces. The file is deleted when its last piece is released."""

    def __init__(self) -> None:
        import tempfile

        self.end = 0
        self._pieces = 0
        self._lock = threading.Lock()
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="rt-tape-", buffering=0)  # noqa: SIM115 - lives as long as its pieces

    @property
    def full(self) -> bool:
        """Whether the next piece belongs into another file."""
        return self.end >= FILE_BYTES

    def add(self, data: bytes) -> int:
        """Write a piece and return its offset. If OSError is raised, the next write overwrites the partial piece."""
        _write_at(self._file, data, self.end)
        with self._lock:
            self._pieces += 1
        offset, self.end = self.end, self.end + len(data)
        return offset

    def read(self, offset: int, size: int) -> bytes:
        """Return a part of a piece. Does not wait for a write.

        Raises:
            OSError: The disk fails.
        """
        data = _read_at(self._file, size, offset)
        if len(data) < size:
            raise OSError(f"a temporary file gave {len(data)} of {size} bytes back")
        return data

    def release_piece(self) -> bool:
        """Release a piece. True if it was the last one, and the file is closed."""
        with self._lock:
            self._pieces -= 1
            last = not self._pieces
        if last:
            self._file.close()
        return last

    def close(self) -> None:
        """Close the file, if no piece of it is left to do so."""
        if not self._pieces:
            self._file.close()


if hasattr(os, "pwrite"):

    def _write_at(file: IO[bytes], data: bytes, offset: int) -> None:
        with memoryview(data) as left:
            written = 0
            # A nearly full disk first writes only a part; the next write raises the error.
            while written < len(left):
                written += os.pwrite(file.fileno(), left[written:], offset + written)

    def _read_at(file: IO[bytes], size: int, offset: int) -> bytes:
        return os.pread(file.fileno(), size, offset)

else:  # one position for both: a read waits for a write
    _lock = threading.Lock()

    def _write_at(file: IO[bytes], data: bytes, offset: int) -> None:
        with _lock, memoryview(data) as left:
            file.seek(offset)
            written = 0
            while written < len(left):
                written += file.write(left[written:])

    def _read_at(file: IO[bytes], size: int, offset: int) -> bytes:
        with _lock:
            file.seek(offset)
            return file.read(size)
