"""Where sound is louder than its noise: the end of speech, the first sound of a reply. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import pcm16_to_float

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FRAME_S = 0.01
_BELOW_PEAK = 10 ** (-35 / 20)
"""Speech is within so much of its loudest frame, amplitude."""
_SILENCE = 10 ** (-60 / 20)
"""Nothing below is a sound, amplitude."""
_AUDIBLE = 10 ** (-50 / 20)
"""A reply begins with the first sample above, amplitude."""


def speech_end(pcm: bytes, rate_hz: int) -> int:
    """Return the samples up to the end of the last frame of 10 ms that is not silence; all of them if all is."""
    size = round(_FRAME_S * rate_hz)
    levels = _levels(pcm, size)
    if not levels.size:
        return len(pcm) // 2
    loud = levels > max(float(levels.max()) * _BELOW_PEAK, _SILENCE)
    frames = loud.nonzero()[0]
    return min((int(frames[-1]) + 1) * size, len(pcm) // 2) if frames.size else len(pcm) // 2


def first_sound(pcm: bytes) -> int | None:
    """Return the index of the first sample that can be heard; None if all is silence."""
    loud = (abs(pcm16_to_float(pcm)) > _AUDIBLE).nonzero()[0]
    return int(loud[0]) if loud.size else None


def _levels(pcm: bytes, size: int) -> NDArray[np.float32]:
    samples = pcm16_to_float(pcm)
    whole = samples[: samples.size // size * size].reshape(-1, size)
    levels: NDArray[np.float32] = (whole**2).mean(axis=1) ** 0.5
    return levels
