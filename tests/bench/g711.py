"""How fast G.711 is, against CPython's C: ``python tests/bench/g711.py``. Needs Python 3.11 or 3.12, the last with it.

A ratio of 2 means twice as fast as C. Each is the best of many rounds, the two taken in turn.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from rt_cli.audio import g711

if TYPE_CHECKING:
    from collections.abc import Callable

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import audioop

ROUNDS = 200
BLOCKS_MS = (20, 100, 1000)


def seconds(call: Callable[[], object], times: int) -> float:
    """Return the CPU time of this many calls."""
    start = time.process_time()
    for _ in range(times):
        call()
    return time.process_time() - start


def ratio(ours: Callable[[], object], theirs: Callable[[], object], times: int) -> tuple[float, float]:
    """Return microseconds of one call of ``rt``, and its speed relative to the other function."""
    rounds = [(seconds(ours, times), seconds(theirs, times)) for _ in range(ROUNDS)]
    best = min(mine for mine, _ in rounds)
    return best / times * 1e6, min(other for _, other in rounds) / best


def main() -> None:
    """Measure each law, direction and block."""
    random = np.random.default_rng(1)
    for law, encode, decode in (
        ("pcmu", audioop.lin2ulaw, audioop.ulaw2lin),
        ("pcma", audioop.lin2alaw, audioop.alaw2lin),
    ):
        for block_ms in BLOCKS_MS:
            count = g711.RATE_HZ * block_ms // 1000
            pcm = random.integers(-32768, 32767, count).astype("<i2").tobytes()
            data = g711.encode(pcm, law)
            times = 64_000 // count
            for name, (took_us, faster) in {
                "encode": ratio(lambda p=pcm, w=law: g711.encode(p, w), lambda p=pcm, e=encode: e(p, 2), times),
                "decode": ratio(lambda d=data, w=law: g711.decode(d, w), lambda d=data, e=decode: e(d, 2), times),
            }.items():
                print(f"{law} {name} {block_ms:5d} ms  {took_us:7.1f} us  {faster:5.2f} x C")


if __name__ == "__main__":
    main()
