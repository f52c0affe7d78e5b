"""Gain for a source."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.gain import amplified
from rt_cli.audio.source import Block
from tests.fakes import run
from tests.streaming.harness import MemorySource


def through(samples: list[int], gain_db: float) -> tuple[list[int], list[str]]:
    """The amplified samples, and the codes of the warnings."""
    warnings: list[str] = []
    source = amplified(MemorySource(np.array(samples, "<i2").tobytes()), gain_db, lambda code, _: warnings.append(code))

    async def read() -> bytes:
        return b"".join([block.pcm async for block in source.blocks()])

    return np.frombuffer(run(read()), "<i2").tolist(), warnings


@pytest.mark.parametrize(
    ("gain_db", "samples", "expected", "warnings"),
    [
        (20.0, [0, 1, -1, 3000], [0, 10, -10, 30_000], []),
        (-20.0, [0, 10, -30_000], [0, 1, -3000], []),
        (20.0, [4000, -4000, 4000], [32_767, -32_768, 32_767], ["clipping"]),
        (0.0, [5, -32_768], [5, -32_768], []),
    ],
)
def test_decibels(gain_db: float, samples: list[int], expected: list[int], warnings: list[str]) -> None:
    """20 dB is a factor of 10; clipping causes one warning."""
    assert through(samples, gain_db) == (expected, warnings)


@given(st.lists(st.integers(-32_768, 32_767), min_size=1), st.floats(-60, 60))
def test_any_sound(samples: list[int], gain_db: float) -> None:
    """No sample wraps or is lost, and a warning appears exactly if a sample clips."""
    heard, warnings = through(samples, gain_db)
    factor = 10 ** (gain_db / 20)
    exact = [sample * factor for sample in samples]
    assert len(heard) == len(samples)
    for got, wanted in zip(heard, exact, strict=True):
        assert abs(got - min(32_767, max(-32_768, wanted))) <= 0.5
    assert warnings == (["clipping"] if any(not -32_768.5 <= each < 32_767.5 for each in exact) else [])


def test_holes_stay() -> None:
    """Holes pass unchanged."""

    class Holed(MemorySource):
        async def blocks(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 - as the class it stands for
            yield Block(b"\1\0", 7, "device_lost")

    async def read() -> list[Block]:
        return [block async for block in amplified(Holed(b""), 20.0).blocks()]

    assert run(read()) == [Block(b"\n\0", 7, "device_lost")]
