"""Hours of exact sound through ``rt`` as a program, over connections that end again and again.

``python -m tests.soak SECONDS`` is the endpoint: each of its sessions lives so long.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.bench.measure import ROOT, SINK_ARGUMENTS, environment, rt_command, table
from tests.exact import RATE, ExactEndpoint, speech
from tests.habits import Habits

SPEECH_S, SILENCE_S = 8, 2
_PAIRS = SPEECH_S * RATE // 2
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """Resources of the process at one moment."""

    hours: float
    """Hours of sound in finals."""
    rss_mib: float
    fds: int
    threads: int
    cpu_s: float


@dataclass
class Soaked:
    """The results of a soak test."""

    samples: list[Sample] = field(default_factory=list)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    """Finals that do not continue the one before."""
    spoken: int = 0
    """Pairs of samples in finals."""
    summary: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0

    def after(self, share: float) -> list[Sample]:
        """Return the samples after a share of the sound."""
        begin = self.samples[-1].hours * share
        return [sample for sample in self.samples if sample.hours >= begin]

    @property
    def growth_mib(self) -> float:
        """Return the peak resident memory after the first tenth, minus the peak within the second tenth."""
        later = self.after(0.1)
        early = max(sample.rss_mib for sample in later if sample.hours <= self.samples[-1].hours * 0.2)
        return max(sample.rss_mib for sample in later) - early

    def cpu_per_hour(self, begin: float, end: float) -> float:
        """Return CPU seconds per hour of sound between two shares of the sound."""
        part = [s for s in self.after(begin) if s.hours <= self.samples[-1].hours * end]
        return (part[-1].cpu_s - part[0].cpu_s) / (part[-1].hours - part[0].hours)


def run_soak(hours: float, *, lifetime_s: float = 1.0) -> Soaked:
    """Send this much sound at full speed.

    Args:
        hours: Of sound.
        lifetime_s: Of a session, on the wall.
    """
    turns = round(hours * 3600 / (SPEECH_S + SILENCE_S))
    soaked, began = Soaked(), time.monotonic()
    endpoint = subprocess.Popen(
        [sys.executable, "-m", "tests.soak", str(lifetime_s)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with endpoint:
        assert endpoint.stdout is not None
        url = endpoint.stdout.readline().strip()
        command = rt_command("send", "-", "--url", url, "--speed", "max", "--turn-detection", "server_vad")
        program = subprocess.Popen(
            [*command, *SINK_ARGUMENTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), cwd=ROOT
        )
        with program:
            assert program.stdin is not None
            assert program.stdout is not None
            speaking = threading.Thread(target=_speak, args=(program.stdin, turns))
            speaking.start()
            _listen(program.stdout, program.pid, soaked)
            speaking.join()
        endpoint.terminate()
    soaked.wall_s = time.monotonic() - began
    return soaked


def soak(hours: float) -> None:
    """Print the results of a soak test."""
    soaked = run_soak(hours)
    summary, later = soaked.summary, soaked.after(0.1)
    print(f"{hours:g} h of sound in {soaked.wall_s:.0f} s: {hours * 3600 / soaked.wall_s:.0f}x")
    print(
        f"exit {summary['exit']}, {summary['finals']} finals, {summary['reconnects']} reconnects, {summary['ledger']}"
    )
    print(f"finals that are wrong: {len(soaked.wrong)}; pairs spoken: {soaked.spoken}")
    print(f"memory: {later[0].rss_mib:.1f} MiB after a tenth, growth from then {soaked.growth_mib:.1f} MiB")
    fds, threads = [s.fds for s in later], [s.threads for s in later]
    print(f"file descriptors {min(fds)}-{max(fds)}, threads {min(threads)}-{max(threads)}")
    quarters = [(0.1, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)]
    rows = [(f"{a:.0%}-{b:.0%}", soaked.cpu_per_hour(a, b)) for a, b in quarters]
    table(("part", "CPU seconds per hour"), rows)


def _speak(pipe: IO[bytes], turns: int) -> None:
    with pipe:
        for turn in range(turns):
            pipe.write(speech(turn * _PAIRS, _PAIRS) + bytes(SILENCE_S * RATE * 2))


def _listen(pipe: IO[bytes], pid: int, soaked: Soaked) -> None:
    looked = 0.0
    for line in pipe:
        told = json.loads(line)
        if told["type"] == "summary":
            soaked.summary = told
        if told["type"] != "final" or not told["text"]:
            continue
        if told["text"] != f"{soaked.spoken}-{soaked.spoken + _PAIRS - 1}":
            soaked.wrong.append(told)
        soaked.spoken += _PAIRS
        if time.monotonic() - looked > 0.1:
            looked = time.monotonic()
            soaked.samples.append(_look(pid, told["end_ms"] / 3.6e6))


def _look(pid: int, hours: float) -> Sample:
    proc = Path(f"/proc/{pid}")
    stat = (proc / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return Sample(
        hours=hours,
        rss_mib=int(stat[21]) * _PAGE_MIB,
        fds=len(list((proc / "fd").iterdir())),
        threads=int(stat[17]),
        cpu_s=(int(stat[11]) + int(stat[12])) / _TICKS_PER_S,
    )


async def _serve(lifetime_s: float) -> None:
    habits = Habits(lifetime_s=lifetime_s, announced=False, closing=1012, records=False)
    async with ExactEndpoint(habits).serving() as endpoint:
        print(endpoint.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
