"""G.711, both laws, by table.

The laws are those of ITU-T Recommendation G.711 (11/1988). They are defined on 14 bits (mu-law) and 13 bits (A-law);
how a sample of 16 bits is taken is that of the ITU's Software Tool Library (Recommendation G.191): the lower bits of
the magnitude are cut off, and the magnitude of a negative sample is its one's complement, so that both halves of the
scale are alike.
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
"""mu-law and A-law, by the names that RTP and OpenAI give them."""

RATE_HZ = 8_000
_MU_BIAS = 33
_MU_CLIP = 0x1FFF
_A_EVEN_BITS = 0x55


def encode(pcm: Pcm, law: Law) -> bytes:
    """Compress s16le samples.

    Args:
        pcm: Whole samples, as bytes or as an array of shape ``(samples,)``, contiguous.
        law: Which of the two.

    Returns:
        A byte for each sample.
    """
    frombuffer, unsigned, take = _encoder(law)
    # "clip" spares a check of bounds that 16 bits cannot cross: a third of the time.
    codes: bytes = take(frombuffer(pcm, unsigned), None, None, "clip").tobytes()
    return codes


def decode(data: bytes, law: Law) -> bytes:
    """Expand G.711 to s16le: two bytes for each one."""
    import numpy as np

    return decode_table(law).take(np.frombuffer(data, np.uint8), mode="clip").tobytes()


@cache
def decode_table(law: Law) -> NDArray[np.int16]:
    """The samples of the 256 codes, little-endian, scaled to 16 bits; shape ``(256,)``, not to be written to."""
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
    """What encoding takes: for 20 ms, looking it up each time would be a third of the cost."""
    import numpy as np

    return np.frombuffer, np.dtype("<u2"), _encode_table(law).take


@cache
def _encode_table(law: Law) -> NDArray[np.uint8]:
    """The codes of all samples, by the sample as an unsigned number; shape ``(65536,)``."""
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
