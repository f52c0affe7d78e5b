"""Sample encodings: names, sizes and decoding. Pure."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from rt_cli.audio.channels import choose
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.g711 import Law
    from rt_cli.settings import Encoding

SampleFormat = Literal["u8", "s16le", "s24le", "s32le", "f32le", "f64le", "mulaw", "alaw"]
"""The encodings of raw PCM, and two more (u8, f64le) that only WAV has."""

SAMPLE_BYTES: dict[SampleFormat, int] = {
    "u8": 1,
    "s16le": 2,
    "s24le": 3,
    "s32le": 4,
    "f32le": 4,
    "f64le": 8,
    "mulaw": 1,
    "alaw": 1,
}

_SPELLINGS: dict[str, Encoding] = {
    "s16": "s16le",
    "s16le": "s16le",
    "s24": "s24le",
    "s24le": "s24le",
    "s243le": "s24le",
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
    if name == "s24_le":
        # ALSA's S24_LE has 3 bytes of sample in 4; ffmpeg's s24le has 3 bytes. Decoding one as the other gives noise.
        raise UsageError(f"encoding {text!r} keeps 24 bits in 4 bytes", "use S24_3LE (three bytes) or S32_LE")
    encoding = _SPELLINGS.get(name.removeprefix("pcm_").replace("_", "").replace("-", ""))
    if encoding is None:
        raise UsageError(f"unknown encoding {text!r}", "use s16le, s24le, s32le, f32le, mulaw or alaw")
    return encoding


def decode(data: bytes, layout: PcmLayout, pick: Pick = "mix") -> NDArray[np.float32]:
    """Decode whole frames to float audio.

    Args:
        data: Length is a multiple of ``layout.frame_bytes``.
        layout: Layout of ``data``.
        pick: The channels to use.

    Returns:
        Shape as from :func:`rt_cli.audio.channels.choose`; range [-1, 1], unlimited for f32le and f64le.
    """
    return choose(_samples(data, layout.encoding).reshape(-1, layout.channels), pick)


def _samples(data: bytes, encoding: SampleFormat) -> NDArray[np.float32]:
    import numpy as np

    match encoding:
        case "u8":
            return (np.frombuffer(data, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
        case "s16le":
            return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(1 << 15)
        case "s24le":
            return _widen(data).astype(np.float32) / np.float32(1 << 31)
        case "s32le":
            return np.frombuffer(data, "<i4").astype(np.float32) / np.float32(1 << 31)
        case "f32le":
            return np.frombuffer(data, "<f4").astype(np.float32)
        case "f64le":
            return _narrow(np.frombuffer(data, "<f8"))
        case "mulaw":
            return _g711_table("pcmu")[np.frombuffer(data, np.uint8)]
        case "alaw":
            return _g711_table("pcma")[np.frombuffer(data, np.uint8)]


def _widen(data: bytes) -> NDArray[np.int32]:
    """Convert 24-bit samples to 32 bits: the three bytes become the upper three of four."""
    import numpy as np

    wide = np.zeros((len(data) // 3, 4), dtype=np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return wide.view("<i4")[:, 0]


def _narrow(values: NDArray[np.float64]) -> NDArray[np.float32]:
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # overflow gives infinity; the resampler makes it silence
        return values.astype(np.float32)


@cache
def _g711_table(law: Law) -> NDArray[np.float32]:
    """Return the samples of the 256 codes, scaled like PCM16 to [-1, 1]; shape ``(256,)``."""
    import numpy as np

    from rt_cli.audio.g711 import decode_table

    return decode_table(law).astype(np.float32) / np.float32(1 << 15)
