"""Conversion between PCM16 and float audio."""

from __future__ import annotations

import numpy as np

from rt_cli.audio.format import float_to_pcm16, pcm16_to_float


def test_every_sample_survives() -> None:
    """All 65 536 values, exactly; the range is [-1, 1)."""
    pcm = np.arange(-32768, 32768, dtype="<i2").tobytes()
    block = pcm16_to_float(pcm)
    assert (block.dtype, block.shape) == (np.float32, (65_536,))
    assert (float(block[0]), float(block[32_768]), float(block[-1])) == (-1.0, 0.0, 32_767 / 32_768)
    assert float_to_pcm16(block) == pcm


def test_no_audio() -> None:
    """An empty block."""
    assert pcm16_to_float(b"").shape == (0,)
