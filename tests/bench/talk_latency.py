"""How far the latencies of one scripted conversation differ from run to run.

    python -m tests.bench.talk_latency [RUNS]

Each run is ``rt talk`` with two turns against one ``rt serve --reply echo``; the endpoint itself takes no time, so what
differs is the client and the machine. ``chrt -r 10`` before it takes the other programs of the machine out.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from tests.commands.test_talk import words
from tests.program import rt, served, write_wav

FIELDS = ("endpointing_ms", "first_audio_ms", "voice_to_voice_ms")


def main(runs: int) -> None:
    """Measure, and print a table."""
    values: dict[tuple[int, str], list[int]] = {}
    with tempfile.TemporaryDirectory() as folder, served("--recognizer", "none", "--reply", "echo") as (url, _):
        first = write_wav(Path(folder) / "first.wav", words("sense_0870.wav", 2.0))
        second = write_wav(Path(folder) / "second.wav", words("sense_0930.wav", 1.5))
        for _ in range(runs):
            ran = rt("talk", "--url", url, "--input", str(first), "--input", str(second), "--json", "-q")
            assert ran.exit == 0, ran.err
            for number, latency in enumerate(ran.of("latency"), 1):
                for name in FIELDS:
                    values.setdefault((number, name), []).append(latency[name])
    print(f"{runs} runs")
    print(f"{'turn':>4}  {'':<18}{'median':>8}{'min':>8}{'max':>8}{'spread':>8}{'mad':>8}")
    for (number, name), all_of in sorted(values.items()):
        median = statistics.median(all_of)
        middle = statistics.median(abs(value - median) for value in all_of)
        low, high = min(all_of), max(all_of)
        print(f"{number:>4}  {name:<18}{median:>8.0f}{low:>8}{high:>8}{high - low:>8}{middle:>8.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
