"""Helpers of the measurements: a sink, a run of ``rt``, long files, medians and tables."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
import wave
from collections import deque
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
SINK_ARGUMENTS = ("--model", "whisper-1", "--status", "off", "--json")
LEAST_HEADROOM = 1.25
"""Of a sink: one that takes more than 80 % of a core makes its clients wait."""
MOST_LATE_MS = 10.0
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


def environment() -> dict[str, str]:
    """Return the environment of a child: no key, no settings of the user, and bytecode files as in an installation."""
    foreign = ("RT_", "PYTHON")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("_API_KEY") and not name.startswith(foreign)
    }
    return kept | {"PYTHONPATH": str(ROOT), "RT_CONFIG": os.devnull}


def rt_command(*arguments: str) -> list[str]:
    """Return the command of ``rt`` in this checkout."""
    return [sys.executable, "-m", "rt_cli", *arguments]


class SinkProcess:
    """A running sink."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self._lines = process.stdout
        self._reports: deque[dict[str, Any]] = deque()
        self.url = self._lines.readline().strip()

    def report(self) -> dict[str, Any]:
        """Return the report of the next ended connection; waits for it."""
        return self._reports.popleft() if self._reports else self._next()

    def mark(self) -> Headroom:
        """Return what the sink spent since the mark before, and what it had left."""
        assert self.process.stdin is not None
        print(file=self.process.stdin, flush=True)
        while "mark" not in (line := self._next()):
            self._reports.append(line)
        return Headroom(**line["mark"])

    def _next(self) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(self._lines.readline())
        return line


@dataclass(frozen=True)
class Headroom:
    """Whether a sink was the bottleneck, over a time."""

    wall_s: float
    cpu_s: float
    """CPU time of the sink, which has one thread."""
    late_p99_ms: float
    late_max_ms: float
    """How late its loop woke."""

    @property
    def times(self) -> float:
        """How many times the load it could have taken, by its CPU."""
        return self.wall_s / max(self.cpu_s, 1e-6)

    @property
    def starved(self) -> bool:
        """Whether clients may have waited for it: figures of theirs are worth nothing then."""
        return self.times < LEAST_HEADROOM

    @property
    def late(self) -> bool:
        """Whether it woke so late that latencies measured against it are partly its own."""
        return self.late_p99_ms > MOST_LATE_MS

    def __str__(self) -> str:
        return f"{self.times:.1f}x, woke {self.late_p99_ms:.1f} ms late (p99)"


@contextmanager
def sink(*arguments: str, pinned: bool = True) -> Iterator[SinkProcess]:
    """A sink in a process of its own; see ``sink.py`` for its arguments.

    Where the system can pin processes and there are two cores, the sink has one, and this process and its children the
    others, until the end of the block; not with ``pinned=False``.
    """
    command = [sys.executable, str(Path(__file__).with_name("sink.py")), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            with apart(process) if pinned else nullcontext():
                yield SinkProcess(process)
        finally:
            process.terminate()


@contextmanager
def apart(process: subprocess.Popen[str]) -> Iterator[None]:
    """Pin a process to the last core, and this one and its later children to the others, for the time of the block."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        yield
        return
    os.sched_setaffinity(process.pid, cores[-1:])
    os.sched_setaffinity(0, cores[:-1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@dataclass(frozen=True)
class Run:
    """A measured run of ``rt``."""

    exit_code: int
    wall_s: float
    cpu_s: float
    rss_mib: list[tuple[float, float]]
    """Monotonic seconds and resident memory in MiB, fifty times a second."""
    lines: list[dict[str, Any]]
    """Lines of stdout."""

    @property
    def summary(self) -> dict[str, Any]:
        """The last line."""
        return self.lines[-1]

    def growth_mib(self, since: float) -> float:
        """Return the growth of the peak resident memory after a moment (monotonic seconds)."""
        later = [mib for at, mib in self.rss_mib if at >= since]
        return max(later) - later[0]


def run_rt(*arguments: str) -> Run:
    """Run ``rt`` with ``--json`` to its end, and record its memory."""
    began = time.monotonic()
    memory: list[tuple[float, float]] = []
    ended = threading.Event()
    with subprocess.Popen(rt_command(*arguments), stdout=subprocess.PIPE, env=environment(), cwd=ROOT) as process:
        assert process.stdout is not None
        watch = threading.Thread(target=_watch_memory, args=(process.pid, memory, ended))
        watch.start()
        output = process.stdout.read()
        ended.set()
        watch.join()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Run(
        exit_code=process.returncode,
        wall_s=time.monotonic() - began,
        cpu_s=usage.ru_utime + usage.ru_stime,
        rss_mib=memory,
        lines=[json.loads(line) for line in output.splitlines()],
    )


def _watch_memory(pid: int, memory: list[tuple[float, float]], ended: threading.Event) -> None:
    while not ended.wait(0.02):
        try:
            pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        except OSError:
            return
        memory.append((time.monotonic(), int(pages) * _PAGE_MIB))


def lateness_s(stamps: Sequence[tuple[float, int]], rate_hz: int = 24_000) -> list[float]:
    """How late each message of audio came, in seconds, against the most punctual one; never negative.

    Args:
        stamps: When (monotonic seconds) how many samples had come, message by message.
        rate_hz: Of the samples.
    """
    offsets = [at - samples / rate_hz for at, samples in stamps]
    return [offset - min(offsets) for offset in offsets]


def write_wav(path: Path, *, seconds: float, rate_hz: int = 24_000, channels: int = 1) -> Path:
    """A long file that costs no memory to make: two seconds of a quiet sawtooth, and then again."""
    two_seconds = bytes((i * 37 // 8) % 251 if i % 2 == 0 else 0 for i in range(2 * rate_hz * channels * 2))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        for _ in range(round(seconds / 2)):
            file.writeframesraw(two_seconds)
    return path


def write_m4a(path: Path, *, seconds: float, rate_hz: int = 48_000) -> Path:
    """The same as AAC, of which ten seconds are encoded, and then copied again and again. Needs the extra ``media``."""
    import av

    ten = write_wav(path.with_suffix(".ten.wav"), seconds=10, rate_hz=rate_hz)
    with av.open(str(ten)) as source, av.open(str(path), "w") as target:
        sound = target.add_stream("aac", rate=rate_hz, layout="mono")
        packets = [packet for frame in source.decode(audio=0) for packet in sound.encode(frame)]
        step = sound.codec_context.frame_size
        for number in range(round(seconds * rate_hz / step)):
            packet = packets[number % len(packets)]
            # Reset the timestamps: the muxer rewrites them in its own time base.
            packet.stream, packet.time_base = sound, Fraction(1, rate_hz)
            packet.pts = packet.dts = number * step
            packet.duration = step
            target.mux_one(packet)
    return path


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row) + " |")


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)
