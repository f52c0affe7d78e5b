"""WAV as it arrives: the header in pieces, its lengths not to be trusted. Pure."""

from __future__ import annotations

import struct

from rt_cli.audio.pcm import PcmLayout, SampleFormat
from rt_cli.errors import AudioError

MAGICS = (b"RIFF", b"RF64", b"BW64")
"""How a WAV begins; the latter two have 64-bit lengths."""

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
"""By format tag and bytes per sample."""
_RIFF_BYTES = 12
_CHUNK_BYTES = 8
_FMT_BYTES = 16
_EXTENSIBLE_BYTES = 40
_DS64_BYTES = 24
_MOST_CHANNELS = 256
_ODD, _WIDE = 3, 4
"""Bytes of a sample."""
_MOST_HEADER_BYTES = 1 << 16
"""Of a chunk that has to be held in memory."""
_UNKNOWN_FROM = 0x7FFF_0000
"""Writers that cannot seek back leave 0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000 or 0xFFFFFFFF, less their header."""
_SEE_DS64 = 0xFFFF_FFFF
"""Where the length has 64 bits, or none."""
_UNKNOWN_64 = 1 << 62


class WavError(AudioError):
    """What should be a WAV is none, or none that is read here."""


class WavParser:
    """Takes a WAV stream in pieces of any size and gives the bytes of its sound.

    Lengths that say nothing (0, or the largest there is) mean: until the input ends. What follows a true length is
    ignored. The result does not depend on where the pieces are cut.
    """

    def __init__(self) -> None:
        self.layout: PcmLayout | None = None
        """Known once ``fmt`` has been read."""
        self.ended = False
        """The length that the header announced has been read: what follows is no sound."""
        self.length: int | None = None
        """Bytes of sound that the header announced; None until it is read, and where it does not say."""
        self.announced = 0
        """The same to the letter, also where that is what writers put there that do not know."""
        self._pending = bytearray()
        self._skip = 0
        self._long_length = 0
        self._begun = False
        self._in_data = False
        self._left: int | None = None

    def push(self, data: bytes) -> bytes:
        """Take the next bytes; give those that are sound.

        Raises:
            WavError: This is no WAV, or none that can be read.
        """
        if not self._in_data:
            data = self._read_header(data)
        return self._take(data)

    def finish(self) -> None:
        """The input has ended.

        Raises:
            WavError: In the middle of the header.
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
        """Take what belongs to the header; give what comes after it."""
        self._pending += data
        while self._step():
            pass
        return self._cut(len(self._pending)) if self._in_data else b""

    def _step(self) -> bool:
        """Read one element of the header; False when more bytes are needed, or none are."""
        if self._skip:
            gone = min(self._skip, len(self._pending))
            del self._pending[:gone]
            self._skip -= gone
            return self._skip == 0
        return self._chunk() if self._begun else self._riff()

    def _riff(self) -> bool:
        if len(self._pending) < _RIFF_BYTES:
            return False
        head = self._cut(_RIFF_BYTES)
        if head[:4] not in MAGICS or head[8:] != b"WAVE":
            raise WavError("the input begins like a WAV but is none", "send WAV or raw PCM")
        self._begun = True
        return True

    def _chunk(self) -> bool:
        if len(self._pending) < _CHUNK_BYTES:
            return False
        name, length = bytes(self._pending[:4]), int.from_bytes(self._pending[4:8], "little")
        if name == b"data":
            self._cut(_CHUNK_BYTES)
            self._start(length)
            return False
        padded = length + length % 2
        if name not in (b"fmt ", b"ds64"):
            self._cut(_CHUNK_BYTES)
            self._skip = padded
            return True
        if length > _MOST_HEADER_BYTES:
            raise WavError(f"the WAV header is damaged: a format description of {length} bytes", "check what writes it")
        if len(self._pending) < _CHUNK_BYTES + padded:
            return False
        body = self._cut(_CHUNK_BYTES + padded)[_CHUNK_BYTES : _CHUNK_BYTES + length]
        if name == b"fmt ":
            self.layout = _parse_format(body)
        elif length >= _DS64_BYTES:
            self._long_length = int.from_bytes(body[8:16], "little")
        return True

    def _start(self, length: int) -> None:
        if self.layout is None:
            raise WavError("the WAV header is damaged: no format before the sound", "check what writes it")
        self._in_data = True
        self.announced = length
        if length == _SEE_DS64 and 0 < self._long_length < _UNKNOWN_64:
            self.length = self._long_length
        elif 0 < length < _UNKNOWN_FROM:
            self.length = length
        self._left = self.length

    def _cut(self, count: int) -> bytes:
        head = bytes(self._pending[:count])
        del self._pending[:count]
        return head


def _parse_format(body: bytes) -> PcmLayout:
    if len(body) < _FMT_BYTES:
        raise WavError("the WAV header is damaged: its format is cut short", "check what writes it")
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE and len(body) >= _EXTENSIBLE_BYTES:
        # The first two bytes of the sub-format's GUID are the tag it stands for.
        tag = int.from_bytes(body[24:26], "little")
    if not 1 <= channels <= _MOST_CHANNELS:
        raise WavError(f"the WAV header is damaged: {channels} channels", "check what writes it")
    width = -(-bits // 8)
    # Writers get the size of a frame wrong. It counts where nothing else does, and for 24 bits left-justified in 32.
    if width == 0 or (width == _ODD and frame_bytes == _WIDE * channels):
        width = frame_bytes // channels
    encoding = _FORMATS.get((tag, width))
    if encoding is None:
        raise WavError(
            f"this WAV cannot be read: format {tag:#06x} with {bits} bits",
            "convert it first: ffmpeg -i IN -c:a pcm_s16le -f wav -",
        )
    return PcmLayout(encoding, rate_hz, channels)
