"""Uncompressed encodings: their names, their sizes, and how to read them. Pure."""

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
"""What a sample can be: the encodings of raw PCM, and two more that only WAV has."""

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
"""Without case, underscores and ffmpeg's ``pcm_``."""


class PcmLayout(Struct, frozen=True):
    """How bytes are to be read as sound."""

    encoding: SampleFormat
    rate_hz: int
    channels: int
    """Interleaved."""

    @property
    def frame_bytes(self) -> int:
        """Size of one sample of every channel."""
        return SAMPLE_BYTES[self.encoding] * self.channels


def parse_encoding(text: str) -> Encoding:
    """The encoding that ffmpeg (``pcm_s16le``), ALSA (``S16_LE``) or a person (``ulaw``) means.

    Raises:
        UsageError: Nobody means that.
    """
    name = text.strip().lower()
    if name == "s24_le":
        # ALSA's name for three bytes in four; ffmpeg's s24le is three. Read as the other, each is noise.
        raise UsageError(f"encoding {text!r} keeps 24 bits in 4 bytes", "use S24_3LE (three bytes) or S32_LE")
    encoding = _SPELLINGS.get(name.removeprefix("pcm_").replace("_", "").replace("-", ""))
    if encoding is None:
        raise UsageError(f"unknown encoding {text!r}", "use s16le, s24le, s32le, f32le, mulaw or alaw")
    return encoding


def decode(data: bytes, layout: PcmLayout, pick: Pick = "mix") -> NDArray[np.float32]:
    """Read whole frames as float audio.

    Args:
        data: A multiple of ``layout.frame_bytes``.
        layout: How to read it.
        pick: Which channels are heard.

    Returns:
        As :func:`rt_cli.audio.channels.choose`; range [-1, 1] (floating point: whatever it holds).
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
    """Three bytes as the upper three of four."""
    import numpy as np

    wide = np.zeros((len(data) // 3, 4), dtype=np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return wide.view("<i4")[:, 0]


def _narrow(values: NDArray[np.float64]) -> NDArray[np.float32]:
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # what overflows becomes infinite, which the resampler mutes
        return values.astype(np.float32)


@cache
def _g711_table(law: Law) -> NDArray[np.float32]:
    """256 codes as values scaled like PCM16."""
    import numpy as np

    from rt_cli.audio.g711 import decode_table

    return decode_table(law).astype(np.float32) / np.float32(1 << 15)
