"""How even ``--speed 1`` is, seen from the endpoint: ``python tests/bench/pacing.py [--minutes 5]``.

Each message of audio is due as much later than the others as its last sample is on the timeline. Lateness is against
the most punctual of them all, so that it is never negative. The first second is left out: what was captured during the
handshake follows it at once. Drift is how much later the last second came than the first one counted, by the medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.measure import SINK_ARGUMENTS, lateness_s, run_rt, sink, table, write_wav


def main() -> None:
    """Measure each size of chunks and print a row of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--chunk-ms", type=int, action="append")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = str(write_wav(Path(folder) / "paced.wav", seconds=options.minutes * 60))
        for chunk_ms in options.chunk_ms or (20, 100):
            with sink("--stamps") as endpoint:
                pace = ("--speed", "1", "--chunk-ms", str(chunk_ms), "--turn-detection", "server_vad")
                run = run_rt("send", path, "--url", endpoint.url, *pace, *SINK_ARGUMENTS)
                second = 1000 // chunk_ms
                late = lateness_s(endpoint.report()["stamps"][second:])
            drift = statistics.median(late[-second:]) - statistics.median(late[:second])
            steps = statistics.quantiles(late, n=100)
            figures = (statistics.median(late), steps[98], max(late), drift)
            cpu_per_hour = run.cpu_s / options.minutes * 60
            rows.append(
                (chunk_ms, run.exit_code, len(late), *(f"{1000 * value:.2f}" for value in figures), cpu_per_hour)
            )
    table(
        ("chunk ms", "exit", "chunks", "late p50 ms", "p99 ms", "max ms", "drift ms", "CPU s per hour"),
        rows,
    )


if __name__ == "__main__":
    main()
