"""Incremental WAV parser for streams, whose headers arrive in pieces and often state wrong lengths. Pure."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal, NamedTuple

from rt_cli.audio.decode.recognise import TAGS, is_plain_text
from rt_cli.audio.pcm import PcmLayout, SampleFormat
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGICS = (b"RIFF", b"RF64", b"BW64", b"RIFX")
"""Signatures of WAV files. RF64 and BW64 have 64-bit lengths; RIFX is big-endian."""
W64_MAGIC = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
"""Signature of Sony's Wave64, whose chunks have names of 16 bytes and 64-bit lengths."""
_W64_WAVE = b"wave\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"

_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_FORMATS: dict[tuple[int, int], SampleFormat] = {
    (_PCM, 1): "u8",
    (_PCM, 2): "s16le",
    (_PCM, 3): "s24le",
    (_PCM, 4): "s32le",
    (_PCM, 8): "s64le",
    (_FLOAT, 4): "f32le",
    (_FLOAT, 8): "f64le",
    (_ALAW, 1): "alaw",
    (_MULAW, 1): "mulaw",
}
"""Encoding by format tag and bytes per sample."""
_BIG_ENDIAN: dict[SampleFormat, SampleFormat] = {
    "s16le": "s16be",
    "s24le": "s24be",
    "s32le": "s32be",
    "f32le": "f32be",
    "f64le": "f64be",
}
_FMT_BYTES = 16
_EXTENSIBLE_BYTES = 40
_DS64_BYTES = 24
_MAX_CHANNELS = 256
_ODD, _WIDE = 3, 4
"""Bytes per sample."""
_MAX_CHUNK_BYTES = 1 << 16
"""Largest chunk that is read into memory."""
_MAX_BEHIND_BYTES = 1 << 24
"""Largest chunk behind the sound whose name is unknown."""
_UNKNOWN_FROM = 0x7FFF_0000
"""Lengths from here on are unknown: writers that cannot seek leave one of the placeholders 0x7FFFF000, 0x7FFFFFFF,
0x80000000 and 0xFFFFFFFF, minus the size of their header, or 0."""
_SEE_DS64 = 0xFFFF_FFFF
"""The length is in the ds64 chunk, or unknown."""
_UNKNOWN_64 = 1 << 62
BEHIND_BYTES = 520
"""Bytes behind the sound that :func:`classify` needs to be sure."""
_RIFF_BYTES = 12
_CHUNK_BYTES = 8


class WavError(AudioError):
    """The WAV header is invalid, or the parser does not support the encoding."""


class Behind(NamedTuple):
    """What is behind the sound of a WAV."""

    kind: Literal["wav", "chunk", "tag", "text", "sound"]
    """Another WAV, another chunk, a tag of another format, text, or sound that the header does not count."""
    skip: int = 0
    """Bytes before it: padding."""


def classify(head: bytes, *, padding: int = 0, rest: int | None = None) -> Behind:
    """Find out what is behind the sound of a WAV.

    Args:
        head: The next :data:`BEHIND_BYTES` bytes, or all that there are.
        padding: 1 if the sound has an odd length, so that a byte of padding may follow.
        rest: Bytes to the end of the file; None for unknown.
    """
    for skip in dict.fromkeys((padding, 0)):
        part = head[skip:]
        if (part[:4] in MAGICS and part[8:12] == b"WAVE") or part.startswith(W64_MAGIC):
            return Behind("wav", skip)
        if part[4:16] == _W64_WAVE[4:]:
            return Behind("chunk", skip)
        if part.startswith(TAGS):
            return Behind("tag", skip)
        name, length = part[:4], int.from_bytes(part[4:8], "little")
        printable = len(part) >= _CHUNK_BYTES and name.isascii() and name.decode().isprintable() and name.strip()
        fits = length <= (_MAX_BEHIND_BYTES if rest is None else rest - skip - _CHUNK_BYTES)
        if printable and (fits or name == b"data") and not is_plain_text(part):
            return Behind("chunk", skip)
    return Behind("text" if is_plain_text(head) else "sound")


class WavParser:
    """Takes a WAV stream in pieces of any size and returns the sound in it.

    If the length is a placeholder (0, or close to the largest value), the sound goes on to the end of the input. Behind
    the sound there may be chunks, more sound (another data chunk, or bytes that the header does not count), and another
    WAV. The result does not depend on how the input is split.
    """

    def __init__(self) -> None:
        self.layout: PcmLayout | None = None
        """None until the chunk ``fmt`` has been read."""
        self.length: int | None = None
        """Bytes of audio that the header states; None before the header is read, and if the length is unknown."""
        self.length_field = 0
        """The length field of the data chunk as it is, also if it is a placeholder."""
        self.data_start = 0
        """Position of the audio in the input."""
        self.more_than_stated = False
        """The sound went on behind its stated length."""
        self.ignored_bytes = 0
        """Bytes of text behind the sound."""
        self._state: Literal["riff", "chunk", "skip", "data", "behind", "end"] = "riff"
        self._pending = bytearray()
        self._consumed = 0
        self._skip = 0
        self._long_length = 0
        self._left: int | None = None
        self._padding = 0
        self._order: Literal["little", "big"] = "little"
        self._w64 = False
        self._has_sound = False
        self._in_header = True
        self._text = False

    @property
    def missing_bytes(self) -> int:
        """Bytes of the stated length that have not arrived."""
        return self._left or 0 if self._state == "data" else 0

    def sounds(self, data: bytes) -> Iterator[tuple[PcmLayout, bytes]]:
        """Parse the next bytes and yield the sound among them.

        Raises:
            WavError: The input is no WAV, or the parser does not support the encoding.
        """
        if self._state == "data" and self._left is None and self.layout is not None:
            self._consumed += len(data)
            yield self.layout, data
            return
        self._pending += data
        while self._pending:
            if self._state == "data" and self.layout is not None:
                sound = self._consume(len(self._pending) if self._left is None else self._left)
                if self._left is not None:
                    self._left -= len(sound)
                    self._state = "data" if self._left else "behind"
                if sound:
                    yield self.layout, sound
            elif not self._step(at_end=False):
                return

    def finish(self) -> Iterator[tuple[PcmLayout, bytes]]:
        """Yield the sound in the last bytes.

        Raises:
            WavError: The input ends in the header.
        """
        self.check_header()
        while self._state == "behind" and self._pending and self._step(at_end=True):
            yield from self.sounds(b"")

    def check_header(self) -> None:
        """Check that the header is complete.

        Raises:
            WavError: The input ends in the header.
        """
        if not self._has_sound:
            raise WavError("the WAV header is cut off: there is no sound after it", "check what writes it")

    def _step(self, *, at_end: bool) -> bool:
        """Read one element that is no sound. False if more bytes are needed."""
        match self._state:
            case "skip":
                self._skip -= len(self._consume(self._skip))
                if self._skip:
                    return False
                self._state = "chunk" if self._in_header else "behind"
                return True
            case "end":
                count = len(self._consume(len(self._pending)))
                self.ignored_bytes += count if self._text else 0
                return False
            case "behind":
                return self._behind(at_end=at_end)
            case "riff":
                return self._riff()
            case _:
                return self._chunk()

    def _behind(self, *, at_end: bool) -> bool:
        if self.layout is None or (len(self._pending) < BEHIND_BYTES and not at_end and not self._is_clear()):
            return False
        found = classify(bytes(self._pending[:BEHIND_BYTES]), padding=self._padding)
        self._consume(found.skip)
        self._padding = 0
        match found.kind:
            case "wav":
                self._state, self._in_header, self.layout, self._long_length = "riff", True, None, 0
            case "chunk":
                self._state = "chunk"
            case "tag" | "text":
                self._state, self._text = "end", found.kind == "text"
            case "sound":
                few = len(self._pending) * 10 < self.layout.rate_hz * self.layout.frame_bytes
                if at_end and few:
                    self._state = "end"
                    return True
                self.more_than_stated = True
                self._state, self._left = "data", None
        return True

    def _is_clear(self) -> bool:
        """True if the bytes that are there begin another WAV or a known chunk: then nothing has to be waited for."""
        head = bytes(self._pending[self._padding : self._padding + _RIFF_BYTES])
        return len(head) == _RIFF_BYTES and (head[8:] == b"WAVE" or head[:4] in {b"LIST", b"data", b"id3 ", b"fmt "})

    def _riff(self) -> bool:
        if len(self._pending) >= len(W64_MAGIC) and self._pending.startswith(W64_MAGIC):
            if len(self._pending) < 40:  # noqa: PLR2004 - name, length and name
                return False
            if self._consume(40)[24:] != _W64_WAVE:
                raise WavError("the input begins like a Wave64 but is none", "send WAV or raw PCM")
            self._w64 = True
            self._state = "chunk"
            return True
        if len(self._pending) < (len(W64_MAGIC) if self._pending.startswith(b"riff") else _RIFF_BYTES):
            return False
        head = self._consume(_RIFF_BYTES)
        if head[:4] not in MAGICS or head[8:] != b"WAVE":
            raise WavError("the input begins like a WAV but is none", "send WAV or raw PCM")
        self._order = "big" if head.startswith(b"RIFX") else "little"
        self._w64 = False
        self._state = "chunk"
        return True

    def _chunk(self) -> bool:
        size = 24 if self._w64 else _CHUNK_BYTES
        if len(self._pending) < size:
            return False
        name = bytes(self._pending[:4])
        length = int.from_bytes(self._pending[16:24] if self._w64 else self._pending[4:8], self._order)
        length = max(0, length - size) if self._w64 else length
        if name == b"data":
            self._consume(size)
            self._start(length)
            return True
        padded = length + -length % (8 if self._w64 else 2)
        if name not in (b"fmt ", b"ds64") or not self._in_header:
            self._consume(size)
            self._skip, self._state = padded, "skip"
            return True
        if length > _MAX_CHUNK_BYTES:
            raise WavError(f"the WAV header is damaged: a format description of {length} bytes", "check what writes it")
        if len(self._pending) < size + padded:
            return False
        body = self._consume(size + padded)[size : size + length]
        if name == b"fmt ":
            self.layout = _parse_format(body, self._order)
        elif length >= _DS64_BYTES:
            self._long_length = int.from_bytes(body[8:16], "little")
        return True

    def _start(self, length: int) -> None:
        if self.layout is None:
            raise WavError("the WAV header is damaged: no format before the sound", "check what writes it")
        self._state = "data"
        stated: int | None = None
        if self._w64:
            stated = length if 0 < length < _UNKNOWN_64 else None
        elif length == _SEE_DS64 and 0 < self._long_length < _UNKNOWN_64:
            stated = self._long_length
        elif 0 < length < _UNKNOWN_FROM:
            stated = length
        if not self._has_sound:
            self.length_field, self.length, self.data_start = length, stated, self._consumed
        self._has_sound, self._in_header = True, False
        self._left = stated
        self._padding = -(stated or 0) % (8 if self._w64 else 2)

    def _consume(self, count: int) -> bytes:
        head = bytes(self._pending[:count])
        del self._pending[:count]
        self._consumed += len(head)
        return head


def _parse_format(body: bytes, order: Literal["little", "big"]) -> PcmLayout:
    if len(body) < _FMT_BYTES:
        raise WavError("the WAV header is damaged: its format is cut short", "check what writes it")
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from(
        "<HHIIHH" if order == "little" else ">HHIIHH", body
    )
    if tag == _EXTENSIBLE and len(body) >= _EXTENSIBLE_BYTES:
        # The first two bytes of the sub-format's GUID are the format tag.
        tag = int.from_bytes(body[24:26], order)
    if not 1 <= channels <= _MAX_CHANNELS:
        raise WavError(f"the WAV header is damaged: {channels} channels", "check what writes it")
    width = -(-bits // 8)
    # Many writers state a wrong frame size. Use it only if ``bits`` is 0, and for 24 bits in 32.
    spacious = width == _ODD and frame_bytes == _WIDE * channels
    if width == 0 or spacious:
        width = frame_bytes // channels
    encoding = _FORMATS.get((tag, width))
    if encoding is not None and order == "big":
        encoding = _BIG_ENDIAN.get(encoding, encoding if width == 1 else None)
    if encoding is None:
        raise WavError(
            f"this WAV cannot be read: format {tag:#06x} with {bits} bits",
            "convert it first: ffmpeg -i IN -c:a pcm_s16le -f wav -",
        )
    # Which three bytes of the four, the sound itself must show.
    return PcmLayout("s24_32le" if spacious and encoding == "s32le" else encoding, rate_hz, channels)
