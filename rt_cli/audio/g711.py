"""G.711 mu-law and A-law by lookup table.

ITU-T Recommendation G.711 (11/1988) defines the laws on 14 bits (mu-law) and 13 bits (A-law). 16-bit samples are
reduced as in the ITU's Software Tool Library (Recommendation G.191): the lower bits of the magnitude are cut off, and
the magnitude of a negative sample is its one's complement, so that both halves of the scale are symmetric.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Pcm = bytes | bytearray | memoryview | NDArray[np.int16]

Law = Literal["pcmu", "pcma"]
"""mu-law and A-law, with their names in RTP and in the OpenAI API."""

RATE_HZ = 8_000
_MU_BIAS = 33
_MU_CLIP = 0x1FFF
_A_EVEN_BITS = 0x55


def encode(pcm: Pcm, law: Law) -> bytes:
    """Encode s16le samples.

    Args:
        pcm: Whole samples, as bytes or as a contiguous array of shape ``(samples,)``.
        law: mu-law or A-law.

    Returns:
        One byte per sample.
    """
    frombuffer, unsigned, take = _encoder(law)
    # mode "clip" skips the bounds check, which 16-bit indices do not need; the check takes a third of the time.
    codes: bytes = take(frombuffer(pcm, unsigned), None, None, "clip").tobytes()
    return codes


def decode(data: bytes, law: Law) -> bytes:
    """Decode G.711 to s16le: two bytes for each byte of ``data``."""
    import numpy as np

    return decode_table(law).take(np.frombuffer(data, np.uint8), mode="clip").tobytes()


@cache
def decode_table(law: Law) -> NDArray[np.int16]:
    """Return the samples of the 256 codes, little-endian, scaled to 16 bits; shape ``(256,)``, read-only."""
    import numpy as np

    code = np.arange(256) ^ (0xFF if law == "pcmu" else _A_EVEN_BITS)
    exponent, mantissa = (code >> 4) & 7, code & 15
    if law == "pcmu":
        magnitude = ((((mantissa << 1) + _MU_BIAS) << exponent) - _MU_BIAS) << 2
        negative = code & 0x80 != 0
    else:
        magnitude = (((mantissa << 1) + np.where(exponent == 0, 1, 33)) << np.maximum(exponent - 1, 0)) << 3
        negative = code & 0x80 == 0
    table = np.where(negative, -magnitude, magnitude).astype("<i2")
    table.setflags(write=False)
    return table


@cache
def _encoder(law: Law) -> tuple[Callable[..., Any], Any, Callable[..., Any]]:
    """Cache the functions and the dtype of :func:`encode`: for 20 ms of audio their lookup is a third of the cost."""
    import numpy as np

    return np.frombuffer, np.dtype("<u2"), _encode_table(law).take


@cache
def _encode_table(law: Law) -> NDArray[np.uint8]:
    """Return the codes of all samples, indexed by the sample as an unsigned number; shape ``(65536,)``."""
    import numpy as np

    sample = np.arange(1 << 16).astype(np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.where(sample < 0, ~sample, sample)
    if law == "pcmu":
        level = np.minimum((magnitude >> 2) + _MU_BIAS, _MU_CLIP)
        exponent = _bit_length(level) - 6
        code = 0x7F ^ (exponent << 4 | (level >> (exponent + 1)) & 15)
    else:
        level = magnitude >> 4
        exponent = np.maximum(_bit_length(level) - 4, 0)
        code = _A_EVEN_BITS ^ (exponent << 4 | (level >> np.maximum(exponent - 1, 0)) & 15)
    table: NDArray[np.uint8] = np.where(sample < 0, code, code | 0x80).astype(np.uint8)
    return table


def _bit_length(values: NDArray[np.int32]) -> NDArray[np.int32]:
    import numpy as np

    exponents: NDArray[np.int32] = np.frexp(values)[1]
    return exponents
