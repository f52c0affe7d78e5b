"""Every benchmark of speed: ``python -m tests.bench.all [--rounds 5] [--only ROW] [--write]``.

Needs the extra ``media``; of the peers those that are installed (the extra ``peers``) are measured. Every row is
measured alternately, round by round. Figures of the first rows are CPU (of the whole process, by ``wait4``), the
difference of a long and a short run, so that no start counts. Printed are medians, their ratios, and the least and the
most of the rounds. The sink has a core of its own where there are two and the system can pin processes; beside each row
stands how many times that load it could have taken, and a row for which it starved is refused.

``--write`` puts what is printed, with machine and versions, in the place of the last section of ``rt help measured``.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench import callback, cores, latency, paced, resampling, sessions
from tests.bench.clients import PACKAGES, installed, peer, present, receiver, rt
from tests.bench.measure import ROOT, environment, median, sink, table, write_m4a, write_wav
from tests.servers import CERTIFICATE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.measure import Headroom, SinkProcess

HELP = ROOT / "rt_cli" / "help" / "measured.md"
SECTION = "## All benchmarks of speed, by one command"
"""Heading of the section that is made by ``--write``."""


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
    tls: bool = False
    """Whether the sink is one of ``wss``."""


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
    encrypted = {"websockets+json": peer("naive", 100), "rt": rt(*fast, "--chunk-ms", "100")}
    figures = (short, minutes, 400_000 / 100 / 1e6)
    found.append(Row("same chunk, 100 ms, unpaced, wss", "us per message", encrypted, *figures, tls=True))
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


def cpu_s(command: Sequence[str], endpoint: SinkProcess) -> tuple[float, Headroom]:
    """Return the CPU time of a client, and how the sink was meanwhile."""
    endpoint.mark()
    environ = environment() | {"SSL_CERT_FILE": str(CERTIFICATE)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environ)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit {process.returncode}")
    report, headroom = endpoint.report(), endpoint.mark()
    if report["messages"]:  # the start of the client is no time of the sink
        headroom = replace(headroom, wall_s=report["last_at"] - report["first_at"])
    return usage.ru_utime + usage.ru_stime, headroom


def measure(row: Row, rounds: int) -> None:
    """Run a comparison and print its table."""
    costs: dict[str, list[float]] = defaultdict(list)
    headrooms: dict[str, list[Headroom]] = defaultdict(list)
    clients = present(row.clients)
    with sink(*(("--tls", str(CERTIFICATE)) if row.tls else ())) as endpoint:
        for _ in range(rounds):
            for name, command in clients.items():
                short, _headroom = cpu_s(command(row.short, endpoint.url), endpoint)
                long, headroom = cpu_s(command(row.long, endpoint.url), endpoint)
                costs[name].append((long - short) / row.per)
                headrooms[name].append(headroom)
    reference = next(iter(clients))
    print(f"\n{row.name} ({row.unit}, {rounds} rounds)\n")
    lines = [cells(costs[name], costs[reference], headrooms[name]) for name in clients]
    header = ("client", "CPU", "least .. most", f"of {reference}", "the sink")
    table(header, [(name, *line) for name, line in zip(clients, lines, strict=True)])


def cells(costs: Sequence[float], reference: Sequence[float], headrooms: Sequence[Headroom]) -> tuple[str, ...]:
    """Return the row of a client; refused if the sink starved in any round. Ratios are within a round.

    Args:
        costs: Of each round.
        reference: The same of the client to compare with.
        headrooms: Of the sink.
    """
    worst = min(headrooms, key=lambda headroom: headroom.times)
    if worst.starved:
        return "refused", "-", "-", f"starved: {worst}"
    # A tiny cost may be less than the noise.
    ratio = median([of / max(cost, 1e-9) for of, cost in zip(reference, costs, strict=True)])
    return f"{median(costs):.3g}", f"{min(costs):.3g} .. {max(costs):.3g}", f"1/{ratio:.2f}", str(worst)


def script(name: str, *arguments: str) -> Callable[[int], None]:
    """Return a benchmark program with its own rounds."""

    def run(_rounds: int) -> None:
        command = [sys.executable, str(Path(__file__).with_name(name)), *arguments]
        print(f"\n{name} {' '.join(arguments)}\n")
        print(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout, end="")

    return run


OTHERS: dict[str, Callable[[int], None]] = {
    "latency": latency.measure,
    "microphone's callback": lambda _rounds: callback.measure(),
    "one session in real time": paced.measure,
    "sessions per core": sessions.measure,
    "processes": cores.measure,
    "resampling": resampling.measure,
    "start-up": script("startup.py"),
    "pacing": script("pacing.py", "--minutes", "1"),
    "memory": script("memory.py", "--hours", "0.5", "3"),
    "G.711": script("g711.py"),
}
"""Other benchmarks, by name."""


def machine() -> str:
    """Return the machine, what runs beside, and the versions, in one paragraph."""
    cpu = next((line.partition(": ")[2] for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = ", ".join(f"{name} {installed(name) or 'is missing'}" for name in PACKAGES)
    python = f"Python {platform.python_version()}"
    return f"{cpu or platform.machine()}, {os.cpu_count()} cores, {platform.system()}{load}; {python}, {versions}."


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


class Tee(StringIO):
    """Text that is printed, and kept."""

    def write(self, text: str) -> int:
        """Print at once."""
        sys.__stdout__ and print(text, end="", file=sys.__stdout__, flush=True)
        return super().write(text)


def with_section(text: str, section: str) -> str:
    """Return a help topic with a section in the place of the one that was made before, or at its end.

    Args:
        text: The topic.
        section: The text below :data:`SECTION`.
    """
    before = text.partition(SECTION)[0].rstrip()
    return f"{before}\n\n{SECTION}\n\n{section.strip()}\n"


def main() -> None:
    """Measure all rows, or the named ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", help="part of the name of a row")
    parser.add_argument("--write", action="store_true", help="put the tables into rt help measured")
    options = parser.parse_args()

    def wanted(name: str) -> bool:
        return not options.only or any(part in name for part in options.only)

    printed = Tee()
    with redirect_stdout(printed), tempfile.TemporaryDirectory() as folder:
        print(f"`python -m tests.bench.all {' '.join(sys.argv[1:])}`: {machine()}")
        for row in rows(Path(folder), wanted):
            measure(row, options.rounds)
        for name, other in OTHERS.items():
            if wanted(name):
                other(options.rounds)
    if options.write:
        HELP.write_text(with_section(HELP.read_text(encoding="utf-8"), printed.getvalue()), encoding="utf-8")


if __name__ == "__main__":
    main()
