"""How long ``rt`` takes to start, as multiples of ``python -c pass``: ``python tests/bench/startup.py [--rounds 9]``.

Measured alternately, so that what else the machine does weighs on all alike. "To first connect" ends when the port of
the endpoint sees the connection: the child is killed then.
"""

from __future__ import annotations

import argparse
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.measure import DATA, ROOT, environment, median, rt_command, table

PASS = "python -c pass"
_WAV = str(DATA / "sense_0930.wav")
_DEADLINE_S = 30.0


def commands(url: str) -> dict[str, list[str]]:
    """Return the measured commands by name; some connect to ``url``."""
    return {
        PASS: [sys.executable, "-c", "pass"],
        "rt --version": rt_command("--version"),
        "rt --help": rt_command("--help"),
        "rt send --help": rt_command("send", "--help"),
        "rt send to first connect": rt_command("send", _WAV, "--url", url, "-m", "whisper-1"),
        "rt stream - to first connect": rt_command("stream", "-", "--url", url, "-m", "whisper-1"),
        "import openai": [sys.executable, "-c", "import openai"],
    }


def start(command: list[str], listener: socket.socket) -> tuple[float, float]:
    """Return wall and CPU seconds of a command until it connects or ends."""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd=ROOT,
    )
    with process, selectors.DefaultSelector() as selector:
        ends = os.pidfd_open(process.pid)
        selector.register(ends, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        ready = selector.select(_DEADLINE_S)
        wall_s = time.monotonic() - began
        os.kill(process.pid, signal.SIGKILL)  # not Popen.wait(), which would reap the process
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        os.close(ends)
        connected = any(key.fileobj is listener for key, _ in ready)
        if connected:
            listener.accept()[0].close()
    if connected != ("--url" in command):
        sys.exit(f"{' '.join(command)}: {'connected' if connected else 'did not connect'}")
    return wall_s, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure all of them, round by round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    walls, cpus = defaultdict(list), defaultdict(list)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cases = commands(f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/realtime")
        for number in range(rounds + 1):
            for name, command in cases.items():
                wall_s, cpu_s = start(command, listener)
                if number:  # the first round only fills the caches
                    walls[name].append(wall_s)
                    cpus[name].append(cpu_s)
    table(
        ("what", "wall ms", "CPU ms", "wall ratio", "CPU ratio"),
        [
            (
                name,
                f"{median(walls[name]) * 1000:.0f}",
                f"{median(cpus[name]) * 1000:.0f}",
                f"{median([one / base for one, base in zip(walls[name], walls[PASS], strict=True)]):.1f}",
                f"{median([one / base for one, base in zip(cpus[name], cpus[PASS], strict=True)]):.1f}",
            )
            for name in cases
        ],
    )


if __name__ == "__main__":
    main()
