"""Incremental WAV parser for streams, whose headers arrive in pieces and often state wrong lengths. Pure."""

from __future__ import annotations

import struct

from rt_cli.audio.pcm import PcmLayout, SampleFormat
from rt_cli.errors import AudioError

MAGICS = (b"RIFF", b"RF64", b"BW64")
"""Signatures of WAV files. RF64 and BW64 have 64-bit lengths."""

_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_FORMATS: dict[tuple[int, int], SampleFormat] = {
    (_PCM, 1): "u8",
    (_PCM, 2): "s16le",
    (_PCM, 3): "s24le",
    (_PCM, 4): "s32le",
    (_FLOAT, 4): "f32le",
    (_FLOAT, 8): "f64le",
    (_ALAW, 1): "alaw",
    (_MULAW, 1): "mulaw",
}
"""Encoding by format tag and bytes per sample."""
_RIFF_BYTES = 12
_CHUNK_BYTES = 8
_FMT_BYTES = 16
_EXTENSIBLE_BYTES = 40
_DS64_BYTES = 24
_MAX_CHANNELS = 256
_ODD, _WIDE = 3, 4
"""Bytes per sample."""
_MAX_CHUNK_BYTES = 1 << 16
"""Largest chunk that is read into memory."""
_UNKNOWN_FROM = 0x7FFF_0000
"""Lengths from here on are unknown: writers that cannot seek leave one of the placeholders 0x7FFFF000, 0x7FFFFFFF,
0x80000000 and 0xFFFFFFFF, minus the size of their header, or 0."""
_SEE_DS64 = 0xFFFF_FFFF
"""The length is in the ds64 chunk, or unknown."""
_UNKNOWN_64 = 1 << 62


class WavError(AudioError):
    """The WAV header is invalid, or the parser does not support the encoding."""


class WavParser:
    """Takes a WAV stream in pieces of any size and returns the bytes of its audio.

    If the length is a placeholder (0, or close to the largest value), the audio goes on to the end of the input; else
    the parser ignores the bytes after the audio. The result does not depend on how the input is split.
    """

    def __init__(self) -> None:
        self.layout: PcmLayout | None = None
        """None until the chunk ``fmt`` has been read."""
        self.ended = False
        """True if all audio of the stated length has been read."""
        self.length: int | None = None
        """Bytes of audio that the header states; None before the header is read, and if the length is unknown."""
        self.length_field = 0
        """The length field of the data chunk as it is, also if it is a placeholder."""
        self._pending = bytearray()
        self._skip = 0
        self._long_length = 0
        self._riff_read = False
        self._in_data = False
        self._left: int | None = None

    def push(self, data: bytes) -> bytes:
        """Parse the next bytes and return the audio among them.

        Raises:
            WavError: The input is no WAV, or the parser does not support the encoding.
        """
        if not self._in_data:
            data = self._read_header(data)
        return self._take(data)

    def finish(self) -> None:
        """Check the end of the input.

        Raises:
            WavError: The input ends in the header.
        """
        if not self._in_data:
            raise WavError("the WAV header is cut off: there is no sound after it", "check what writes it")

    def _take(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        sound = data[: self._left]
        self._left -= len(sound)
        self.ended = self._left == 0
        return sound

    def _read_header(self, data: bytes) -> bytes:
        """Parse the header and return the bytes after it."""
        self._pending += data
        while self._step():
            pass
        return self._consume(len(self._pending)) if self._in_data else b""

    def _step(self) -> bool:
        """Read one element of the header. False if more bytes are needed, or if the header is complete."""
        if self._skip:
            count = min(self._skip, len(self._pending))
            del self._pending[:count]
            self._skip -= count
            return self._skip == 0
        return self._chunk() if self._riff_read else self._riff()

    def _riff(self) -> bool:
        if len(self._pending) < _RIFF_BYTES:
            return False
        head = self._consume(_RIFF_BYTES)
        if head[:4] not in MAGICS or head[8:] != b"WAVE":
            raise WavError("the input begins like a WAV but is none", "send WAV or raw PCM")
        self._riff_read = True
        return True

    def _chunk(self) -> bool:
        if len(self._pending) < _CHUNK_BYTES:
            return False
        name, length = bytes(self._pending[:4]), int.from_bytes(self._pending[4:8], "little")
        if name == b"data":
            self._consume(_CHUNK_BYTES)
            self._start(length)
            return False
        padded = length + length % 2
        if name not in (b"fmt ", b"ds64"):
            self._consume(_CHUNK_BYTES)
            self._skip = padded
            return True
        if length > _MAX_CHUNK_BYTES:
            raise WavError(f"the WAV header is damaged: a format description of {length} bytes", "check what writes it")
        if len(self._pending) < _CHUNK_BYTES + padded:
            return False
        body = self._consume(_CHUNK_BYTES + padded)[_CHUNK_BYTES : _CHUNK_BYTES + length]
        if name == b"fmt ":
            self.layout = _parse_format(body)
        elif length >= _DS64_BYTES:
            self._long_length = int.from_bytes(body[8:16], "little")
        return True

    def _start(self, length: int) -> None:
        if self.layout is None:
            raise WavError("the WAV header is damaged: no format before the sound", "check what writes it")
        self._in_data = True
        self.length_field = length
        if length == _SEE_DS64 and 0 < self._long_length < _UNKNOWN_64:
            self.length = self._long_length
        elif 0 < length < _UNKNOWN_FROM:
            self.length = length
        self._left = self.length

    def _consume(self, count: int) -> bytes:
        head = bytes(self._pending[:count])
        del self._pending[:count]
        return head


def _parse_format(body: bytes) -> PcmLayout:
    if len(body) < _FMT_BYTES:
        raise WavError("the WAV header is damaged: its format is cut short", "check what writes it")
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE and len(body) >= _EXTENSIBLE_BYTES:
        # The first two bytes of the sub-format's GUID are the format tag.
        tag = int.from_bytes(body[24:26], "little")
    if not 1 <= channels <= _MAX_CHANNELS:
        raise WavError(f"the WAV header is damaged: {channels} channels", "check what writes it")
    width = -(-bits // 8)
    # Many writers state a wrong frame size. Use it only if ``bits`` is 0, and for 24 bits left-justified in 32.
    if width == 0 or (width == _ODD and frame_bytes == _WIDE * channels):
        width = frame_bytes // channels
    encoding = _FORMATS.get((tag, width))
    if encoding is None:
        raise WavError(
            f"this WAV cannot be read: format {tag:#06x} with {bits} bits",
            "convert it first: ffmpeg -i IN -c:a pcm_s16le -f wav -",
        )
    return PcmLayout(encoding, rate_hz, channels)
