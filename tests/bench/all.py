"""``rt`` beside its peers: ``python tests/bench/all.py [--rounds 5] [--only ROW]``.

Needs the extras ``peers`` and ``media``. Every row is measured alternately, round by round, against the same sink.
Figures are CPU (of the whole process, by ``wait4``), the difference of a long and a short run, so that no start counts.
Printed are medians, their ratios, and the least and the most of the rounds. What the sink itself spent stands beside
them: it is not the bottleneck where its share is well below that of the client.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench import callback, growth, paced, resampling, sessions
from tests.bench.clients import peer, receiver, rt
from tests.bench.measure import SinkProcess, environment, median, sink, table, write_m4a, write_wav

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Row:
    """A comparison."""

    name: str
    unit: str
    clients: dict[str, Callable[[str, str], list[str]]]
    """From file (or count) and URL to a command, by name."""
    short: str
    long: str
    per: float
    """Divides the CPU seconds between the short run and the long one into the unit."""


def converted(path: Path, suffix: str) -> str:
    """The same sound in another format, by libsndfile."""
    import soundfile

    target = path.with_suffix(suffix)
    with soundfile.SoundFile(str(path)) as source, soundfile.SoundFile(str(target), "w", 24_000, 1) as sound:
        while len(block := source.read(24_000, dtype="int16")):
            sound.write(block)
    return str(target)


def rows(folder: Path, wanted: Callable[[str], bool]) -> list[Row]:
    """Return the selected comparisons, after creating their files."""

    def wav(seconds: float, rate_hz: int = 24_000) -> str:
        return str(write_wav(folder / f"{seconds}-{rate_hz}.wav", seconds=seconds, rate_hz=rate_hz))

    fast = ("--speed", "max")
    short, minutes, hour = wav(4), wav(404), wav(2404)
    found = [
        Row(
            f"same chunk, {ms} ms, unpaced",
            "us per message",
            {
                "openai": peer("openai", ms),
                "websockets+json": peer("naive", ms),
                "rt": rt(*fast, "--chunk-ms", str(ms)),
                "picows": peer("picows", ms),
                "raw sendall": peer("raw", ms),
            },
            short,
            minutes,
            400_000 / ms / 1e6,
        )
        for ms in (20, 100)
    ]
    found.append(
        Row(
            "whole file, own best settings",
            "s per hour of audio",
            {
                "openai, 100 ms": peer("openai", 100),
                "websockets+json, 100 ms": peer("naive", 100),
                "rt": rt(*fast),
                "raw sendall, 1 s": peer("raw", 1000),
            },
            short,
            hour,
            2400 / 3600,
        )
    )
    for name, sound in (("48 kHz WAV", None), ("FLAC", ".flac"), ("MP3", ".mp3")):
        files = [wav(s, 48_000) if sound is None else converted(Path(wav(s)), sound) for s in (4, 604)]
        found.append(Row(f"whole file, {name}", "s per hour of audio", {"rt": rt(*fast)}, *files, 600 / 3600))
    m4a = [str(write_m4a(folder / f"{s}.m4a", seconds=s)) for s in (4, 604)]
    found.append(Row("whole file, M4A", "s per hour of audio", {"rt": rt(*fast)}, *m4a, 600 / 3600))
    receivers = {client: receiver(client) for client in ("openai", "naive", "rt", "rt+audio")}
    found.append(Row("receive 100 ms of audio", "us per delta", receivers, "500", "4500", 4000 / 1e6))
    return [row for row in found if wanted(row.name)]


def cpu_s(command: Sequence[str], endpoint: SinkProcess) -> tuple[float, float]:
    """Return the CPU time of a client, and of the sink since its start."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit {process.returncode}")
    return usage.ru_utime + usage.ru_stime, endpoint.report()["cpu_s"]


def measure(row: Row, endpoint: SinkProcess, rounds: int) -> None:
    """Run a comparison and print its table."""
    costs: dict[str, list[float]] = defaultdict(list)
    sinks: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, command in row.clients.items():
            short, before = cpu_s(command(row.short, endpoint.url), endpoint)
            long, after = cpu_s(command(row.long, endpoint.url), endpoint)
            costs[name].append((long - short) / row.per)
            sinks[name].append((after - before) / row.per)
    reference = next(iter(row.clients))
    lines = []
    for name, values in costs.items():
        ratio = median(costs[reference]) / max(median(values), 1e-9)  # a tiny cost may be less than the noise
        spread = f"{min(values):.3g} .. {max(values):.3g}"
        sunk = median(sinks[name])
        lines.append((name, f"{median(values):.3g}", spread, f"1/{ratio:.2f}", f"{sunk:.3g}"))
    print(f"\n{row.name} ({row.unit}, {rounds} rounds)\n")
    table(("client", "CPU", "least .. most", f"of {reference}", "the sink's own CPU"), lines)
    sys.stdout.flush()


def script(name: str, *arguments: str) -> Callable[[int], object]:
    """Return a benchmark program with its own rounds."""

    def run(_rounds: int) -> None:
        print(f"\n{name}\n", flush=True)
        subprocess.run([sys.executable, str(Path(__file__).with_name(name)), *arguments], check=True)

    return run


OTHERS: dict[str, Callable[[int], object]] = {
    "one session in real time": paced.measure,
    "sessions per core": sessions.measure,
    "microphone's callback": lambda _rounds: callback.measure(),
    "resampling": resampling.measure,
    "cost growth": growth.measure,
    "start-up": script("startup.py"),
    "pacing": script("pacing.py", "--minutes", "1"),
    "memory": script("memory.py", "--hours", "3"),
    "G.711": script("g711.py"),
}
"""Other benchmarks, by name."""


def versions() -> str:
    """Print the versions of the peers. Exits if one is missing."""
    try:
        found = [f"{name} {version(name)}" for name in ("openai", "websockets", "picows", "msgspec", "av")]
    except PackageNotFoundError as error:
        sys.exit(f"{error.name} is missing: pip install -e '.[peers,media]'")
    return ", ".join(found)


def main() -> None:
    """Measure all rows, or the named ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", help="part of the name of a row")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; {versions()}", flush=True)

    def wanted(name: str) -> bool:
        return not options.only or any(part in name for part in options.only)

    with tempfile.TemporaryDirectory() as folder, sink() as endpoint:
        for row in rows(Path(folder), wanted):
            measure(row, endpoint, options.rounds)
    for name, other in OTHERS.items():
        if wanted(name):
            other(options.rounds)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
