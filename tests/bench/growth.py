"""What longer audio costs: ``python tests/bench/growth.py [--minutes 10 60 480]``: CPU per hour, and memory.

Files are sent as fast as they go. CPU is that beyond a run of four seconds; memory is the most resident one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.measure import SINK_ARGUMENTS, Run, median, run_rt, sink, table, write_wav

SHORT_S = 4.0


def command(path: Path, url: str) -> Run:
    """Return the command that sends a file."""
    return run_rt("send", str(path), "--url", url, "--speed", "max", "--turn-detection", "server_vad", *SINK_ARGUMENTS)


def measure(rounds: int = 3, minutes: list[float] | None = None) -> None:
    """Print the table."""
    minutes = minutes or [10, 60, 480]
    rows = []
    with tempfile.TemporaryDirectory() as folder, sink() as endpoint:
        path = Path(folder) / "long.wav"
        for length in minutes:
            costs, peaks = [], []
            # Start times vary by more than a few minutes of audio cost.
            for _ in range(max(rounds, round(60 / length))):
                short = command(write_wav(path, seconds=SHORT_S), endpoint.url)
                long = command(write_wav(path, seconds=SHORT_S + length * 60), endpoint.url)
                costs.append((long.cpu_s - short.cpu_s) / length * 60)
                peaks.append(max(mib for _, mib in long.rss_mib))
            rows.append(
                (f"{length:g}", f"{median(costs):.2f}", f"{min(costs):.2f} .. {max(costs):.2f}", f"{median(peaks):.1f}")
            )
    print("\ncost of longer audio, as fast as it goes\n")
    table(("minutes", "CPU s per hour", "least .. most", "most memory, MiB"), rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 60, 480])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    measure(options.rounds, options.minutes)
