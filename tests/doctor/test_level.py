"""The level of a microphone, and its rating."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.doctor.level import FRAME_S, loudest_quarter, measure, rate

RATE_HZ = 24_000


def tone(dbfs: float, seconds: float) -> bytes:
    """Return a tone of this RMS."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wave = 10 ** (dbfs / 20) * np.sqrt(2) * np.sin(2 * np.pi * 200 * t)
    return bytes((np.clip(wave, -1, 1) * 32767).round().astype("<i2").tobytes())


@pytest.mark.parametrize(
    ("pcm", "rating"),
    [
        pytest.param(b"", "silent", id="nothing"),
        pytest.param(bytes(48_000), "silent", id="zeros"),
        pytest.param(np.resize(np.array([0, 1, 0, -1], "<i2"), 36_000).tobytes(), "silent", id="one bit of dither"),
        pytest.param(tone(-60, 1.5), "quiet", id="noise of a room"),
        pytest.param(tone(-30, 1.5), "good", id="speech"),
        pytest.param(bytes(48_000) + tone(-30, 0.5), "good", id="a word after a pause"),
    ],
)
def test_rating(pcm: bytes, rating: str) -> None:
    """Pauses do not lower the level of speech."""
    assert measure(pcm, RATE_HZ, clipped=False).rating == rating


def test_clipping() -> None:
    """Clipping is rated as such, except in silence."""
    assert measure(tone(-3, 1), RATE_HZ, clipped=True).rating == "clipping"
    assert rate(-96, -96, clipped=True) == "silent"


@pytest.mark.parametrize("dbfs", [-40.0, -20.0, -6.0])
def test_level_of_the_loud_part(dbfs: float) -> None:
    """A tone for a quarter of the time has the level that it has alone."""
    level = measure(tone(dbfs, 0.5) + bytes(2 * round(1.5 * RATE_HZ)), RATE_HZ, clipped=False)
    assert level.speech_dbfs == pytest.approx(dbfs, abs=0.5)
    assert level.peak_dbfs == pytest.approx(dbfs + 3, abs=0.5)


def test_bars() -> None:
    """One bar per frame; louder frames have higher bars."""
    level = measure(
        bytes(2 * round(FRAME_S * RATE_HZ)) + tone(-33, FRAME_S) + tone(-3, FRAME_S), RATE_HZ, clipped=False
    )
    low, middle, high = level.bars
    assert low < middle < high


@given(st.lists(st.floats(-96, 0), max_size=50))
def test_loudest_quarter_is_total(frames: list[float]) -> None:
    """The level lies between the loudest frame and the floor, in any order of frames."""
    level = loudest_quarter(frames)
    assert -96.001 <= level <= max(frames, default=-96) + 0.001
    assert loudest_quarter(frames[::-1]) == pytest.approx(level)
