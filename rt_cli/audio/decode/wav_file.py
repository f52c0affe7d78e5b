"""A WAV file, read by our own parser: without the libraries for other formats, the program starts much faster."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.audio.decode.diagnose import no_audio
from rt_cli.audio.decode.stream_decoder import PcmConverter
from rt_cli.audio.decode.wav_stream import WavParser

if TYPE_CHECKING:
    from rt_cli.audio.channels import Pick
    from rt_cli.audio.pcm import PcmLayout

BLOCK_S = 15
BLOCK_BYTES = 1 << 20
"""Limit for a block, both encoded and decoded, so that many channels or a high rate do not use more memory."""
_FLOAT_BYTES = 4
_HEADER_BYTES = 4096
_CHUNK_HEAD = struct.Struct("<4sI")


class WavFile:
    """A decoder for WAV files with PCM, floating point or G.711, also if the header states no length.

    Args:
        path: Path of a regular file.
        wire_rate_hz: Rate of the output of :meth:`read`.
        pick: The channels to use.

    Raises:
        WavError: The file is no WAV, or the parser does not support its encoding.
        AudioError: The file has no audio or not the channel, or its rate is out of range.
    """

    warning: tuple[str, str] | None = None

    def __init__(self, path: str, wire_rate_hz: int, pick: Pick) -> None:
        self._end = Path(path).stat().st_size
        self._parser = WavParser()
        with ExitStack() as stack:
            self._file = stack.enter_context(Path(path).open("rb", buffering=0))
            layout = self._read_header()
            self._converter = PcmConverter(layout, wire_rate_hz, pick)
            self._left = self._length()
            frames = self._frames(layout)
            stack.pop_all()
        self.rate_hz, self.channels = layout.rate_hz, layout.channels
        self.duration_s: float | None = frames / layout.rate_hz
        widest = layout.frame_bytes if self._converter.verbatim else layout.frame_bytes + _FLOAT_BYTES * layout.channels
        self._block = max(1, min(layout.rate_hz * BLOCK_S, BLOCK_BYTES // widest)) * layout.frame_bytes
        self._ended = False

    def read(self) -> bytes:
        """Return s16le at the wire rate, some seconds of it; empty at the end."""
        while not self._ended:
            data = self._file.read(self._block if self._left is None else min(self._block, self._left))
            if self._left is not None:
                self._left -= len(data)
            self._ended = not data
            if pcm := self._converter.push(data) if data else self._converter.flush():
                return pcm
        return b""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_header(self) -> PcmLayout:
        """Read the header and seek to the start of the audio."""
        while data := self._file.read(_HEADER_BYTES):
            sound = self._parser.push(data)
            if sound and self._parser.layout is not None:
                self._file.seek(-len(sound), 1)
                return self._parser.layout
        self._parser.finish()
        raise no_audio()

    def _frames(self, layout: PcmLayout) -> int:
        available = self._end - self._file.tell()
        frames = (available if self._left is None else min(available, self._left)) // layout.frame_bytes
        if not frames:
            raise no_audio()
        return frames

    def _length(self) -> int | None:
        """Bytes of the audio; None for all bytes up to the end of the file.

        A length that looks like a placeholder is real if another chunk starts directly after that many bytes.
        """
        if self._parser.length is None and self._another_chunk(self._parser.length_field):
            return self._parser.length_field
        return self._parser.length

    def _another_chunk(self, behind: int) -> bool:
        start = self._file.tell()
        at = start + behind + behind % 2
        self._file.seek(at)
        head = self._file.read(_CHUNK_HEAD.size)
        self._file.seek(start)
        if len(head) < _CHUNK_HEAD.size:
            return False
        name, length = _CHUNK_HEAD.unpack(head)
        named: bool = name.isascii() and name.decode().isprintable()
        return named and at + _CHUNK_HEAD.size + length <= self._end
