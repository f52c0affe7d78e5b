"""``rt bench`` in one process and in one per core: ``python -m tests.bench.cores [--sessions 100] [--seconds 15]``.

40 ms a message, real time, both alternately, against one sink on any core: the clients need them all, so that it is not
pinned, and its CPU stands beside them. Sessions by CPU are those with which the busiest process takes 85 % of a core.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

from rt_cli.bench.workers.count import usable_cores
from tests.bench.latency import bench
from tests.bench.measure import median, sink, table, write_wav

_BUSY = 0.85


def measure(rounds: int, sessions: int = 100, seconds: float = 15) -> None:
    """Print the table."""
    runs = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        path = str(write_wav(Path(folder) / "sound.wav", seconds=seconds))
        for _ in range(rounds):
            for workers in (1, usable_cores()):
                with sink(pinned=False) as endpoint:
                    endpoint.mark()
                    load = ("--turn-detection", "server_vad", "--chunk-ms", "40", "--sessions", str(sessions))
                    level = bench(endpoint.url, path, *load, "--spread", "4s", "--workers", str(workers))
                    runs[workers].append((level, endpoint.mark()))
    print(f"\n{sessions} sessions of rt bench in real time, 40 ms a message ({rounds} rounds, medians)\n")
    rows = []
    for workers, each in runs.items():
        levels, headrooms = zip(*each, strict=True)
        busiest = median([level["client_cpu"] for level in levels])
        late = [f"{median([level['lateness_ms'][name] for level in levels]):.1f}" for name in ("p50", "p99")]
        worst = max(headrooms, key=lambda headroom: headroom.late_p99_ms)
        refused = any(headroom.starved or headroom.late for headroom in headrooms)
        rows.append(
            (
                workers,
                *(["refused"] * 2 if refused else late),
                busiest,
                median([level["clients_cpu"] for level in levels]),
                round(sessions * _BUSY / busiest),
                worst,
            )
        )
    header = (
        "processes",
        "late p50 ms",
        "p99",
        "CPU of the busiest, of a core",
        "of all",
        "sessions by CPU",
        "the sink",
    )
    table(header, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15)
    options = parser.parse_args()
    measure(options.rounds, options.sessions, options.seconds)
