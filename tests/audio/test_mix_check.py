"""MixCheck: silence, and channels that cancel each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from rt_cli.audio.mix_check import MixCheck

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rt_cli.audio.channels import Pick

RATE = 8000
NOISE = np.random.default_rng(2).uniform(-0.3, 0.3, 5 * RATE).astype(np.float32)
OTHER = np.random.default_rng(3).uniform(-0.3, 0.3, 5 * RATE).astype(np.float32)


def warning(*channels: NDArray[np.float32], pick: Pick = "mix", block: int = 1000) -> str:
    """The text of the warning about sound that comes in blocks; empty for none."""
    check = MixCheck()
    frames = np.stack(channels, axis=1)
    texts = []
    for start in range(0, len(frames), block):
        check.choose(frames[start : start + block], pick, RATE)
        texts.append(check.warning())
    texts.append(check.warning(at_end=True))
    found = [text for text in texts if text is not None]
    assert len(found) <= 1
    assert all(code == "silent_input" for code, _ in found)
    return found[0][1] if found else ""


@pytest.mark.parametrize("block", [100, 12_345, 40_000])
@pytest.mark.parametrize("quiet_start", [0, 2 * RATE], ids=["at once", "after silence"])
def test_channels_that_cancel_each_other(block: int, quiet_start: int) -> None:
    """Inverted channels cause the warning, however the sound is split and wherever it begins."""
    sound = np.concatenate([np.zeros(quiet_start, np.float32), NOISE])

    assert "--channel left" in warning(sound, -sound, block=block)
    assert "--channel left" in warning(sound, -0.99 * sound, block=block)


@pytest.mark.parametrize(
    ("channels", "pick"),
    [
        ((NOISE, NOISE), "mix"),
        ((NOISE, OTHER), "mix"),
        ((NOISE, np.zeros_like(NOISE)), "mix"),
        ((NOISE, -NOISE / 2), "mix"),
        ((NOISE, -NOISE), 0),
        ((NOISE, -NOISE), "split"),
        ((NOISE,), "mix"),
    ],
)
def test_other_sound_causes_no_warning(channels: tuple[NDArray[np.float32], ...], pick: Pick) -> None:
    """Sound that is heard is no reason to warn."""
    assert warning(*channels, pick=pick) == ""


@pytest.mark.parametrize("pick", ["mix", "split", 1])
def test_pure_silence(pick: Pick) -> None:
    """Zeros alone in the chosen channels cause a warning at the end."""
    zeros = np.zeros_like(NOISE)

    assert "pure silence" in warning(zeros, zeros, pick=pick)
    assert "pure silence" in warning(NOISE, zeros, pick=1)


def test_a_single_sample_is_no_silence() -> None:
    """One sample that is not 0 is sound; and of no sound at all nothing is known."""
    one = np.zeros_like(NOISE)
    one[-1] = 0.001

    assert warning(one) == ""
    assert warning(one[:0]) == ""


@pytest.mark.parametrize("pcm", [bytes(1000), bytes(999) + b"\1", b""])
def test_pcm_that_passes_unchanged(pcm: bytes) -> None:
    """s16le is checked as it is."""
    check = MixCheck()
    check.take_pcm(bytes(100) if pcm else b"")
    check.take_pcm(pcm)

    assert (check.warning(at_end=True) is not None) == (pcm == bytes(1000))
