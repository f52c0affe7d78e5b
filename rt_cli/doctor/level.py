"""How loud a microphone is, and whether that will do. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rt_cli.audio.format import SILENCE_DBFS, levels_dbfs

if TYPE_CHECKING:
    from collections.abc import Sequence

Verdict = Literal["silent", "quiet", "good", "clipping"]

FRAME_S = 0.05
QUIET_DBFS = -45.0
"""Speech at arm's length is 10 to 25 dB louder."""
_LOWEST_DBFS = -66.0
_BARS = "▁▂▃▄▅▆▇█"
_SILENT_PEAK_DBFS = -90.0
"""One bit is -90.3: dither of a converter whose microphone is off."""


@dataclass(frozen=True, slots=True)
class SpeechLevel:
    """What a few moments of sound show."""

    verdict: Verdict
    speech_dbfs: float
    """Of the loudest quarter of the frames: pauses between words do not count."""
    peak_dbfs: float
    drawing: str
    """A bar for each twentieth of a second."""


def measure(pcm: bytes, rate_hz: int, *, clipped: bool) -> SpeechLevel:
    """Judge a recording.

    Args:
        pcm: Mono s16le.
        rate_hz: Of it.
        clipped: Whether it was heard to clip, as :class:`rt_cli.audio.microphone.input_health.InputHealth` tells.
    """
    size = 2 * round(FRAME_S * rate_hz)
    frames = [levels_dbfs(pcm[at : at + size])[0] for at in range(0, len(pcm) - size + 1, size)]
    speech, peak = loudest_quarter(frames), levels_dbfs(pcm)[1]
    return SpeechLevel(verdict_on(speech, peak, clipped=clipped), speech, peak, "".join(map(_bar, frames)))


def loudest_quarter(frames: Sequence[float]) -> float:
    """The mean power of the loudest quarter of the frames, at least one, in dBFS; -96 for none."""
    loudest = sorted(frames, reverse=True)[: max(1, len(frames) // 4)]
    if not loudest:
        return SILENCE_DBFS
    return 10 * math.log10(sum(10 ** (level / 10) for level in loudest) / len(loudest))


def verdict_on(speech_dbfs: float, peak_dbfs: float, *, clipped: bool) -> Verdict:
    """Silent, quiet, good or clipping."""
    if peak_dbfs < _SILENT_PEAK_DBFS:
        return "silent"
    if clipped:
        return "clipping"
    return "quiet" if speech_dbfs < QUIET_DBFS else "good"


def _bar(level_dbfs: float) -> str:
    height = round((level_dbfs - _LOWEST_DBFS) / -_LOWEST_DBFS * (len(_BARS) - 1))
    return _BARS[min(max(height, 0), len(_BARS) - 1)]
