"""A WAV on disk that our own parser reads: without the libraries that other formats need, a start is much shorter."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.audio.decode.diagnose import silent
from rt_cli.audio.decode.stream_decoder import PcmConverter
from rt_cli.audio.decode.wav_stream import WavParser

if TYPE_CHECKING:
    from rt_cli.audio.channels import Pick
    from rt_cli.audio.pcm import PcmLayout

BLOCK_S = 15
BLOCK_BYTES = 1 << 20
"""As it is stored or decoded: many channels, or a high rate, make shorter blocks and not more memory."""
_FLOAT_BYTES = 4
_HEADER_BYTES = 4096
_CHUNK_HEAD = struct.Struct("<4sI")


class WavFile:
    """PCM, floating point or G.711; also as saved from a pipe, with a header that does not know the length.

    Args:
        path: Of a regular file.
        wire_rate_hz: Of what :meth:`read` gives.
        pick: Which channels are heard.

    Raises:
        WavError: It is no WAV, or in an encoding that only others know.
        AudioError: It holds no sound, not at this rate, or not this channel.
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
        """s16le at the wire rate, some seconds; empty at the end."""
        while not self._ended:
            data = self._file.read(self._block if self._left is None else min(self._block, self._left))
            if self._left is not None:
                self._left -= len(data)
            self._ended = not data
            if pcm := self._converter.push(data) if data else self._converter.flush():
                return pcm
        return b""

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _read_header(self) -> PcmLayout:
        """Read up to the beginning of the sound."""
        while data := self._file.read(_HEADER_BYTES):
            sound = self._parser.push(data)
            if sound and self._parser.layout is not None:
                self._file.seek(-len(sound), 1)
                return self._parser.layout
        self._parser.finish()
        raise silent()

    def _frames(self, layout: PcmLayout) -> int:
        there = self._end - self._file.tell()
        frames = (there if self._left is None else min(there, self._left)) // layout.frame_bytes
        if not frames:
            raise silent()
        return frames

    def _length(self) -> int | None:
        """Bytes of the sound; None for all that there is.

        What may be a placeholder counts where another chunk begins behind so much.
        """
        if self._parser.length is None and self._another_chunk(self._parser.announced):
            return self._parser.announced
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
