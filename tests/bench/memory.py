"""Memory and CPU of hours of audio: ``python tests/bench/memory.py [--hours 3 ...]``. M4A needs the extra ``media``.

Growth is the most resident memory after the first ten seconds of audio had arrived, less that of then.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.measure import SINK_ARGUMENTS, run_rt, sink, table, write_m4a, write_wav

CASES = {
    "24 kHz mono, server_vad": (partial(write_wav, rate_hz=24_000), "server_vad"),
    "48 kHz stereo, server_vad": (partial(write_wav, rate_hz=48_000, channels=2), "server_vad"),
    "24 kHz mono, client": (partial(write_wav, rate_hz=24_000), "client"),
    "48 kHz mono M4A, server_vad": (partial(write_m4a, rate_hz=48_000), "server_vad"),
}


def main() -> None:
    """Measure the cases and print their rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, nargs="+", default=[3])
    parser.add_argument("--case", choices=CASES, action="append")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, hours in itertools.product(options.case or CASES, options.hours):
            write, turns = CASES[name]
            path = write(Path(folder) / ("long.m4a" if "M4A" in name else "long.wav"), seconds=hours * 3600)
            with sink() as endpoint:
                command = ("send", str(path), "--url", endpoint.url, "--speed", "max", "--turn-detection", turns)
                run = run_rt(*command, *SINK_ARGUMENTS)
                report = endpoint.report()
            rows.append(
                (
                    f"{name}, {hours:g} h",
                    run.exit_code,
                    run.summary["ledger"]["settled"] - report["samples"],
                    run.growth_mib(report["ten_s_at"]),
                    max(mib for _, mib in run.rss_mib),
                    run.cpu_s / hours,
                    hours * 3600 / run.wall_s,
                )
            )
    table(
        ("case", "exit", "settled - received", "growth MiB", "peak MiB", "CPU s per hour", "x real time"),
        rows,
    )


if __name__ == "__main__":
    main()
