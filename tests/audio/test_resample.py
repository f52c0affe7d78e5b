"""Resampler: pitch, level, length, aliasing and invalid values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.audio.resample import Resampler
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATES = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000]


def tone(hertz: float, rate_hz: int, seconds: float = 1.0, amplitude: float = 0.5) -> NDArray[np.float32]:
    """A sine wave."""
    at = np.arange(round(rate_hz * seconds)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


def resample(
    block: NDArray[np.float32], source: int, wire: int, sizes: int = 1000, *, live: bool = False
) -> NDArray[np.int16]:
    """Resample a block in pieces."""
    resampler = Resampler(source, wire, live=live)
    pieces = [resampler.push(block[start : start + sizes]) for start in range(0, len(block), sizes)]
    return np.frombuffer(b"".join(pieces) + resampler.flush(), "<i2")


def spectrum_dbfs(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Spectrum of the middle of the audio, dBFS; a full-scale sine is 0."""
    middle = samples[len(samples) // 4 : -len(samples) // 4].astype(np.float64) / 32768
    window = np.blackman(len(middle))
    levels: NDArray[np.float64] = 20 * np.log10(np.abs(np.fft.rfft(middle * window)) * 2 / window.sum() + 1e-12)
    return levels


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
@pytest.mark.parametrize("rate_hz", RATES)
def test_tone_keeps_its_pitch_and_level(rate_hz: int, *, live: bool) -> None:
    """1 kHz at -6 dBFS keeps its pitch within 0.1 % and its level within 0.1 dB."""
    out = resample(tone(1000, rate_hz, 2.0), rate_hz, 24_000, live=live)
    levels = spectrum_dbfs(out)
    peak = int(np.argmax(levels))

    assert abs(peak * 24_000 / (2 * (len(levels) - 1)) - 1000) <= 1.0
    assert abs(levels[peak] - -6.02) < 0.1


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("hertz", [13_000, 15_000, 18_000, 21_500])
def test_nothing_aliases(hertz: int, rate_hz: int, *, live: bool) -> None:
    """A tone above the Nyquist rate is removed: nothing above -90 dBFS is left."""
    out = resample(tone(hertz, rate_hz, 2.0), rate_hz, 24_000, live=live)

    assert spectrum_dbfs(out).max() < -90


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_live_sound_comes_at_once(rate_hz: int) -> None:
    """At most 6 ms are held back, at any time; 11 kHz passes unchanged."""
    sound = tone(11_000, rate_hz)
    resampler = Resampler(rate_hz, 24_000, live=True)
    size, out = rate_hz // 50, b""
    for end in range(size, len(sound) + 1, size):
        out += resampler.push(sound[end - size : end])
        assert end / rate_hz - len(out) / 2 / 24_000 < 0.006

    middle = np.frombuffer(out, "<i2")[2400:-2400] / 32768
    assert abs(20 * np.log10(np.sqrt(2 * np.mean(middle**2))) - -6.02) < 0.1


@pytest.mark.parametrize("rate_hz", RATES)
def test_live_sound_is_in_its_place(rate_hz: int) -> None:
    """Within 0.1 ms of the sound of a file."""
    click = np.zeros(rate_hz, np.float32)
    click[rate_hz // 2] = 0.5
    envelope = np.convolve(click, np.hanning(rate_hz // 500), "same").astype(np.float32)
    places = [np.average(np.arange(len(out)), weights=np.abs(out)) for out in _both(envelope, rate_hz)]

    assert abs(places[1] - places[0]) / 24_000 < 0.0001


def _both(sound: NDArray[np.float32], rate_hz: int) -> list[NDArray[np.int16]]:
    return [resample(sound, rate_hz, 24_000, live=live) for live in (False, True)]


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("frames", [0, 1, 100, 12_345])
def test_length_is_the_ratio(rate_hz: int, frames: int, *, live: bool) -> None:
    """The number of output samples is the input times the ratio, within one."""
    out = resample(np.zeros(frames, np.float32), rate_hz, 24_000, live=live)

    assert abs(len(out) - frames * 24_000 / rate_hz) <= 1


def test_equals_one_shot() -> None:
    """Block-wise resampling equals one-shot resampling within one step."""
    noise = np.random.default_rng(3).uniform(-0.4, 0.4, 32_000).astype(np.float32)
    whole = np.rint(soxr.resample(noise, 16_000, 24_000, quality="HQ") * 32768)
    out = resample(noise, 16_000, 24_000, sizes=777)

    assert len(out) == len(whole)
    assert np.abs(out - whole).max() <= 1


@given(sizes=st.lists(st.integers(0, 3000), max_size=12), live=st.booleans())
@settings(max_examples=60, deadline=None)
def test_split_does_not_matter(sizes: list[int], *, live: bool) -> None:
    """Blocks of any length give the same samples."""
    noise = np.random.default_rng(4).uniform(-0.9, 0.9, 8000).astype(np.float32)
    resampler = Resampler(44_100, 24_000, live=live)
    pieces = np.split(noise, np.minimum(np.cumsum(sizes, dtype=int), len(noise)))
    out = b"".join(resampler.push(piece) for piece in pieces) + resampler.flush()

    assert out == resample(noise, 44_100, 24_000, sizes=8000, live=live).tobytes()


def test_equal_rates_change_nothing() -> None:
    """With equal rates every PCM16 value passes bit for bit."""
    values = np.arange(-32768, 32768, dtype="<i2")
    resampler = Resampler(24_000, 24_000)

    assert resampler.push(values.astype(np.float32) / np.float32(32768)) == values.tobytes()
    assert resampler.flush() == b""


def test_bad_values_are_silence_and_no_more() -> None:
    """NaN and infinity become silence and do not spoil later samples."""
    block = tone(1000, 48_000)
    hurt = block.copy()
    hurt[[100, 20_000]] = np.nan, np.inf
    difference = resample(block, 48_000, 24_000).astype(int) - resample(hurt, 48_000, 24_000)

    assert np.abs(difference[11_000:]).max() <= 1


def test_flush_twice_gives_nothing() -> None:
    """A second flush() returns no bytes."""
    resampler = Resampler(48_000, 24_000)
    resampler.push(tone(1000, 48_000))
    resampler.flush()

    assert resampler.flush() == b""


@pytest.mark.parametrize("rate_hz", [0, 1, 999, 768_001, 4_000_000_000])
def test_absurd_rates_are_refused(rate_hz: int) -> None:
    """A rate out of range raises AudioError."""
    with pytest.raises(AudioError, match=str(rate_hz)):
        Resampler(rate_hz, 24_000)
