"""A WAV on disk that our own parser reads: without the libraries that other formats need, a start is much shorter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.audio.damage import silent
from rt_cli.audio.decoder import PcmConverter
from rt_cli.audio.wav import WavParser

if TYPE_CHECKING:
    from rt_cli.audio.channels import Pick
    from rt_cli.audio.pcm import PcmLayout

BLOCK_S = 20
BLOCK_BYTES = 1 << 20
"""As it is stored or decoded: many channels, or a high rate, make shorter blocks and not more memory."""
_HEADER_BYTES = 4096


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
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - lives as long as the source
        self._parser = WavParser()
        self._first = b""
        try:
            layout = self._read_header()
            self._converter = PcmConverter(layout, wire_rate_hz, pick)
        except BaseException:
            self._file.close()
            raise
        self.rate_hz, self.channels = layout.rate_hz, layout.channels
        second = layout.frame_bytes * layout.rate_hz
        there = Path(path).stat().st_size - self._file.tell() + len(self._first)
        self.duration_s: float | None = min(there, self._parser.length or there) / second
        self._block = min(BLOCK_BYTES, second * BLOCK_S)
        self._ended = False

    def read(self) -> bytes:
        """s16le at the wire rate, some seconds; empty at the end."""
        while not self._ended:
            data, self._first = self._first, b""
            if not data and not self._parser.ended:
                data = self._parser.push(self._file.read(self._block))
            self._ended = not data
            if pcm := self._converter.push(data) if data else self._converter.flush():
                return pcm
        return b""

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _read_header(self) -> PcmLayout:
        """Read up to the first bytes of the sound."""
        while data := self._file.read(_HEADER_BYTES):
            self._first = self._parser.push(data)
            if self._first and self._parser.layout is not None:
                return self._parser.layout
        self._parser.finish()
        raise silent()
