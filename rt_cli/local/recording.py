"""What a session received, sample for sample, as a WAV file that is whole at any time."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_PCM = 1
_LARGEST = 0xFFFF_FFFF
"""What a size field can say; readers take a file that claims it as going on to its end."""


class Recording:
    """A WAV file that begins with the first audio.

    Args:
        path: To be written; an older file is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None
        self._bytes = 0

    def write(self, pcm: bytes, rate_hz: int) -> None:
        """Append s16le mono at ``rate_hz``, which must not change; the header is right afterwards. May block.

        Raises:
            OSError: The file cannot be written; what was written stays.
        """
        if self._file is None:
            self._file = self.path.open("wb", buffering=0)
            _write_all(self._file, _header(0, rate_hz))
        _write_all(self._file, pcm)
        self._bytes += len(pcm)
        end = self._file.tell()
        self._file.seek(0)
        _write_all(self._file, _header(self._bytes, rate_hz))
        self._file.seek(end)

    def close(self) -> None:
        """Let go of the file. Idempotent.

        Raises:
            OSError: The last of it could not be written.
        """
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _write_all(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _header(data_bytes: int, rate_hz: int) -> bytes:
    return _HEADER.pack(
        *(b"RIFF", min(data_bytes + _HEADER.size - 8, _LARGEST), b"WAVE"),
        *(b"fmt ", 16, _PCM, 1, rate_hz, rate_hz * BYTES_PER_SAMPLE, BYTES_PER_SAMPLE, 8 * BYTES_PER_SAMPLE),
        *(b"data", min(data_bytes, _LARGEST)),
    )


def prepare(directory: Path) -> None:
    """Create a directory for recordings; raise UsageError where nothing can be written there."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".rt-probe"
        probe.touch()
        probe.unlink()
    except OSError as exc:
        raise UsageError(f"cannot write to {directory}: {exc.strerror}", "choose another directory") from exc
