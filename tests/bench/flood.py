"""CPU per message of a file sent as fast as it goes, against twenty lines of ``websockets``, ``json`` and ``base64``.

``python tests/bench/flood.py [--rounds 5]``. Both send the same files to the same endpoint, alternately. What a message
costs is the difference of a long and a short file, so that the start does not count; ratios are within a round.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.measure import SINK_ARGUMENTS, SinkProcess, environment, median, rt_command, sink, table, write_wav

SHORT, LONG = 1_500, 15_000
"""Messages."""


def command(client: str, path: str, url: str, chunk_ms: int) -> list[str]:
    """Return the command that sends a file in chunks."""
    if client == "naive":
        return [sys.executable, str(Path(__file__).with_name("naive.py")), path, url, str(chunk_ms)]
    pace = ("--speed", "max", "--chunk-ms", str(chunk_ms), "--turn-detection", "server_vad")
    return rt_command("send", path, "--url", url, *pace, *SINK_ARGUMENTS)


def cpu_s(arguments: list[str], endpoint: SinkProcess, messages: int) -> float:
    """Return the CPU time of a client; all its messages must arrive."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    arrived = endpoint.report()["messages"]
    if process.returncode or arrived != messages:
        sys.exit(f"{arguments}: exit {process.returncode}, {arrived} of {messages} messages")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure round by round, and print a row for each size of chunks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    rows = []
    with tempfile.TemporaryDirectory() as folder, sink() as endpoint:
        for chunk_ms in (20, 100):
            paths = {
                messages: str(write_wav(Path(folder) / f"{messages}.wav", seconds=messages * chunk_ms / 1000))
                for messages in (SHORT, LONG)
            }
            costs = defaultdict(list)
            for _ in range(rounds):
                for client in ("naive", "rt"):
                    short, long = (
                        cpu_s(command(client, path, endpoint.url, chunk_ms), endpoint, messages)
                        for messages, path in paths.items()
                    )
                    costs[client].append((long - short) / (LONG - SHORT) * 1e6)
            ratios = [rt / naive for rt, naive in zip(costs["rt"], costs["naive"], strict=True)]
            hour_s = {client: median(each) * 3600 / chunk_ms / 1000 for client, each in costs.items()}
            figures = (median(costs["naive"]), median(costs["rt"]), median(ratios), hour_s["naive"], hour_s["rt"])
            rows.append((chunk_ms, *(f"{figure:.2f}" for figure in figures)))
    table(
        ("chunk ms", "naive us/message", "rt us/message", "rt / naive", "naive CPU s per hour", "rt CPU s per hour"),
        rows,
    )


if __name__ == "__main__":
    main()
