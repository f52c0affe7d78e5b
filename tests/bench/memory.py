"""Memory and CPU of hours of audio: ``python tests/bench/memory.py [--hours 3]``.

Growth is the most resident memory after the first ten seconds of audio had arrived, less that of then.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.measure import SINK_ARGUMENTS, run_rt, sink, table, write_wav

CASES = {
    "24 kHz mono, server_vad": (24_000, 1, "server_vad"),
    "48 kHz stereo, server_vad": (48_000, 2, "server_vad"),
    "24 kHz mono, client": (24_000, 1, "client"),
}


def main() -> None:
    """Measure the cases and print a row of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=3)
    parser.add_argument("--case", choices=CASES, action="append")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.case or CASES:
            rate_hz, channels, turns = CASES[name]
            path = write_wav(
                Path(folder) / "long.wav", seconds=options.hours * 3600, rate_hz=rate_hz, channels=channels
            )
            with sink() as endpoint:
                command = ("send", str(path), "--url", endpoint.url, "--speed", "max", "--turn-detection", turns)
                run = run_rt(*command, *SINK_ARGUMENTS)
                report = endpoint.report()
            rows.append(
                (
                    name,
                    run.exit_code,
                    run.summary["ledger"]["settled"] - report["samples"],
                    run.growth_mib(report["ten_s_at"]),
                    max(mib for _, mib in run.rss_mib),
                    run.cpu_s / options.hours,
                    options.hours * 3600 / run.wall_s,
                )
            )
    table(
        ("case", "exit", "settled - received", "growth MiB", "peak MiB", "CPU s per hour", "x real time"),
        rows,
    )


if __name__ == "__main__":
    main()
