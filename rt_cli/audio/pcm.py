"""Sample encodings: names, sizes and decoding. Pure."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rt_cli.audio.g711 import Law
    from rt_cli.settings import Encoding

SampleFormat = Literal[
    "u8",
    "s8",
    "s16le",
    "s24le",
    "s32le",
    "s64le",
    "f32le",
    "f64le",
    "mulaw",
    "alaw",
    "s16be",
    "s24be",
    "s32be",
    "f32be",
    "f64be",
    "s24_32le",
]
"""The encodings of raw PCM, and those that only WAV, AU and W64 have. The default of raw PCM is s16le."""

SAMPLE_BYTES: dict[SampleFormat, int] = {
    "u8": 1,
    "s8": 1,
    "s16le": 2,
    "s24le": 3,
    "s32le": 4,
    "s64le": 8,
    "f32le": 4,
    "f64le": 8,
    "s16be": 2,
    "s24be": 3,
    "s32be": 4,
    "f32be": 4,
    "f64be": 8,
    "s24_32le": 4,
    "mulaw": 1,
    "alaw": 1,
}

_SPELLINGS: dict[str, Encoding] = {
    "s16": "s16le",
    "s16le": "s16le",
    "s24": "s24le",
    "s24le": "s24le",
    "s243le": "s24le",
    "s2432le": "s24_32le",
    "s32": "s32le",
    "s32le": "s32le",
    "f32": "f32le",
    "f32le": "f32le",
    "float": "f32le",
    "floatle": "f32le",
    "mulaw": "mulaw",
    "ulaw": "mulaw",
    "alaw": "alaw",
}
"""Accepted names in lower case, without underscores, hyphens and ffmpeg's prefix ``pcm_``."""


class PcmLayout(Struct, frozen=True):
    """Encoding, rate and channels of raw PCM."""

    encoding: SampleFormat
    rate_hz: int
    channels: int
    """Number of interleaved channels."""

    @property
    def frame_bytes(self) -> int:
        """Size of one sample of every channel."""
        return SAMPLE_BYTES[self.encoding] * self.channels


def parse_encoding(text: str) -> Encoding:
    """Parse an encoding as ffmpeg (``pcm_s16le``), ALSA (``S16_LE``) or the user (``ulaw``) spells it.

    Raises:
        UsageError: The name is unknown.
    """
    name = text.strip().lower()
    if name == "s24_le":  # ALSA's S24_LE has 3 bytes of sample in 4; ffmpeg's s24le has 3 bytes.
        return "s24_32le"
    encoding = _SPELLINGS.get(name.removeprefix("pcm_").replace("_", "").replace("-", ""))
    if encoding is None:
        raise UsageError(f"unknown encoding {text!r}", "use s16le, s24le, s24_32le, s32le, f32le, mulaw or alaw")
    return encoding


def decode(data: bytes, layout: PcmLayout) -> NDArray[np.float32]:
    """Decode whole frames to float audio.

    Args:
        data: Length is a multiple of ``layout.frame_bytes``.
        layout: Layout of ``data``.

    Returns:
        Shape ``(frames, channels)``; range [-1, 1], unlimited for f32le and f64le.
    """
    return _samples(data, layout.encoding).reshape(-1, layout.channels)


_INTEGERS: dict[SampleFormat, str] = {
    "s8": "i1",
    "s16le": "<i2",
    "s32le": "<i4",
    "s64le": "<i8",
    "s16be": ">i2",
    "s32be": ">i4",
}
"""Encodings that numpy reads, by its names."""
_FLOATS: dict[SampleFormat, str] = {"f64le": "<f8", "f32be": ">f4", "f64be": ">f8"}


def _samples(data: bytes, encoding: SampleFormat) -> NDArray[np.float32]:
    import numpy as np

    match encoding:
        case "u8":
            return (np.frombuffer(data, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
        case "s24le" | "s24be":
            return _widen(data, big=encoding == "s24be").astype(np.float32) / np.float32(1 << 31)
        case "s24_32le":
            # The upper byte is no part of the sample: some drivers leave anything there.
            return (np.frombuffer(data, "<i4") << 8).astype(np.float32) / np.float32(1 << 31)
        case "f32le":
            return np.frombuffer(data, "<f4").astype(np.float32)
        case "mulaw":
            return _g711_table("pcmu")[np.frombuffer(data, np.uint8)]
        case "alaw":
            return _g711_table("pcma")[np.frombuffer(data, np.uint8)]
    if encoding in _FLOATS:
        return _narrow(np.frombuffer(data, _FLOATS[encoding]))
    full_scale = 1 << (8 * SAMPLE_BYTES[encoding] - 1)
    return np.frombuffer(data, _INTEGERS[encoding]).astype(np.float32) / np.float32(full_scale)


_ENOUGH = 16
"""Samples whose two lower bytes are 0 by chance, this many in a row, do not happen."""


def is_low_justified(data: bytes) -> bool | None:
    """Find out where 24 bits in four bytes are: True for the lower three bytes, as ALSA's S24_LE has them.

    Returns:
        None if this sound does not show it.
    """
    import numpy as np

    wide = np.frombuffer(data[: len(data) // 4 * 4], "<i4")
    # In the lower three bytes, the upper one repeats the sign or is 0; in the upper three, the lowest byte is 0.
    low = bool(np.all(wide == wide << 8 >> 8)) or bool(np.all(wide >> 24 == 0))
    high = not np.any(wide & 0xFF)
    if low and high and not np.any(wide & 0xFFFF) and np.count_nonzero(wide) >= _ENOUGH:
        return False  # quiet sound of 16 bits: in the lower bytes it would have only 8
    return None if low == high else low


def _widen(data: bytes, *, big: bool) -> NDArray[np.int32]:
    """Convert 24-bit samples to 32 bits: the three bytes become the upper three of four."""
    import numpy as np

    wide = np.zeros((len(data) // 3, 4), dtype=np.uint8)
    wide[:, slice(0, 3) if big else slice(1, 4)] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return wide.view(">i4" if big else "<i4")[:, 0]


def _narrow(values: NDArray[np.floating]) -> NDArray[np.float32]:
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # overflow gives infinity; the resampler makes it silence
        return values.astype(np.float32)


@cache
def _g711_table(law: Law) -> NDArray[np.float32]:
    """Return the samples of the 256 codes, scaled like PCM16 to [-1, 1]; shape ``(256,)``."""
    import numpy as np

    from rt_cli.audio.g711 import decode_table

    return decode_table(law).astype(np.float32) / np.float32(1 << 15)
