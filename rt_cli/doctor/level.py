"""Measure the level of a microphone, and rate it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rt_cli.audio.format import SILENCE_DBFS, levels_dbfs

if TYPE_CHECKING:
    from collections.abc import Sequence

Rating = Literal["silent", "quiet", "good", "clipping"]

FRAME_S = 0.05
QUIET_DBFS = -45.0
"""Speech at arm's length is 10 to 25 dB louder."""
_LOWEST_DBFS = -66.0
_BARS = "▁▂▃▄▅▆▇█"
_SILENT_PEAK_DBFS = -90.0
"""One bit is -90.3 dBFS: the dither of a converter whose microphone is off."""


@dataclass(frozen=True, slots=True)
class SpeechLevel:
    """The level of a short recording."""

    rating: Rating
    speech_dbfs: float
    """Level of the loudest quarter of the frames: excludes pauses between words."""
    peak_dbfs: float
    bars: str
    """One bar character per 50 ms."""


def measure(pcm: bytes, rate_hz: int, *, clipped: bool) -> SpeechLevel:
    """Measure and rate a recording.

    Args:
        pcm: Mono s16le.
        rate_hz: Sample rate of ``pcm``.
        clipped: Whether :class:`rt_cli.audio.microphone.input_health.InputHealth` detected clipping.
    """
    size = 2 * round(FRAME_S * rate_hz)
    frames = [levels_dbfs(pcm[at : at + size])[0] for at in range(0, len(pcm) - size + 1, size)]
    speech, peak = loudest_quarter(frames), levels_dbfs(pcm)[1]
    return SpeechLevel(rate(speech, peak, clipped=clipped), speech, peak, "".join(map(_bar, frames)))


def loudest_quarter(frames: Sequence[float]) -> float:
    """Return the mean power of the loudest quarter of the frames (at least one), in dBFS; -96 for no frames."""
    loudest = sorted(frames, reverse=True)[: max(1, len(frames) // 4)]
    if not loudest:
        return SILENCE_DBFS
    return 10 * math.log10(sum(10 ** (level / 10) for level in loudest) / len(loudest))


def rate(speech_dbfs: float, peak_dbfs: float, *, clipped: bool) -> Rating:
    """Rate a level: silent, quiet, good or clipping."""
    if peak_dbfs < _SILENT_PEAK_DBFS:
        return "silent"
    if clipped:
        return "clipping"
    return "quiet" if speech_dbfs < QUIET_DBFS else "good"


def _bar(level_dbfs: float) -> str:
    height = round((level_dbfs - _LOWEST_DBFS) / -_LOWEST_DBFS * (len(_BARS) - 1))
    return _BARS[min(max(height, 0), len(_BARS) - 1)]
