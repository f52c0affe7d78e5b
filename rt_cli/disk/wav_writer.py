"""A WAV file that is valid after every write, with the captured audio sample for sample."""

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
"""Largest value of a size field. Readers take it as: the data goes on to the end of the file."""


class WavWriter:
    """A WAV file. :meth:`create` or the first :meth:`write` opens it.

    Args:
        path: Path of the file; an existing file is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None
        self._bytes = 0

    def create(self, rate_hz: int, *, replace: bool) -> None:
        """Create the file without audio.

        Raises:
            UsageError: The file cannot be written, or it is not empty and ``replace`` is False.
        """
        try:
            _refuse(self.path, replace=replace)
            self._begin(rate_hz)
        except OSError as exc:
            raise UsageError(f"cannot write {self.path}: {exc.strerror}", "save the sound elsewhere") from exc

    def write(self, pcm: bytes, rate_hz: int, *, at: int | None = None) -> None:
        """Append s16le mono audio and update the header. May block.

        Args:
            pcm: Whole samples.
            rate_hz: Samples per second; the same in every call.
            at: Position of the audio, in samples from the start of the file; silence fills the space before it. None
                appends at the end.

        Raises:
            OSError: The write failed. Earlier audio stays in the file.
        """
        file = self._file or self._begin(rate_hz)
        if at is not None and at * BYTES_PER_SAMPLE > self._bytes:
            # truncate() extends the file with zeros, which use no disk space on most systems.
            file.truncate(_HEADER.size + at * BYTES_PER_SAMPLE)
            self._bytes = at * BYTES_PER_SAMPLE
        file.seek(_HEADER.size + self._bytes)
        _write_all(file, pcm)
        self._bytes += len(pcm)
        file.seek(0)
        _write_all(file, _header(self._bytes, rate_hz))

    def close(self) -> None:
        """Close the file. Idempotent.

        Raises:
            OSError: The system could not write the last data.
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
    """Create a directory for recordings.

    Raises:
        UsageError: The directory cannot be created or is not writable.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".rt-probe"
        probe.touch()
        probe.unlink()
    except OSError as exc:
        raise UsageError(f"cannot write to {directory}: {exc.strerror}", "choose another directory") from exc
