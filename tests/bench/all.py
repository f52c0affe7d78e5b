"""``rt`` beside its peers: ``python tests/bench/all.py [--rounds 5] [--only ROW]``. Needs the extra ``bench``.

Every row is measured alternately, round by round, against the same sink. Figures are CPU (of the whole process, by
``wait4``), the difference of a long and a short run, so that no start counts. Printed are medians, their ratios, and
the least and the most of the rounds. What the sink itself spent stands beside them: it is not the bottleneck where its
share is well below that of the client.
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
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.measure import SINK_ARGUMENTS, SinkProcess, environment, median, rt_command, sink, table, write_wav

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).parent


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


def peer(client: str, chunk_ms: int, *extra: str) -> Callable[[str, str], list[str]]:
    """A client of :mod:`tests.bench.peers`, or the twenty lines."""
    script = ["naive.py"] if client == "naive" else ["peers.py", client]
    return lambda path, url: [sys.executable, str(HERE / script[0]), *script[1:], path, url, str(chunk_ms), *extra]


def rt(*extra: str) -> Callable[[str, str], list[str]]:
    """``rt send``."""
    return lambda path, url: rt_command(
        "send", path, "--url", url, "--turn-detection", "server_vad", *extra, *SINK_ARGUMENTS
    )


def receiver(client: str) -> Callable[[str, str], list[str]]:
    """A client of :mod:`tests.bench.receive`."""
    return lambda count, url: [sys.executable, str(HERE / "receive.py"), client, url, count]


def converted(path: Path, suffix: str) -> str:
    """The same sound in another format, by libsndfile."""
    import soundfile

    target = path.with_suffix(suffix)
    with soundfile.SoundFile(str(path)) as source, soundfile.SoundFile(str(target), "w", 24_000, 1) as sound:
        while len(block := source.read(24_000, dtype="int16")):
            sound.write(block)
    return str(target)


def rows(folder: Path) -> list[Row]:
    """All comparisons; their files are made here."""

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
    paced = {f"{client}, {ms} ms": peer(client, ms, "paced") for client in ("openai", "naive") for ms in (20, 100)}
    paced["rt, 20 ms"] = rt("--speed", "1", "--chunk-ms", "20")
    paced["rt, default"] = rt("--speed", "1")
    paced["picows, 20 ms"] = peer("picows", 20, "paced")
    found.append(Row("one session in real time", "s per hour of audio", paced, wav(2), wav(14), 12 / 3600))
    receivers = {client: receiver(client) for client in ("openai", "naive", "rt", "rt+audio")}
    found.append(Row("receive 100 ms of audio", "us per delta", receivers, "500", "4500", 4000 / 1e6))
    return found


def cpu_s(command: Sequence[str], endpoint: SinkProcess) -> tuple[float, float]:
    """CPU of a client, and of the sink since it was started."""
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
        ratio = median(costs[reference]) / max(median(values), 1e-9)  # noise may outweigh what costs next to nothing
        spread = f"{min(values):.3g} .. {max(values):.3g}"
        sunk = median(sinks[name])
        lines.append((name, f"{median(values):.3g}", spread, f"1/{ratio:.2f}", f"{sunk:.3g}"))
    print(f"\n{row.name} ({row.unit}, {rounds} rounds)\n")
    table(("client", "CPU", "least .. most", f"of {reference}", "the sink's own CPU"), lines)
    sys.stdout.flush()


def main() -> None:
    """Measure all rows, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", help="part of the name of a row")
    options = parser.parse_args()
    versions = ", ".join(f"{name} {version(name)}" for name in ("openai", "websockets", "picows", "msgspec"))
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; {versions}")
    with tempfile.TemporaryDirectory() as folder, sink() as endpoint:
        for row in rows(Path(folder)):
            if not options.only or any(part in row.name for part in options.only):
                measure(row, endpoint, options.rounds)


if __name__ == "__main__":
    main()
