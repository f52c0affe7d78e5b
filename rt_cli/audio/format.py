"""Sample format, positions and levels. Pure.

Audio inside ``rt`` is mono signed 16-bit little-endian PCM (s16le) at the wire rate. Positions on the *timeline* are
samples at that rate, counted from the first captured sample.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BYTES_PER_SAMPLE = 2
FULL_SCALE = 32768
SILENCE_DBFS = -96.0
"""Level of digital silence and lower limit of every level; one quantization step is 20 log10(1/32768) = -90.3 dBFS."""


def to_ms(samples: int, rate_hz: int) -> int:
    """Convert samples to whole milliseconds, rounded down."""
    return samples * 1000 // rate_hz


def to_samples(ms: float, rate_hz: int) -> int:
    """Convert milliseconds to samples, rounded to the nearest."""
    return round(ms * rate_hz / 1000)


def silence(samples: int) -> bytes:
    """Return digital silence, ``2 * samples`` bytes."""
    return bytes(samples * BYTES_PER_SAMPLE)


def levels_dbfs(pcm: bytes) -> tuple[float, float]:
    """Return RMS and peak level of s16le audio in dBFS, each within [-96, 0]; (-96, -96) for no audio.

    A full-scale sine has an RMS of -3 dBFS, as on most meters.
    """
    import numpy as np

    samples = np.frombuffer(pcm, dtype="<i2")
    if samples.size == 0:
        return SILENCE_DBFS, SILENCE_DBFS
    peak = max(abs(int(samples.min())), abs(int(samples.max())))
    wide = samples.astype(np.float32)
    return _dbfs(math.sqrt(float(np.dot(wide, wide)) / samples.size)), _dbfs(float(peak))


def _dbfs(value: float) -> float:
    return max(SILENCE_DBFS, 20 * math.log10(value / FULL_SCALE)) if value > 0 else SILENCE_DBFS


def pcm16_to_float(pcm: bytes) -> NDArray[np.float32]:
    """Convert PCM16 to float audio, range [-1, 1).

    Args:
        pcm: Signed 16-bit little-endian, whole samples.

    Returns:
        Shape ``(samples,)``, channels interleaved as in ``pcm``.
    """
    import numpy as np

    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(FULL_SCALE)


def float_to_pcm16(block: NDArray[np.float32]) -> bytes:
    """Convert mono float audio to PCM16.

    Args:
        block: Shape ``(frames,)``, nominal range [-1, 1].

    Returns:
        Signed 16-bit little-endian, ``2 * frames`` bytes; rounded to the nearest and clipped at full scale. NaN becomes
        silence.
    """
    import numpy as np

    scaled = np.nan_to_num(block * np.float32(FULL_SCALE), nan=0.0, posinf=FULL_SCALE, neginf=-FULL_SCALE)
    pcm: bytes = np.clip(np.rint(scaled), -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes()
    return pcm
