"""Sound as it came, sample for sample, as a WAV file that is whole at any time."""

from __future__ import annotations

import stat
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


class WavWriter:
    """A WAV file that begins with :meth:`create` or with the first audio.

    Args:
        path: To be written; an older file is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None
        self._bytes = 0

    def create(self, rate_hz: int, *, replace: bool) -> None:
        """Begin with a file that holds no sound.

        Raises:
            UsageError: It cannot be written, or it is there and not empty and must not be replaced.
        """
        try:
            _refuse(self.path, replace=replace)
            self._begin(rate_hz)
        except OSError as exc:
            raise UsageError(f"cannot write {self.path}: {exc.strerror}", "save the sound elsewhere") from exc

    def write(self, pcm: bytes, rate_hz: int, *, at: int | None = None) -> None:
        """Append s16le mono at ``rate_hz``, which must not change; the header is right afterwards. May block.

        Args:
            pcm: Whole samples.
            rate_hz: Samples per second.
            at: Its place, samples from the beginning; silence takes the room before it. None: at the end.

        Raises:
            OSError: The file cannot be written; what was written stays.
        """
        file = self._file or self._begin(rate_hz)
        if at is not None and at * BYTES_PER_SAMPLE > self._bytes:
            # What a file is lengthened by is zeros, and costs no disk on most systems.
            file.truncate(_HEADER.size + at * BYTES_PER_SAMPLE)
            self._bytes = at * BYTES_PER_SAMPLE
        file.seek(_HEADER.size + self._bytes)
        _write_all(file, pcm)
        self._bytes += len(pcm)
        file.seek(0)
        _write_all(file, _header(self._bytes, rate_hz))

    def close(self) -> None:
        """Let go of the file. Idempotent.

        Raises:
            OSError: The last of it could not be written.
        """
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _begin(self, rate_hz: int) -> FileIO:
        self._file = self.path.open("wb", buffering=0)
        _write_all(self._file, _header(0, rate_hz))
        return self._file


def _refuse(path: Path, *, replace: bool) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode):
        raise UsageError(f"{path} is a pipe: a WAV file is written in two places", "save the sound to a file")
    if stat.S_ISREG(found.st_mode) and found.st_size and not replace:
        raise UsageError(f"{path} exists", "choose another name, or --force to replace it")


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
