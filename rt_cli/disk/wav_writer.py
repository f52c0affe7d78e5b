"""A WAV file that is valid after every write, with the given audio sample for sample."""

from __future__ import annotations

import stat
import struct
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.disk.outfile import cannot_write, open_outfile, open_raw, write_all
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
        channels: Interleaved in the audio; positions count frames.
    """

    def __init__(self, path: Path, *, channels: int = 1) -> None:
        self.path = path
        self._channels = channels
        self._frame = channels * BYTES_PER_SAMPLE
        self._file: FileIO | None = None
        self._bytes = 0

    def create(self, rate_hz: int, *, replace: bool) -> None:
        """Create the file without audio.

        Raises:
            UsageError: The file cannot be written, or it is not empty and ``replace`` is False.
        """
        hint = "save the sound elsewhere"
        if _is_pipe(self.path):
            raise UsageError(f"{self.path} is a pipe: a WAV file is written in two places", "save the sound to a file")
        file = open_outfile(self.path, replace=replace, hint=hint)
        try:
            write_all(file.fileno(), self._header(0, rate_hz))
        except OSError as exc:
            file.close()
            raise cannot_write(self.path, exc, hint=hint) from exc
        self._file = file

    def write(self, pcm: bytes, rate_hz: int, *, at: int | None = None) -> None:
        """Append s16le audio and update the header. May block.

        Args:
            pcm: Whole frames.
            rate_hz: Samples per second; the same in every call.
            at: Position of the audio, in frames from the start of the file; silence fills the space before it. None
                appends at the end.

        Raises:
            OSError: The write failed. Earlier audio stays in the file.
        """
        file = self._file or self._begin(rate_hz)
        if at is not None and at * self._frame > self._bytes:
            # truncate() extends the file with zeros, which use no disk space on most systems.
            file.truncate(_HEADER.size + at * self._frame)
            self._bytes = at * self._frame
        file.seek(_HEADER.size + self._bytes)
        write_all(file.fileno(), pcm)
        self._bytes += len(pcm)
        file.seek(0)
        write_all(file.fileno(), self._header(self._bytes, rate_hz))

    def close(self) -> None:
        """Close the file. Idempotent.

        Raises:
            OSError: The system could not write the last data.
        """
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _begin(self, rate_hz: int) -> FileIO:
        self._file = open_raw(self.path, replace=True)
        write_all(self._file.fileno(), self._header(0, rate_hz))
        return self._file

    def _header(self, data_bytes: int, rate_hz: int) -> bytes:
        return wav_header(data_bytes, rate_hz, self._channels)


def _is_pipe(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False  # missing, or opening the file reports why it cannot be used
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def wav_header(data_bytes: int | None, rate_hz: int, channels: int = 1) -> bytes:
    """Return the header of a WAV file of s16le audio; None for the size says that it goes on to the end."""
    frame = channels * BYTES_PER_SAMPLE
    data_bytes = _LARGEST if data_bytes is None else data_bytes
    return _HEADER.pack(
        *(b"RIFF", min(data_bytes + _HEADER.size - 8, _LARGEST), b"WAVE"),
        *(b"fmt ", 16, _PCM, channels, rate_hz, rate_hz * frame, frame, 8 * BYTES_PER_SAMPLE),
        *(b"data", min(data_bytes, _LARGEST)),
    )
