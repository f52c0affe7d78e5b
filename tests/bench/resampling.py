"""48 and 44.1 kHz to 24 kHz: ``python tests/bench/resampling.py``. Aliases, the level at 11 kHz, and times real time.

Levels are of what comes out against what went in, s16le included; a tone above 12 kHz must not come out.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from rt_cli.audio.resample import Resampler
from tests.bench.measure import median, table

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIRE_HZ = 24_000
SECONDS = 20
_SILENT = 1e-6
"""RMS of less than a bit of s16le."""
BLOCKS_S = (0.02, 0.1, 8.0)
"""Block lengths of a callback, a pipe and a file."""


def tone(hz: float, rate_hz: int, seconds: float = SECONDS) -> NDArray[np.float32]:
    """Return a tone at half of full scale."""
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)).astype(np.float32)


def converted(sound: NDArray[np.float32], rate_hz: int, block_s: float = 0.1) -> NDArray[np.float64]:
    """Return the resampled sound, nominally in [-1, 1]."""
    resampler = Resampler(rate_hz, WIRE_HZ)
    step = int(rate_hz * block_s)
    parts = [resampler.push(sound[at : at + step]) for at in range(0, len(sound), step)]
    return np.frombuffer(b"".join([*parts, resampler.flush()]), "<i2") / 32768


def level_db(hz: float, rate_hz: int) -> float:
    """Return the level of a resampled tone, without its start and end."""
    sound = tone(hz, rate_hz)
    out = converted(sound, rate_hz)[WIRE_HZ:-WIRE_HZ]
    rms = max(float(np.sqrt(np.mean(np.square(out)))), _SILENT)
    return 20 * float(np.log10(rms / np.sqrt(np.mean(np.square(sound, dtype=np.float64)))))


def times_real_time(rate_hz: int, block_s: float, rounds: int) -> float:
    """Return the speed by CPU time of this process, median."""
    noise = np.random.default_rng(1).normal(0, 0.1, rate_hz * SECONDS).astype(np.float32)
    costs = []
    for _ in range(rounds):
        began = time.process_time()
        converted(noise, rate_hz, block_s)
        costs.append(time.process_time() - began)
    return SECONDS / median(costs)


def measure(rounds: int = 5) -> None:
    """Print the table."""
    print("\nresampling to 24 kHz (dB; times real time by blocks of 20 ms, 100 ms, 8 s)\n")
    table(
        ("from", "13 kHz", "15 kHz", "20 kHz", "11 kHz", "x, 20 ms", "x, 100 ms", "x, 8 s"),
        [
            (
                rate_hz,
                *(f"{level_db(hz, rate_hz):.2f}" for hz in (13_000, 15_000, 20_000, 11_000)),
                *(f"{times_real_time(rate_hz, block_s, rounds):.0f}" for block_s in BLOCKS_S),
            )
            for rate_hz in (48_000, 44_100)
        ],
    )


if __name__ == "__main__":
    measure()
