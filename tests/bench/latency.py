"""What ``rt`` adds to latencies: ``python -m tests.bench.latency [--rounds 3] [--seconds 24]``.

``rt bench`` in real time, one session, 40 ms a message, against a sink whose answers take no time: it starts each turn
at a second of its audio, says its first partial there, and ends it with the final two seconds later; where ``rt`` makes
the turns it answers each commit at once. So all of a figure is of the client, but the silence that ends a turn of its
own. Rows of a round follow each other; a row during which the sink woke late is refused.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import wave
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.bench.measure import Headroom, environment, median, rt_command, sink, table
from tests.server.client import recording
from tests.servers import CERTIFICATE

RATE_HZ = 24_000
_PAUSE_S = 1.2
FIGURES = (("lateness_ms", "p50"), ("lateness_ms", "p99"), ("first_partial_ms", "p50"), ("final_ms", "p50"))
TURNS = {"server_vad": "of the endpoint", "client": "of rt"}


def write_speech(path: Path, seconds: float) -> str:
    """Write a recording of a person, again and again, with pauses."""
    once = recording("sense_0930", RATE_HZ) + bytes(int(_PAUSE_S * RATE_HZ) * 2)
    pcm = (once * (int(seconds * RATE_HZ * 2 / len(once)) + 1))[: int(seconds * RATE_HZ) * 2]
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(pcm)
    return str(path)


def bench(url: str, path: str, *arguments: str) -> dict[str, Any]:
    """Run ``rt bench``, and return the line of its only level."""
    command = rt_command("bench", "--url", url, "--model", "whisper-1", "--json", *arguments, path)
    ran = subprocess.run(
        command, check=True, capture_output=True, env=environment() | {"SSL_CERT_FILE": str(CERTIFICATE)}
    )
    lines: list[dict[str, Any]] = [json.loads(line) for line in ran.stdout.splitlines()]
    return next(line for line in lines if line["type"] == "bench_level")


def one_run(path: str, turns: str, scheme: str) -> tuple[list[float | None], Headroom]:
    """Return the figures of a run, None for what was not measured, and how the sink was."""
    tls = ("--tls", str(CERTIFICATE)) if scheme == "wss" else ()
    with sink("--turn-s", "4", *tls) as endpoint:
        endpoint.mark()
        level = bench(endpoint.url, path, "--turn-detection", turns, "--chunk-ms", "40", "--workers", "1")
        headroom = endpoint.mark()
    return [level[name] and level[name][quantile] for name, quantile in FIGURES], headroom


def measure(rounds: int, seconds: float = 24) -> None:
    """Print the table."""
    runs = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        path = write_speech(Path(folder) / "speech.wav", seconds)
        for _ in range(rounds):
            for scheme in ("ws", "wss"):
                for turns in TURNS:
                    runs[scheme, turns].append(one_run(path, turns, scheme))
    print(f"\nlatency, one session in real time, 40 ms a message (ms, {rounds} rounds, medians)")
    print("the final: 500 ms of it are the silence that ends a turn\n")
    header = ("to", "turns", "due to written p50", "p99", "first partial p50", "end of speech to final p50", "the sink")
    table(header, [(scheme, TURNS[turns], *_row(each)) for (scheme, turns), each in runs.items()])


def _row(runs: list[tuple[list[float | None], Headroom]]) -> list[str]:
    worst = max((headroom for _, headroom in runs), key=lambda headroom: headroom.late_p99_ms)
    good = [figures for figures, headroom in runs if not (headroom.starved or headroom.late)]
    if not good:
        return [*["refused"] * len(FIGURES), str(worst)]
    values = [[value for value in column if value is not None] for column in zip(*good, strict=True)]
    cells = [f"{median(each):.1f} ({min(each):.1f}..{max(each):.1f})" if each else "-" for each in values]
    return [*cells, f"{worst}; {len(good)} of {len(runs)} rounds"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=24)
    options = parser.parse_args()
    measure(options.rounds, options.seconds)
