"""What the live view costs: ``python tests/bench/live.py [--seconds 60]``.

Four runs at the speed of the sound, beside each other: a long and a short one, each with the view on a pseudo-terminal
and without. What the long one uses more than the short one is the price of running, without that of starting; what
the view adds to it is told in percent of one core.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.measure import ROOT, environment, rt_command, sink, table, write_wav

SHORT_S = 10.0


@dataclass(frozen=True)
class OnTerminal:
    """A run with stderr on a terminal."""

    cpu_s: float
    wall_s: float
    frames: int
    bytes: int


def on_terminal(*arguments: str) -> OnTerminal:
    """Run ``rt`` to its end."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    seen: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(ours, 65536):
                seen.append(part)
        except OSError:
            pass  # Linux: EIO at the end of a terminal

    reader = threading.Thread(target=read)
    began = time.monotonic()
    environ = {name: value for name, value in environment().items() if name not in {"CI", "NO_COLOR", "FORCE_COLOR"}}
    process = subprocess.Popen(
        rt_command(*arguments),
        cwd=ROOT,
        env=environ | {"TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    reader.start()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    os.close(ours)
    assert process.returncode == 0, b"".join(seen)
    output = b"".join(seen)
    return OnTerminal(
        usage.ru_utime + usage.ru_stime, time.monotonic() - began, output.count(b"\x1b[?2026h"), len(output)
    )


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, sink() as endpoint, ThreadPoolExecutor(4) as together:
        lengths = (options.seconds, SHORT_S)
        paths = [str(write_wav(Path(folder) / f"{seconds}.wav", seconds=seconds)) for seconds in lengths]
        fixed = ("--url", endpoint.url, "--model", "whisper-1", "--speed", "1", "--json")
        for _ in range(options.rounds):
            runs = [(path, status) for status in ("live", "off") for path in paths]
            done = [together.submit(on_terminal, "send", path, *fixed, "--status", status) for path, status in runs]
            long, short, long_off, short_off = (each.result() for each in done)
            more_s = long.wall_s - short.wall_s
            without = (long_off.cpu_s - short_off.cpu_s) / more_s
            added = (long.cpu_s - short.cpu_s) / more_s - without
            frames = long.frames - short.frames
            rows.append(
                (
                    f"{100 * without:.2f}",
                    f"{100 * added:.2f}",
                    frames / more_s,
                    (long.bytes - short.bytes) // max(1, frames),
                    f"{1000 * (short.cpu_s - short_off.cpu_s - added * short.wall_s):.0f}",
                )
            )
    table(("% of a core without", "the view adds", "frames a second", "bytes each", "its start, CPU ms"), rows)


if __name__ == "__main__":
    main()
